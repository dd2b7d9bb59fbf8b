"""Which damage can be settled: what has a name, cannot be mended from another place, and stands below the newest. Pure.

Numbers behind the newest snapshot are never settled: backups use them again, and a later loss would pass for this one.
"""

from __future__ import annotations

from collections.abc import Iterator

from azbackup.commands.maintenance.findings import REPAIRED
from azbackup.commands.maintenance.verify import Verification
from azbackup.format.labels import SNAPSHOT_PREFIX, is_snapshot, number_of
from azbackup.format.verdicts import SUBJECTS, Settlement


def unsettled(found: Verification, newest: int = 0) -> list[str]:
    """The names of what is damaged for good and was not settled yet; `newest`: the number of a later era's snapshot."""
    newest = max((newest, *(snapshot.number for snapshot in found.snapshots)))
    names = {
        finding.subject
        for group in found.findings.ordered()
        if group.is_damage and group.what not in REPAIRED
        for finding in group.first
    }
    return sorted(name for name in names if name and not found.findings.settled.has(name) and _is_below(name, newest))


def _is_below(name: str, newest: int) -> bool:
    last = name.rpartition(" to ")[2]
    return not is_snapshot(last) or number_of(last, SNAPSHOT_PREFIX) < newest


def settlements(names: list[str], now_ns: int, host: str) -> Iterator[Settlement]:
    """The names in as few settlements as hold them."""
    for at in range(0, len(names), SUBJECTS):
        yield Settlement(now_ns, host, names[at : at + SUBJECTS])
