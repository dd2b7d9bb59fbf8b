"""The retired records as retention reads and writes them: what they say, since when, and whether that is long enough.

A record's time is that of its copy, as the service has it. Its grace period begins when a later record says that it had
been seen: from then on every backup that begins knows it, however long the run that wrote it slept between two writes.
It begins anew where a later one had not: a record whose row was lost, or that somebody put back, hid from backups.
"""

from __future__ import annotations

from itertools import count

from azbackup.commands.maintenance.free import DAY_SECONDS
from azbackup.errors import Damaged, Exists, Unavailable
from azbackup.format.labels import RETIRED_PREFIX, record_blob, retired_name
from azbackup.format.retirement import Retired, Retirement, encode_retirement
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
        prefix = record_blob(self._partition.name, RETIRED_PREFIX)
        for info in self._partition.blobs.listed(prefix):
            digits = info.name.removeprefix(prefix)
            if digits.isascii() and digits.isdigit():
                self._times[int(digits)] = self.see(info)

    def see(self, info: BlobInfo) -> float:
        """When a blob was made; now is not before that."""
        made = info.created or info.modified
        self.now = max(self.now, made)
        return made

    def finish(self) -> None:
        """Inserts the rows of records whose run was killed between copy and row, or that the table lost."""
        records = self._partition.records
        for number in sorted(self._times.keys() - {record.number for record in self.retired.records}):
            try:
                records.insert([records.copied(retired_name(number))])
            except (Damaged, Exists):
                continue  # somebody put it there
            self._hidden.add(number)

    def write(self, record: Retirement) -> None:
        """Stores a further record. Raises Unavailable if another run takes its number at the same moment."""
        number = next(each for each in count(self.retired.last + 1) if each not in self._times)
        name, records = retired_name(number), self._partition.records
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
