"""The results of verifications, kept beside what they judge: the newest one says when all was last known to be there.

Only ever added; the newest one counts. One that is lost was never made: nothing but words depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from azbackup.errors import Damaged
from azbackup.format.labels import VERIFIED_PREFIX, copy_name
from azbackup.format.verdicts import Verified, decode_verified, encode_verdict
from azbackup.records.record_store import RecordStore


class Newest(NamedTuple):
    """The newest result of each kind: of records and listings, and of a drill that read contents; None for never."""

    records: Verified | None = None
    drill: Verified | None = None


def newest_results(records: RecordStore) -> Newest:
    """The newest results, by one query. One that does not open is passed over: it says nothing."""
    found = Newest()
    for result in _results(records):
        if result.pending:
            continue
        before = found.drill if result.read else found.records
        if before is None or before.finished_ns <= result.finished_ns:
            found = found._replace(**{"drill" if result.read else "records": result})
    return found


def _results(records: RecordStore) -> Iterator[Verified]:
    for row in records.rows(VERIFIED_PREFIX, VERIFIED_PREFIX[:-1] + "."):
        try:
            yield decode_verified(row.name, records.open_sealed(row))
        except Damaged:
            continue


def open_drill(records: RecordStore, wish: str, since_ns: int) -> list[Verified]:
    """What the newest drill of this kind has written so far, if it began since then and has not come to its end."""
    drills: dict[str, list[Verified]] = {}
    for result in _results(records):
        if result.drill and result.wish == wish and result.started_ns >= since_ns:
            drills.setdefault(result.drill, []).append(result)
    parts = drills[max(drills)] if drills else []
    return parts if all(part.pending for part in parts) else []


def keep_result(records: RecordStore, stamp: str, result: Verified) -> None:
    """Writes a result: its copy, then its row."""
    row = records.seal(VERIFIED_PREFIX + stamp, encode_verdict(result))
    records.copies.put(copy_name(stamp, 1), [row])
    records.insert([row])
