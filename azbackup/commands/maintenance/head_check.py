"""Do the heads say what the snapshots say? One query for each source, and one for all of them.

A head that is missing costs time and nothing else, and snapshots of earlier versions have none: worth a line, where
there are any heads at all. One that does not open, or says something else, was altered.
"""

from __future__ import annotations

from collections.abc import Sequence

from azbackup.commands.maintenance.findings import Findings, What
from azbackup.errors import Damaged
from azbackup.format.labels import number_of_head
from azbackup.format.model import SealedRecord, Snapshot
from azbackup.records.heads import ALL, newest_head, open_head
from azbackup.records.record_store import RecordStore
from azbackup.records.settlements import subject_of
from azbackup.records.snapshots import Source, latest_by_source


def check_heads(records: RecordStore, snapshots: Sequence[Snapshot], findings: Findings) -> list[Snapshot]:
    """The snapshots whose heads are to be made anew: the newest of a source each. `snapshots` are all, by number."""
    if not snapshots:
        return []
    first = newest_head(records, ALL)
    if first is None:
        return []
    wanted = [(ALL, snapshots[-1]), *latest_by_source(snapshots).items()]
    heads = [first, *(newest_head(records, source) for source, _ in wanted[1:])]
    return [
        snapshot
        for (source, snapshot), head in zip(wanted, heads, strict=True)
        if not _is_right(records, source, snapshot, head, findings)
    ]


def _is_right(
    records: RecordStore, source: Source, snapshot: Snapshot, head: SealedRecord | None, findings: Findings
) -> bool:
    """Whether the newest head of a source is that of its newest snapshot, or of one that came since."""
    whose = "all sources" if source == ALL else str(source)
    if head is None or _number(head) < snapshot.number:
        text = f"snapshot {snapshot.number} has no head, which {whose} would begin from"
        findings.add(What.HEAD_MISSING, "", text)
        return False
    try:
        said = open_head(records, source, head)
    except Damaged as error:
        findings.add(What.HEAD_ALTERED, subject_of(error.message), error.message)
        return False
    if isinstance(said, Snapshot) and said.number == snapshot.number and said != snapshot:
        findings.add(What.HEAD_ALTERED, head.name, f"row {head.name} was altered: it is not what the snapshot says")
        return False
    return True


def _number(head: SealedRecord) -> int:
    """The number in a head's name; one that has none came from somebody else, and is looked at."""
    try:
        return number_of_head(head.name)
    except Damaged:
        return 1 << 62
