"""Sets of a hundred million ids in little memory: eight bytes each, looked up by bisection. Pure.

Ids are keyed hashes and fingerprints are hashes, so that their first eight bytes tell them apart: of 10**8 chunks two
agree in them with a chance of 1 in 3,000, and then one that is lost would pass for the other.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from itertools import groupby

from azbackup.format.model import SealedRecord

_BUCKETS = 4096  # so that one of them is sorted in little memory
FINGERPRINT_BYTES = 8


class Sieve:
    """A set of ids of `width` bytes, a multiple of 8. First all are added, then it is asked."""

    def __init__(self, width: int) -> None:
        self._stride = width // 8
        self._buckets: list[array[int]] = [array("Q") for _ in range(_BUCKETS)]
        self._sorted = True

    def add(self, ids: bytes) -> None:
        """Adds the ids of a concatenation."""
        self._sorted = False
        buckets = self._buckets
        for value in array("Q", ids)[:: self._stride]:
            buckets[value % _BUCKETS].append(value)

    def _sort(self) -> None:
        """Sorts, and forgets what is there twice."""
        if not self._sorted:
            for number, bucket in enumerate(self._buckets):
                self._buckets[number] = array("Q", (value for value, _ in groupby(sorted(bucket))))
            self._sorted = True

    def __len__(self) -> int:
        """How many different ids there are."""
        self._sort()
        return sum(map(len, self._buckets))

    def has_all(self, ids: bytes) -> bool:
        """Whether all ids of a concatenation are in the set."""
        self._sort()
        buckets = self._buckets
        for value in array("Q", ids)[:: self._stride]:
            bucket = buckets[value % _BUCKETS]
            at = bisect_left(bucket, value)
            if at == len(bucket) or bucket[at] != value:
                return False
        return True

    def common(self, other: Sieve) -> int:
        """How many ids are in both sets."""
        self._sort()
        other._sort()
        pairs = zip(self._buckets, other._buckets, strict=True)
        return sum(len(set(mine).intersection(its)) for mine, its in pairs)


def fingerprint(row: SealedRecord) -> bytes:
    """What tells a record's name and bytes from all others."""
    return hashlib.blake2b(row.name.encode() + b"\0" + row.sealed, digest_size=FINGERPRINT_BYTES).digest()
