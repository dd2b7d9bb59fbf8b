"""What retention took away, as `retired` records say it: snapshots that are no more, packs that nothing counts on.

The records are read together, by number: each adds to those before it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from azbackup.errors import Damaged
from azbackup.format.decoding import decoded
from azbackup.format.labels import RETIRED, RETIRED_PREFIX, check_stamp, number_of
from azbackup.format.model import PackId

Number = Annotated[int, Meta(ge=1, le=9_999_999_999)]
PackIds = Annotated[list[str], Meta(max_length=RETIRED)]
Ranges = list[tuple[int, int]]  # (first, last), rising, no two that touch


class Retirement(msgspec.Struct, omit_defaults=True):
    """One record. `numbers` are all snapshots that were ever retired, as ranges: this record's and earlier ones.

    `removed` are the snapshots that this record retires, `condemned` the packs that no backup counts on from now on,
    `spared` packs that were condemned before and count again, `recalled` snapshots that were retired before and are
    there again. `seen` are the numbers of the retired records that were
    there when this one was made: each backup that began later knows what they say. `looked`: all packs were looked at.
    """

    numbers: Annotated[list[tuple[Number, Number]], Meta(max_length=RETIRED)] = []
    removed: Annotated[list[Number], Meta(max_length=RETIRED)] = []
    condemned: PackIds = []
    spared: PackIds = []
    recalled: Annotated[list[Number], Meta(max_length=RETIRED)] = []
    seen: Annotated[list[Number], Meta(max_length=RETIRED)] = []
    looked: bool = False
    number: int = 0  # from the record's name, not stored

    def repeated(self, numbers: Iterable[int]) -> set[int]:
        """Those of some other records that this one repeats: it has seen them, or they were deleted before."""
        seen = set(self.seen)
        first = min(seen, default=0)
        return {number for number in numbers if number < self.number and (number < first or number in seen)}


_decoder = msgspec.msgpack.Decoder(Retirement)
_encoder = msgspec.msgpack.Encoder()


def encode_retirement(record: Retirement) -> bytes:
    """A record's payload: a msgpack map, without the number that its name says."""
    return _encoder.encode(msgspec.structs.replace(record, number=0))


def decode_retirement(name: str, payload: bytes) -> Retirement:
    """The record of a name. Raises Damaged if it is malformed."""
    record = decoded(_decoder, payload, f"record {name}")
    try:
        for pack in (*record.condemned, *record.spared):
            check_stamp(pack)
    except Damaged as error:
        raise Damaged(f"record {name} is malformed: {error.message}") from None
    if any(first > last for first, last in record.numbers):
        raise Damaged(f"record {name} is malformed: a range ends before it begins")
    return msgspec.structs.replace(record, number=number_of(name, RETIRED_PREFIX))


class Retired:
    """All retired records together.

    A record's numbers stand for those of the records that it repeats: one of these that comes back when what took back
    a part of it was deleted, or is lost, takes nothing away again.
    """

    def __init__(self, records: Iterable[Retirement] = ()) -> None:
        self.records = sorted(records, key=lambda record: record.number)
        self.condemned: dict[PackId, int] = {}  # the record that condemned a pack
        parts: dict[int, Ranges] = {}  # what counts of each record's numbers
        for record in self.records:
            repeated = record.repeated(parts)
            parts = {number: ranges for number, ranges in parts.items() if number not in repeated}
            parts[record.number] = joined(record.numbers)
            if record.recalled:
                parts = {number: without(ranges, record.recalled) for number, ranges in parts.items()}
            self.condemned.update((PackId(pack), record.number) for pack in record.condemned)
            for pack in record.spared:
                self.condemned.pop(PackId(pack), None)
        self.numbers = joined([each for ranges in parts.values() for each in ranges])

    @property
    def last(self) -> int:
        """The number of the newest record, 0 if there is none."""
        return self.records[-1].number if self.records else 0

    @property
    def lost(self) -> list[int]:
        """The numbers of records that a later one has seen and that are neither there nor deleted, the oldest first."""
        there = {record.number for record in self.records}
        seen = {number for record in self.records for number in record.seen}
        return sorted(number for number in seen - there if self.records[0].number < number < self.last)

    @property
    def highest(self) -> int:
        """The highest number that a retired snapshot had, 0 if there is none."""
        return self.numbers[-1][1] if self.numbers else 0

    def has(self, number: int) -> bool:
        """Whether the snapshot of a number was retired."""
        return any(first <= number <= last for first, last in self.numbers)

    def gaps(self, found: Iterable[int], expected: int, after: int = 0) -> Iterator[tuple[int, int]]:
        """(first, last) of the numbers behind `after` up to the expected one that are neither found nor retired."""
        before_all = [(1, after)] if after else []
        own = ((number, number) for number in found)
        known = joined([*before_all, *own, *self.numbers, (expected + 1, expected + 1)])
        before = 0
        for first, last in known:
            if before + 1 < first:
                yield before + 1, min(first - 1, expected)
            before = max(before, last)
            if before > expected:
                return


def without(ranges: Ranges, numbers: Iterable[int]) -> Ranges:
    """Ranges that rise, without some numbers."""
    for number in numbers:
        parts = [((first, number - 1), (number + 1, last)) for first, last in ranges if first <= number <= last]
        kept = [each for each in ranges if not each[0] <= number <= each[1]]
        ranges = sorted([*kept, *(part for pair in parts for part in pair if part[0] <= part[1])])
    return ranges


def joined(ranges: Ranges) -> Ranges:
    """The same numbers in as few ranges as hold them, rising."""
    found: Ranges = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found
