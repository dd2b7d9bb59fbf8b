"""Heads: rows that name the newest snapshot of a source, so that a run need not read all snapshots to find it.

    head-<keyed hash of the source>-<highest number - number>    the snapshot once more, sealed under this name
    head-<keyed hash of no source>-<the same>                    nothing: its name says that there is this number

Each commit inserts the two of its snapshot and replaces none, so that credentials which can only create do; the newest
is the first by name. A head is a shortcut and never the truth: it has no copy, a run that has reason to doubt one reads
the snapshots themselves, and so does whoever restores, lists or verifies. So one that was lost, altered or put back
hides nothing; what it can cost is that a backup compares with an older snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable

from azbackup.errors import Damaged, Exists
from azbackup.format.labels import (
    HEAD_PREFIX,
    SNAPSHOT_PREFIX,
    head_name,
    is_snapshot,
    number_of,
    number_of_head,
    snapshot_name,
)
from azbackup.format.model import SealedRecord, Snapshot
from azbackup.format.payloads import decode_snapshot, encode_snapshot
from azbackup.records.record_store import RecordStore
from azbackup.records.snapshots import Source, source_of

LARGE = 1000  # snapshots; as many names fit a page, and a partition that has no more is read whole
_NOTHING = b"\x80"  # an empty msgpack map
ALL = Source(b"", "")  # what the heads of all sources together are named after


def head_row(records: RecordStore, source: Source, snapshot: Snapshot) -> SealedRecord:
    """The head of a snapshot among those of its source, or of ALL."""
    payload = _NOTHING if source == ALL else encode_snapshot(snapshot)
    return records.seal(head_name(records.source_hash(*source), snapshot.number), payload)


def head_rows(records: RecordStore, snapshot: Snapshot) -> list[SealedRecord]:
    """Both heads of a snapshot."""
    return [head_row(records, source, snapshot) for source in (source_of(snapshot), ALL)]


def head_names(records: RecordStore, snapshot: Snapshot) -> list[str]:
    """Their names."""
    return [head_name(records.source_hash(*source), snapshot.number) for source in (source_of(snapshot), ALL)]


def newest_head(records: RecordStore, source: Source) -> SealedRecord | None:
    """The row that comes first of a source's heads, or of ALL: the newest one, whoever put it there."""
    prefix = f"{HEAD_PREFIX}{records.source_hash(*source)}"
    return next(iter(records.first(f"{prefix}-", f"{prefix}.", 1)), None)


def open_head(records: RecordStore, source: Source, row: SealedRecord) -> Snapshot | int:
    """The snapshot that a source's head says, the number that one of ALL does. Raises Damaged if it is none."""
    try:
        number, payload = number_of_head(row.name), records.open_sealed(row)
        if source == ALL:
            return number
        snapshot = decode_snapshot(snapshot_name(number), payload)
        if source_of(snapshot) != source:
            raise Damaged("it is of another source")
    except Damaged as error:
        raise Damaged(f"row {row.name} was altered: {error.message}") from None
    return snapshot


def put_heads(records: RecordStore, heads: Iterable[SealedRecord]) -> None:
    """Inserts heads one by one. Another run that finished the same commit may have put them; else that is damage."""
    for head in heads:
        try:
            records.insert([head])
        except Exists:
            if not _is_there(records, head):
                records.report(f"row {head.name} was altered: a repair makes it anew")


def _is_there(records: RecordStore, head: SealedRecord) -> bool:
    """Whether the row of a head's name says the same, sealed by whomever."""
    try:
        said = records.open_sealed(head)
        return any(records.open_sealed(row) == said for row in records.first(head.name, head.name + "!", 1))
    except Damaged:
        return False


def kept_number(records: RecordStore) -> int:
    """The highest number of a snapshot that this machine keeps, or one above LARGE: it looked, if it stored none.

    Nobody is asked.
    """
    highest = 0
    for row in records.kept(SNAPSHOT_PREFIX, SNAPSHOT_PREFIX[:-1] + "."):
        if highest > LARGE:
            break
        highest = number_of(row.name, SNAPSHOT_PREFIX) if is_snapshot(row.name) else highest
    return highest


def from_heads(records: RecordStore, source: Source, seen: int, own_seen: int) -> tuple[Snapshot, int] | None:
    """(the newest snapshot of a source, the highest number) of a large partition; None where all are to be read.

    That is where the heads are of few snapshots, one is missing or does not open, or they are behind what this machine
    has seen: `seen` the highest number, `own_seen` of this source.
    """
    try:
        row = newest_head(records, ALL)
        highest = open_head(records, ALL, row) if row is not None else 0
        if not isinstance(highest, int) or highest <= LARGE or highest < seen:
            return None
        row = newest_head(records, source)
        snapshot = open_head(records, source, row) if row is not None else None
    except Damaged as error:
        records.report(error.message)
        return None
    if not isinstance(snapshot, Snapshot) or not own_seen <= snapshot.number <= highest:
        return None
    return snapshot, highest
