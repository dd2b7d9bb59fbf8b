"""Many numbers of 64 bits, sorted: eight bytes each, where a set would take ten times as much. Pure.

For what is known by a keyed hash: two things that differ have the same number once in 2**64 pairs.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

UINT64 = "Q"
_BUCKETS = 256  # that are sorted one by one: a sorted list takes 44 bytes a number for a moment


class Numbers:
    """Numbers that are collected first, and looked for then."""

    def __init__(self) -> None:
        self._buckets = [array(UINT64) for _ in range(_BUCKETS)]
        self._sorted = array(UINT64)
        self._from = array(UINT64, [0, 0, 0])
        self._shift = 63

    def add(self, number: int) -> None:
        """Takes a number, however often. Not after `sort`."""
        self._buckets[number >> 56].append(number)

    def update(self, numbers: Iterable[int]) -> None:
        """Takes several."""
        buckets = self._buckets
        for number in numbers:
            buckets[number >> 56].append(number)

    def sort(self) -> None:
        """All are there: from now on they can be looked for."""
        for at, bucket in enumerate(self._buckets):
            self._sorted.extend(sorted(set(bucket)))
            self._buckets[at] = array(UINT64)
        self._shift = 64 - max(1, len(self._sorted).bit_length() - 3)
        self._from = array(UINT64, self._begins())

    def _begins(self) -> list[int]:
        """Where the numbers begin that have some first bits: the one that is looked for is among a few."""
        bits = 64 - self._shift
        firsts = (first << self._shift for first in range(1, 1 << bits))
        found, at = [0], 0
        for first in firsts:
            at = bisect_left(self._sorted, first, at)
            found.append(at)
        return [*found, len(self._sorted)]

    def __len__(self) -> int:
        return len(self._sorted)

    def __iter__(self) -> Iterator[int]:
        return iter(self._sorted)

    def place(self, number: int) -> int:
        """The place of a number among the sorted ones, -1 if it is none of them."""
        bits = number >> self._shift
        end = self._from[bits + 1]
        at = bisect_left(self._sorted, number, self._from[bits], end)
        return at if at < end and self._sorted[at] == number else -1

    def __contains__(self, number: int) -> bool:
        return self.place(number) >= 0
