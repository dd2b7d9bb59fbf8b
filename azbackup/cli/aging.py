"""The command line of backup.py --archive-after: packs that are old enough go to the archive tier, and that is said.

A dry run says which rule of the account would do the same.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from typing import Any

from azbackup.cli.output.results import Results
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import count_text, money_text, size_text
from azbackup.cli.session import Session, Vault, ended_eras, open_partition
from azbackup.commands.maintenance.aging import Aged, archive_old
from azbackup.errors import Status
from azbackup.format.labels import pack_blob, space_of
from azbackup.records.partition import Partition
from azbackup.storage.prices import Prices

_HINT = (
    "a run with credentials that may write does it, or a rule of the account: docs/operations.md, age into the archive"
)


def archive_command(session: Session, prices: Prices) -> Status:
    """Moves the packs of a partition that have rested for long enough."""
    args, show = session.args, session.show
    aged = Aged()
    for partition in _every(session):
        aged.add(archive_old(partition, session.vault.tiering, args.archive_after, time.time(), prices))
    values = {"moved": aged.moved, "moved_size": aged.size, "resting": aged.resting, "resting_size": aged.resting_size}
    show.event("aging", **values, cost=round(aged.cost, 6), currency=prices.currency, refused=aged.why or None)
    if not show.json and (text := _text(aged, args.archive_after, prices)):
        show.note(text)
    return Status.DONE


def tell_rule(vault: Vault, show: LineProgress, days: float, eras: int = 1) -> None:
    """Names the lifecycle rule that moves the same packs without anybody's right to write; of so many data keys."""
    policy = {"rules": [_rule(vault, days, eras)]}
    if show.json:
        show.event("lifecycle_rule", policy=policy)
        return
    show.note("archive: a rule of the account would do the same; this replaces other rules that it has:")
    command = ["az", "storage", "account", "management-policy", "create", "--account-name", vault.connection.account]
    results = Results(sys.stdout)
    results.add(shlex.join([*command, "--resource-group", "GROUP", "--policy", json.dumps(policy)]))
    results.flush()


def _rule(vault: Vault, days: float, eras: int) -> dict[str, Any]:
    """For packs alone: records have to stay online. One that was brought back online stays there as long."""
    after = math.ceil(days)
    spaces = [space_of(vault.partition, era) for era in range(1, eras + 1)]
    moves = {"daysAfterCreationGreaterThan": after, "daysAfterLastTierChangeGreaterThan": after}
    return {
        "enabled": True,
        "name": "azbackup" + "".join(each for each in vault.partition if each.isascii() and each.isalnum()),
        "type": "Lifecycle",
        "definition": {
            "filters": {
                "blobTypes": ["blockBlob"],
                "prefixMatch": [f"{vault.container}/{pack_blob(space, '')}" for space in spaces],
            },
            "actions": {"baseBlob": {"tierToArchive": moves}},
        },
    }


def _every(session: Session) -> list[Partition]:
    """All eras of a partition."""
    return [*(era.partition for era in ended_eras(session, rows=True)), open_partition(session)]


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
