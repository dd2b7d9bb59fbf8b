"""What a partition knew before a moment, by the service's clock, told from what was added since.

    rows and copies that are older  ->  snapshots, entries, packs: trusted
    the records of later packs      ->  where a chunk is that no older pack has: its id, which is trusted, proves it
    later retired records           ->  why a snapshot is gone, and nothing else

Promises that no later record decides what a snapshot is, and that an older pack is preferred to a later one.
"""

from __future__ import annotations

from collections.abc import Iterator

from azbackup.errors import Damaged, NothingStored
from azbackup.format.labels import PACK_PREFIX
from azbackup.format.model import PackId, PackRecord, SealedRecord, Snapshot
from azbackup.format.payloads import decode_pack
from azbackup.format.retirement import Retired, joined
from azbackup.records.catalog import Catalog
from azbackup.records.record_store import RecordStore


class PastCatalog(Catalog):
    """The catalog of the older records; `present` are all of them."""

    def __init__(self, records: RecordStore, present: RecordStore) -> None:
        super().__init__(records)
        self._present = present
        self._read_once = False
        self.deleted = 0  # snapshots that stood then and whose records were deleted since
        self.newer = 0  # later numbers, genuine or not

    def snapshots(self, wanted: int | None = None, *, every_copy: bool = False) -> list[Snapshot]:
        """All snapshots that were there. Raises NothingStored where there was none.

        A table that was rebuilt since has later rows alone: how many snapshots there were is told by their copies.
        """
        if self._read_once:
            return [each for each in self.standing if each.number == wanted or not self.retired.has(each.number)]
        copied = self.records.copies.snapshot_numbers()
        self._seen = max(copied, default=0)
        found = super().snapshots(wanted, every_copy=every_copy)
        if not found:
            raise NothingStored(
                "no snapshot is older than --before",
                "the storage's own times count: what was copied to another account is as new as the copy",
            )
        self.newer = len(self._all_numbers() - copied - {snapshot.number for snapshot in self.standing})
        self._read_once = True
        return found

    def _all_numbers(self) -> set[int]:
        return self._present.snapshot_numbers(1) | self._present.copies.snapshot_numbers()

    def _report_gaps(self, found: dict[int, Snapshot], explained: set[int], expected: int, retired: Retired) -> None:
        """What was deleted since is no gap; nor is a copy behind the newest snapshot, which was none."""
        expected, after = min(expected, max(found, default=0)), self.records.bounds.after
        both = Retired(retired.records)
        both.numbers = joined([*retired.numbers, *Catalog(self._present).retired.numbers])
        then, now = (
            sum(last - first + 1 for first, last in each.gaps(explained, expected, after)) for each in (retired, both)
        )
        self.deleted = then - now
        super()._report_gaps(found, explained, expected, both)

    def later_packs(self, known: set[PackId]) -> Iterator[tuple[PackId, PackRecord]]:
        """The pack records that came since. One that does not open is worth nothing, and no word."""
        for row in self.later_rows():
            try:
                pack_id, record = decode_pack(row.name, self._present.open_sealed(row))
            except Damaged:
                continue
            if pack_id not in known:
                yield pack_id, record

    def later_rows(self) -> Iterator[SealedRecord]:
        """The rows of all packs, still sealed; where there is no table, what the copies have."""
        return self._present.rows(PACK_PREFIX, PACK_PREFIX[:-1] + ".")
