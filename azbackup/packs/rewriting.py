"""Which chunks are stored anew though they are stored, from the files that have them, so that packs become free.

    sound packs, the chunks that the newest snapshots need -> packs that are hardly needed, small packs by the dozen
      -> their chunks -> asked by the run, file by file and chunk by chunk, as long as the budget lasts

Promises that each chunk is stored anew once at most, that no more is read and stored for it than the budget has, and
that nothing is stored anew whose pack this run could not free: one with a file that is too large, or unreadable. Of
chunks in several packs the one counts that a restore would read. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from azbackup.format.labels import PACK_BYTES
from azbackup.format.model import ChunkId, split_ids
from azbackup.packs.choice import Holding, choose, preference
from azbackup.packs.known import SoundPack

DAY_SECONDS = 86_400.0
SMALL_BYTES = PACK_BYTES // 4  # a smaller pack is merged with others of its size, ...
SMALL_PACKS = 8  # ... when there are so many of them: each byte is then stored anew a few times in ten years
_LEAST_DAYS = 30.0  # retention frees no younger pack
_GRACE_DAYS = 7.0  # what is condemned is deleted so much later


class Needs(NamedTuple):
    """The chunks that the newest snapshots show: this source's, those of them that cannot be moved, other sources'."""

    own: Collection[ChunkId]
    stuck: Collection[ChunkId] = frozenset()
    others: Collection[ChunkId] = frozenset()


class Terms(NamedTuple):
    """Less than so many percent of a pack are needed; how many days a pack of each tier is paid for; Unix time."""

    below: float
    days: Mapping[str, int]
    now: float

    def is_old(self, pack: SoundPack) -> bool:
        """Whether a pack could be deleted without a fee once it were condemned: rewriting saves nothing before."""
        days = max(_LEAST_DAYS, self.days.get(pack.tier, 0) - _GRACE_DAYS)
        return pack.made + days * DAY_SECONDS <= self.now


def may_be_due(packs: Sequence[SoundPack], terms: Terms) -> bool:
    """Whether there can be anything to rewrite, whatever the snapshots need."""
    return sum(pack.contents < SMALL_BYTES for pack in packs) >= SMALL_PACKS or any(
        terms.is_old(pack) for pack in packs
    )


@dataclass
class _Used:
    """What of a pack a restore of the newest snapshots would read: bytes, and the chunks of this source to be moved."""

    size: int = 0
    own: list[ChunkId] = field(default_factory=list)
    stuck: bool = False
    foreign: bool = False

    def add(self, chunk_id: ChunkId, size: int, needs: Needs, *, is_best: bool) -> None:
        """Counts a chunk. One that another pack has as well, and better, needs not be stored anew."""
        self.size += size
        self.foreign |= chunk_id not in needs.own
        if is_best and chunk_id in needs.own:
            self.own.append(chunk_id)
            self.stuck |= chunk_id in needs.stuck


def due_chunks(packs: Sequence[SoundPack], needs: Needs, terms: Terms) -> set[ChunkId]:
    """The chunks of this source that are to be stored anew."""
    found: set[ChunkId] = set()
    small: dict[int, list[_Used]] = {}
    for pack, used in zip(packs, _uses(packs, needs), strict=True):
        if not used.own or used.stuck:
            continue
        if used.size * 100 < terms.below * pack.contents and terms.is_old(pack):
            found.update(used.own)
        elif pack.contents < SMALL_BYTES and not used.foreign:
            small.setdefault(used.size.bit_length() // 2, []).append(used)
    for alike in small.values():  # of nearly one size, so that what becomes of them is larger than each of them
        if len(alike) >= SMALL_PACKS:
            found.update(each for used in alike for each in used.own)
    return found


def _uses(packs: Sequence[SoundPack], needs: Needs) -> list[_Used]:
    """What is read of each pack, each chunk from the one that a restore would choose."""
    wanted = [_wanted(pack, needs) for pack in packs]
    holders: Counter[ChunkId] = Counter(each for its in wanted for each in its)
    several = [[each for each in its if holders[each] > 1] for its in wanted]
    holdings = [
        Holding(pack.pack_id, 0, pack.size, sum(its.values()), len(shared) < len(its), shared)
        for pack, its, shared in zip(packs, wanted, several, strict=True)
    ]
    del holders
    best: dict[ChunkId, int] = {}  # where a chunk is best, read there or not: it is not stored anew a second time
    for number in sorted(range(len(packs)), key=lambda number: preference(holdings[number])):
        for each in several[number]:
            best.setdefault(each, number)
    found = [_Used() for _ in packs]
    read: set[ChunkId] = set()
    for number in choose(holdings)[0]:
        used = found[number]
        for each, size in wanted[number].items():
            if each in read:
                continue
            if each in best:
                read.add(each)
            used.add(each, size, needs, is_best=best.get(each, number) == number)
    return found


def _wanted(pack: SoundPack, needs: Needs) -> dict[ChunkId, int]:
    own, others = needs.own, needs.others
    pairs = zip(split_ids(pack.ids), pack.sealed, strict=True)
    return {each: size for each, size in pairs if each in own or each in others}


class Rewriting:
    """What one run stores anew. `files` were read again for it, of `read` bytes; `stored` bytes of contents were.

    `due` are the chunks that are left, `budget` the bytes that may be read for it, and be stored. `is_over`: whether
    there is no time left.
    """

    def __init__(self, due: set[ChunkId], budget: int, is_over: Callable[[], bool] | None = None) -> None:
        self._is_over = is_over
        self.due = due
        self.chunks = len(due)
        self.files = self.read = self.stored = 0
        self._budget = budget

    def takes_file(self, chunks: bytes, size: int) -> bool:
        """Whether an unchanged file of some chunks is to be read again: it has one that is due, and there is room."""
        if not self.due or self.due.isdisjoint(split_ids(chunks)):
            return False
        if self.read + size > self._budget or self.stored >= self._budget or (self._is_over and self._is_over()):
            return False
        self.files += 1
        self.read += size
        return True

    def takes(self, chunk_id: ChunkId, size: int) -> bool:
        """Whether a chunk that was read, of some bytes, is to be stored anew. Once for each."""
        if chunk_id not in self.due or self.stored + size > self._budget:
            return False
        self.due.remove(chunk_id)
        self.stored += size
        return True
