"""An attack: the cutter's seed from the sizes of packs in a listing and the contents of one known file.

    sizes in the order of the packs -> where packs could have ended in the file -> seeds that cut there

A pack that ends with a chunk says where the file was cut, but for 29 bytes of each of the chunks up to there, whose
number is not known: some dozens of positions. The cutter (FastCDC by pyfastcdc, normalized chunking 1, normal size
1 MiB) cuts where 19 bits of a sum are zero:

    sum of (gear value of the byte i before the cut XOR seed) << i

Bit n of it depends on the n + 1 lowest bits of the seed and the n + 1 bytes before the cut, so the seed is found
from its lowest bit on: first 2^18 lowest parts at once, one bit of a large integer for each, then bit by bit. Above bit
47 nothing counts. Other tools' cutters fall in similar ways: Truong, Merz, Scarlata, Günther and Paterson, "Breaking
and Fixing Content-Defined Chunking" (CCS 2025).
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence

from pyfastcdc.py.constants import GEAR, MASKS

from azbackup.format.labels import PACK_MAGIC

EFFECTIVE_BITS = 48
SEED_MASK = (1 << EFFECTIVE_BITS) - 1

_MASK = MASKS[19]  # of cuts beyond the normal size; those before it have two bits more
_SEALED = 29  # nonce, codec and tag of each chunk
_MEAN, _DEVIATION = 1_374_650, 565_750  # bytes of a chunk of noise: measured on 779 of them
_SPREAD = 3.5  # standard deviations that the number of chunks may be off
_AT_ONCE = 18  # lowest bits that are tried for all seeds at once
_MOST = 200_000  # seeds that are followed: more of them is no finding


def _lanes(bit: int) -> int:
    """One bit of each number below 2^18, in the lane of that number."""
    step = 1 << bit
    pattern, width = ((1 << step) - 1) << step, 2 * step
    while width < 1 << _AT_ONCE:
        pattern |= pattern << width
        width *= 2
    return pattern


_EVERY = (1 << (1 << _AT_ONCE)) - 1
_SEED = [_lanes(bit) for bit in range(_AT_ONCE)]
_OTHER = [each ^ _EVERY for each in _SEED]


class Attack:
    """What somebody knows: the contents of a file, and the sizes of the packs that it alone was stored in."""

    def __init__(self, known: bytes, sizes: Sequence[int]) -> None:
        """`sizes` in the order in which the packs were made."""
        self._known = known
        self._ends = list(_ends(sizes))

    def seeds(self) -> list[int]:
        """The seeds, 48 bits each, that cut the file where each pack but the last ends; none if there are too many."""
        ends = [{at: self._fitting(at) for at in positions} for positions in self._ends]
        packed = [[(at, lanes.to_bytes((1 << _AT_ONCE) // 8, "little")) for at, lanes in end.items()] for end in ends]
        kept = [
            (seed, [[at for at, lanes in end if lanes[seed >> 3] >> (seed & 7) & 1] for end in packed])
            for seed in _members(_in_each(end.values() for end in ends))
        ]
        for bits in range(_AT_ONCE + 1, EFFECTIVE_BITS + 1):
            longer = ((seed | bit << (bits - 1), where) for seed, where in kept for bit in (0, 1))
            if _MASK >> (bits - 1) & 1:
                kept = [(seed, left) for seed, where in longer if (left := self._left(where, seed, bits))]
            else:
                kept = list(longer)
            if len(kept) > _MOST:
                return []
        return [seed for seed, _ in kept]

    def lowest(self, ends: Iterable[Iterable[int]]) -> int:
        """The numbers below 2^18, a bit for each, that can be a seed's lowest bits if packs end in these positions."""
        return _in_each([self._fitting(at) for at in positions] for positions in ends)

    def _fitting(self, position: int) -> int:
        """Which numbers below 2^18 can be the lowest bits of a seed that cuts here: an adder with a lane for each."""
        total = [0] * _AT_ONCE
        for back in range(_AT_ONCE):
            gear = GEAR[self._known[position - back]]
            carry = 0
            for at in range(back, _AT_ONCE):
                term = _OTHER[at - back] if gear >> (at - back) & 1 else _SEED[at - back]
                half = total[at] ^ term
                carry, total[at] = (total[at] & term) | (carry & half), half ^ carry
        return _EVERY ^ functools.reduce(operator.or_, (total[at] for at in range(_AT_ONCE) if _MASK >> at & 1))

    def _left(self, where: list[list[int]], seed: int, bits: int) -> list[list[int]]:
        """The positions where a seed of so many bits can cut; nothing at all if one of the packs has none."""
        left = []
        for positions in where:
            if not (still := [at for at in positions if self._cuts(at, seed, bits)]):
                return []
            left.append(still)
        return left

    def _cuts(self, position: int, seed: int, bits: int) -> bool:
        """Whether the bits of the mask are zero, as far as so many bits of a seed tell."""
        total = 0
        for byte in self._known[position - bits + 1 : position + 1]:
            total = (total << 1) + (GEAR[byte] ^ seed)
        return not total & ((1 << bits) - 1) & _MASK


def _ends(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Where each pack but the last could have ended, if they hold one file of noise from its beginning on."""
    whole = 0
    for size in sizes[:-1]:
        whole += size - len(PACK_MAGIC)
        likely = whole / (_MEAN + _SEALED)
        off = _SPREAD * _DEVIATION / _MEAN * math.sqrt(likely) + 1
        numbers = range(max(1, math.floor(likely - off)), math.ceil(likely + off) + 1)
        yield [whole - _SEALED * number for number in numbers]


def _in_each(ends: Iterable[Iterable[int]]) -> int:
    """The lanes that are one somewhere in each of the ends."""
    return functools.reduce(operator.and_, (functools.reduce(operator.or_, end) for end in ends), _EVERY)


def _members(lanes: int) -> Iterator[int]:
    """The numbers whose lanes are one."""
    for index, byte in enumerate(lanes.to_bytes((1 << _AT_ONCE) // 8, "little")):
        yield from (8 * index + bit for bit in range(8) if byte >> bit & 1)
