"""The results of verifications, kept beside what they judge: the newest one says when all was last known to be there.

Only ever added; the newest one counts. One that is lost was never made: nothing but words depends on it.
"""

from __future__ import annotations

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
    for row in records.rows(VERIFIED_PREFIX, VERIFIED_PREFIX[:-1] + "."):
        try:
            result = decode_verified(row.name, records.open_sealed(row))
        except Damaged:
            continue
        before = found.drill if result.read else found.records
        if before is None or before.finished_ns <= result.finished_ns:
            found = found._replace(**{"drill" if result.read else "records": result})
    return found


def keep_result(records: RecordStore, stamp: str, result: Verified) -> None:
    """Writes a result: its copy, then its row."""
    row = records.seal(VERIFIED_PREFIX + stamp, encode_verdict(result))
    records.copies.put(copy_name(stamp, 1), [row])
    records.insert([row])
