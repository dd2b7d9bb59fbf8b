"""What a restore cannot have: the files whose packs are missing, found before anything is thawed for them.

Promises that nothing is asked for, or paid, on behalf of a file that cannot be completed. Pure but for what it tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from azbackup.commands.restore.estimate import Losses
from azbackup.commands.restore.files import Files
from azbackup.commands.restore.links import Link
from azbackup.format.model import Entry
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import State
from azbackup.packs.thaw.states import PackStates
from azbackup.spread import Spread


def missing_text(pack: PackLayout) -> str:
    """Why a file cannot be restored."""
    return f"its contents are in pack {pack.pack_id}, which is missing"


def take_losses(
    files: Files,
    links: Sequence[Link],
    packs: Sequence[PackLayout],
    states: PackStates,
    failed: Callable[[Entry, str], None],
) -> tuple[list[Link], Losses]:
    """Files whose contents are in a missing pack are lost, told and counted; the links of others, and the losses."""
    missing = {number for number, pack in enumerate(packs) if states.state(pack) is State.MISSING}
    if not missing:
        return list(links), Losses()
    spread, size, lost = Spread(), 0, dict[bytes, int]()  # a leader's path -> the pack that it misses
    leaders = {link.leader.path for link in links}

    def lose(entry: Entry, pack: int) -> None:
        failed(entry, missing_text(packs[pack]))
        spread.add(entry.path)

    used = set[int]()
    for file in files:
        gone = [pack for pack, _ in files.missing(file.number) if pack in missing]
        if gone:
            if file.entry.path in leaders:
                lost[file.entry.path] = gone[0]
            used.update(gone)
            size += file.entry.size
            lose(file.entry, gone[0])
            files.lose(file)
    kept = []
    for link in links:
        if link.leader.path not in lost:
            kept.append(link)
        elif not link.right:
            lose(link.entry, lost[link.leader.path])
    return kept, Losses(spread.count, size, spread.text(), [packs[each].pack_id for each in sorted(used)])
