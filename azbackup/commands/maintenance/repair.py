"""A lost table, rebuilt: every record's row from its copy. Run by a backup that finds copies and no key row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from azbackup.errors import Damaged, Exists, Unavailable
from azbackup.format.batches import batches
from azbackup.format.labels import PACK_PREFIX, RETIRED_PREFIX, SNAPSHOT_PREFIX, is_snapshot, number_of
from azbackup.format.model import SealedRecord, Snapshot
from azbackup.format.payloads import decode_snapshot
from azbackup.progress import Progress
from azbackup.records.heads import ALL, head_row, newest_head, put_heads
from azbackup.records.key_upkeep import Opened
from azbackup.records.keystore import Keystore
from azbackup.records.record_store import RecordStore
from azbackup.records.snapshots import Source, source_of

_GROUP_BYTES = 4 * 1024 * 1024  # of rows that are inserted together


def rebuild_table(records: RecordStore, keystore: Keystore, opened: Opened, progress: Progress) -> int:
    """Inserts the rows; how many. A copy that does not open is reported as damage and left out."""
    count = rebuild_rows(records)
    keystore.insert_row(opened)  # last, so that a killed rebuild is begun again
    progress.note(f"the table had lost this partition: {count} rows were rebuilt from their copies")
    return count


def rebuild_rows(records: RecordStore, put_back: Callable[[], object] | None = None) -> int:
    """Inserts a row for every record that has a copy and no row; how many rows there are then.

    Copies are read once, as they come; of several of a record the first that opens counts. A record of which none opens
    is reported as damage and left out. Where retention was at work it deleted the packs that are not there: a copy of
    such a pack's record may be left among those of others. Heads are made of the snapshots. `put_back` sees to the
    retired records where other runs go on with the table; None where nobody can.
    """
    there = records.names()
    packs = records.stored_packs() if records.copies.names(RETIRED_PREFIX) else None
    unusable: set[str] = set()
    for snapshots in (False, True):  # what a record points to has its row first
        rows = (
            row
            for row in records.copies.every(snapshots=snapshots)
            if row.name not in there
            and _counts(records, row.name)
            and (packs is None or not row.name.startswith(PACK_PREFIX) or row.name in packs)
            and (put_back is None or not row.name.startswith(RETIRED_PREFIX))
        )
        for group in batches(_sound(records, rows, unusable), lambda row: len(row.sealed), _GROUP_BYTES):
            there.update(_insert(records, group))
    _rebuild_heads(records)
    if put_back is not None:
        try:
            put_back()
        except Unavailable as error:
            if not error.passing:
                raise
            # a retention run is at work, which does the same
    for name in sorted(unusable - there):
        records.report(f"record {name} has no copy that opens")
    return len(there)


def _counts(records: RecordStore, name: str) -> bool:
    """Whether a record counts: a snapshot behind the end of its era does not, and gets no row."""
    if not is_snapshot(name):
        return True
    number = number_of(name, SNAPSHOT_PREFIX)
    return records.bounds.has(number) or number == records.bounds.fence


def _rebuild_heads(records: RecordStore) -> None:
    """Inserts the heads of the newest snapshots, which have no copies, where there are none."""
    newest: dict[Source, Snapshot] = {}
    for row in records.rows(SNAPSHOT_PREFIX, SNAPSHOT_PREFIX[:-1] + "."):
        try:
            snapshot = decode_snapshot(row.name, records.open_sealed(row))
        except Damaged:
            continue  # which was reported
        for source in (source_of(snapshot), ALL):
            newest[source] = max(newest.get(source, snapshot), snapshot, key=lambda each: each.number)
    for source, snapshot in newest.items():
        wanted, there = head_row(records, source, snapshot), newest_head(records, source)
        if there is None or there.name > wanted.name:
            put_heads(records, [wanted])


def _sound(records: RecordStore, rows: Iterable[SealedRecord], unusable: set[str]) -> Iterator[SealedRecord]:
    """The rows that open; the names of the others are `unusable`."""
    for row in rows:
        try:
            records.open_sealed(row)
        except Damaged:
            unusable.add(row.name)
        else:
            yield row


def _insert(records: RecordStore, rows: list[SealedRecord]) -> Iterator[str]:
    """Inserts rows, each name once; gives the names that are there then. What is there with other bytes is reported."""
    rows = list({row.name: row for row in reversed(rows)}.values())[::-1]
    try:
        records.insert(rows)
    except Exists as error:
        if len(rows) == 1:
            records.report(error.message)
            return
        for row in rows:
            yield from _insert(records, [row])
    else:
        yield from (row.name for row in rows)
