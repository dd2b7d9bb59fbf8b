"""The command line of backup.py --archive-after: packs that are old enough go to the archive tier, and that is said."""

from __future__ import annotations

import time

from azbackup.cli.output.text import count_text, money_text, size_text
from azbackup.cli.session import Session, open_partition
from azbackup.commands.maintenance.aging import Aged, archive_old
from azbackup.errors import Status
from azbackup.storage.prices import Prices

_HINT = (
    "a run with credentials that may write does it, or a rule of the account: docs/operations.md, age into the archive"
)


def archive_command(session: Session, prices: Prices) -> Status:
    """Moves the packs of a partition that have rested for long enough."""
    args, show = session.args, session.show
    partition = open_partition(session)
    aged = archive_old(partition, session.vault.tiering, args.archive_after, time.time(), prices)
    values = {"moved": aged.moved, "moved_size": aged.size, "resting": aged.resting, "resting_size": aged.resting_size}
    show.event("aging", **values, cost=round(aged.cost, 6), currency=prices.currency, refused=aged.why or None)
    if not show.json and (text := _text(aged, args.archive_after, prices)):
        show.note(text)
    return Status.DONE


def _text(aged: Aged, days: float, prices: Prices) -> str:
    """What went to the archive, and what rests online; '' for nothing."""
    rest = f"{count_text(aged.resting, 'pack')} ({size_text(aged.resting_size)})"
    if aged.why:
        return (
            f"archive: nothing was moved, {rest} {'stays' if aged.resting == 1 else 'stay'} online: {aged.why}; {_HINT}"
        )
    parts = []
    if aged.moved:
        cost = money_text(aged.cost, prices.currency)
        parts.append(f"{count_text(aged.moved, 'pack')} ({size_text(aged.size)}) moved, {cost}")
    if aged.resting:
        parts.append(f"{rest} online until {days:g} days old")
    return f"archive: {', '.join(parts)}" if parts else ""
