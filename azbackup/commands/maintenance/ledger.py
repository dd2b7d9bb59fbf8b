"""The retired records as retention reads and writes them: what they say, since when, and whether that is long enough.

A record's time is that of its copy, as the service has it. Its grace period begins when a later record says that it had
been seen: from then on every backup that begins knows it, however long the run that wrote it slept between two writes.
It begins anew where a later one had not: a record whose row was lost, or that somebody put back, hid from backups.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import count

from azbackup.commands.maintenance.free import DAY_SECONDS
from azbackup.errors import Damaged, Exists, Unavailable
from azbackup.format.labels import RETIRED_PREFIX, number_of, record_blob, retired_name
from azbackup.format.model import SealedRecord
from azbackup.format.retirement import Retired, Retirement, decode_retirement, encode_retirement
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition
from azbackup.storage.protocols import BlobInfo

GRACE_DAYS = 7.0


class Ledger:
    """The retired records of one partition. `now` is the latest moment that the service is known to have seen."""

    def __init__(self, partition: Partition, catalog: Catalog) -> None:
        self._partition = partition
        self._catalog = catalog
        self._times: dict[int, float] = {}
        self._hidden: set[int] = set()  # had no row when this run began
        self.now = 0.0

    @property
    def retired(self) -> Retired:
        """What they say together."""
        return self._catalog.retired

    def read(self) -> None:
        """Reads when each was made."""
        prefix = record_blob(self._partition.name, "")
        for info in self._partition.blobs.listed(prefix + RETIRED_PREFIX):
            try:
                number = number_of(info.name.removeprefix(prefix), RETIRED_PREFIX)
            except Damaged:
                continue  # the name of no record: somebody put it there
            self._times[number] = self.see(info)

    def see(self, info: BlobInfo) -> float:
        """When a blob was made; now is not before that."""
        made = info.created or info.modified
        self.now = max(self.now, made)
        return made

    def finish(self) -> None:
        """Inserts the rows of records whose run was killed between copy and row, or that the table lost.

        One that was seen before hid from the backups that began meanwhile: first a further record says that it is not
        seen any more, so that its days begin anew, whoever is killed when.
        """
        records = self._partition.records
        there = self.retired.records
        lost = self._without_row({record.number for record in there})
        both = Retired([*there, *(record for _, record in lost.values())])
        if {number for record in both.records for number in record.seen} & lost.keys():
            self.write(Retirement(numbers=both.numbers, seen=[record.number for record in there]))
        for number, (row, _) in lost.items():
            try:
                records.insert([row])
            except Exists:
                continue  # another run put it there, or somebody else something else
            self._hidden.add(number)

    def put_back(self) -> None:
        """The same for a run that does nothing else with them."""
        self.read()
        self.finish()

    def _without_row(self, there: Collection[int]) -> dict[int, tuple[SealedRecord, Retirement]]:
        """The records that only a copy has, by number: row and what it says. One that opens to none is passed over."""
        found = {}
        for number in sorted(self._times.keys() - there):
            name, records = retired_name(number), self._partition.records
            try:
                row = records.copied(name)
                found[number] = row, decode_retirement(name, records.open_sealed(row))
            except Damaged:
                continue  # somebody put it there
        return found

    def write(self, record: Retirement) -> None:
        """Stores a further record. Raises Unavailable if another run takes its number at the same moment."""
        records = self._partition.records
        taken = {row.name for row in records.rows(RETIRED_PREFIX, RETIRED_PREFIX[:-1] + ".")}  # whatever is in them
        number = next(
            each for each in count(self.retired.last + 1) if each not in self._times and retired_name(each) not in taken
        )
        name = retired_name(number)
        row = records.seal(name, encode_retirement(record))
        try:
            records.copies.put(name, [row])
            records.insert([row])
        except Exists as error:
            again = "another retention run is at work in this partition"
            raise Unavailable(again, "run it again later", error.code, passing=True) from None

    def seen(self) -> list[int]:
        """The numbers of the records that every backup that begins now knows: not those that came back."""
        before = {number for record in self.retired.records for number in record.seen}
        return [record.number for record in self.retired.records if record.number not in self._hidden & before]

    def is_due(self, record: int, within_days: float = 0.0) -> bool:
        """Whether the grace period of what a record says is over, or will be within some days.

        So long all others were written with it seen.
        """
        since = None
        for each in reversed(self.retired.records):
            if record not in each.seen:
                break
            since = self._times.get(each.number, since)
        return since is not None and self.now - since >= (GRACE_DAYS - within_days) * DAY_SECONDS

    def removed(self) -> dict[int, float]:
        """The snapshots that records retire whose grace period is over, and when each was retired."""
        early = {number for each in self.retired.records if not self.is_due(each.number) for number in each.removed}
        return {
            number: self._times.get(each.number, 0.0)
            for each in self.retired.records
            for number in each.removed
            if number not in early and self.retired.has(number)
        }

    def looked(self) -> float:
        """When all packs were looked at last, 0 for never."""
        return max(
            (self._times.get(record.number, 0.0) for record in self.retired.records if record.looked), default=0.0
        )
