"""Which chunks are stored anew though they are stored, from the files that have them, so that packs become free.

    sound packs, the chunks that the newest snapshots need -> packs that are hardly needed, small packs by the dozen
      -> as many packs as the budget lasts for -> their chunks -> asked by the run, file by file: which parts of it?

Promises that each chunk is stored anew once at most, that no more is read and stored for it than the budget has, and
that nothing is stored anew whose pack this run could not free: one with a file that is unreadable. Of chunks in several
packs the one counts that a restore would read. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from azbackup.errors import Damaged
from azbackup.format.labels import PACK_BYTES, PACK_MAGIC
from azbackup.format.model import ChunkId, Entry, PackId, split_ids
from azbackup.packs.choice import Holding, choose, preference
from azbackup.packs.index import ChunkIndex, lengths
from azbackup.packs.known import SoundPack

DAY_SECONDS = 86_400.0
SMALL_BYTES = PACK_BYTES // 4  # a smaller pack is merged with others of its size, ...
SMALL_PACKS = 8  # ... when there are so many of them: each byte is then stored anew a few times in ten years
_LEAST_DAYS = 30.0  # retention frees no younger pack
_GRACE_DAYS = 7.0  # what is condemned is deleted so much later
_PACK_OVERHEAD = len(PACK_MAGIC)


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
    """What of a pack a restore of the newest snapshots would read: bytes, and the chunks of this source to be moved.

    `holding` is all that they need of it, read there or not. `moved`: the bytes of `own`.
    """

    holding: Holding
    size: int = 0
    moved: int = 0
    own: list[ChunkId] = field(default_factory=list)
    stuck: bool = False
    foreign: bool = False

    def add(self, chunk_id: ChunkId, size: int, needs: Needs, *, is_best: bool) -> None:
        """Counts a chunk. One that another pack has as well, and better, needs not be stored anew."""
        self.size += size
        self.foreign |= chunk_id not in needs.own
        if is_best and chunk_id in needs.own:
            self.own.append(chunk_id)
            self.moved += size
            self.stuck |= chunk_id in needs.stuck

    def is_outdone(self) -> bool:
        """Whether a pack of what is to be moved would be fuller. If not, it would not be read, and made again."""
        new = self.holding._replace(size=_PACK_OVERHEAD + self.moved, wanted=self.moved)
        return new.fullness > self.holding.fullness


class Due(NamedTuple):
    """What is to be stored anew: chunks of this source, of how many bytes of files. `whole`: all of them, or none."""

    chunks: list[ChunkId]
    size: int
    whole: bool = False


def due_packs(packs: Sequence[SoundPack], needs: Needs, terms: Terms) -> list[Due]:
    """The packs that are to be rewritten: small ones, then those by whose rewriting most is freed for each byte."""
    sparse: list[tuple[float, PackId, Due]] = []
    small: dict[int, list[tuple[SoundPack, _Used]]] = {}
    for pack, used in zip(packs, _uses(packs, needs), strict=True):
        if not used.own or used.stuck:
            continue
        if used.size * 100 < terms.below * pack.contents and terms.is_old(pack) and used.is_outdone():
            sparse.append((used.size / pack.contents, pack.pack_id, _due(pack, used)))
        elif pack.contents < SMALL_BYTES and not used.foreign:
            small.setdefault(used.holding.wanted.bit_length() // 2, []).append((pack, used))
    return [*_merged(small), *(due for *_, due in sorted(sparse))]


def _merged(small: Mapping[int, Sequence[tuple[SoundPack, _Used]]]) -> Iterator[Due]:
    """Small packs of one power of four, in lots: what becomes of a lot is larger than each of them.

    Else it would not be read, and would be made again.
    """
    for power, alike in small.items():
        left = sum(used.moved for _, used in alike) if len(alike) >= SMALL_PACKS else 0
        larger = 2 << 2 * power  # than any of them
        lot: list[Due] = []
        moved = 0
        for pack, used in alike:
            lot.append(_due(pack, used))
            moved += used.moved
            if moved >= larger and left - moved >= larger:
                yield _lot(lot)
                left -= moved
                lot, moved = [], 0
        if moved >= larger and left:
            yield _lot(lot)


def _lot(due: Sequence[Due]) -> Due:
    return Due([each for one in due for each in one.chunks], sum(each.size for each in due), whole=True)


def _due(pack: SoundPack, used: _Used) -> Due:
    own = set(used.own)
    return Due(used.own, sum(size for each, size in zip(split_ids(pack.ids), pack.plain, strict=True) if each in own))


def within(due: Sequence[Due], budget: int) -> tuple[set[ChunkId], int]:
    """(the chunks of the packs for which a budget of bytes lasts, in their order, how many chunks there are beyond).

    Whole packs: a part of one frees nothing, and is stored twice meanwhile. But where the first is larger than the
    budget, a part of it, and the rest another time; small packs that are merged are whole in any case.
    """
    found: set[ChunkId] = set()
    size = beyond = 0
    for each in due:
        if size + each.size > budget and (found or each.whole):
            beyond += len(each.chunks)
        else:
            found.update(each.chunks)
            size += each.size
    return found, beyond


def _uses(packs: Sequence[SoundPack], needs: Needs) -> list[_Used]:
    """What is read of each pack, each chunk from the one that a restore would choose."""
    wanted = [_wanted(pack, needs) for pack in packs]
    holders: Counter[ChunkId] = Counter(each for its in wanted for each in its)
    several = [[each for each in its if holders[each] > 1] for its in wanted]
    holdings = [
        Holding(pack.pack_id, 0, pack.contents, sum(its.values()), len(shared) < len(its), shared)
        for pack, its, shared in zip(packs, wanted, several, strict=True)
    ]
    del holders
    best: dict[ChunkId, int] = {}  # where a chunk is best, read there or not: it is not stored anew a second time
    for number in sorted(range(len(packs)), key=lambda number: preference(holdings[number])):
        for each in several[number]:
            best.setdefault(each, number)
    found = [_Used(holding) for holding in holdings]
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


class Part(NamedTuple):
    """A chunk of a file that is to be stored anew, and where in the file it is. Bytes."""

    chunk_id: ChunkId
    offset: int
    size: int


class Rewriting:
    """What one run stores anew. Of `files` parts were read again for it, `read` bytes; `stored` were new contents.

    `due` are the chunks that are not stored yet, `left` those of later runs, `budget` the bytes that may be read for
    it, and be stored. `places` knows where chunks are in files that have several. `is_over`: whether there is no time
    left.
    """

    def __init__(
        self,
        due: set[ChunkId],
        budget: int,
        places: ChunkIndex | None = None,
        is_over: Callable[[], bool] | None = None,
        left: int = 0,
    ) -> None:
        self.due = due
        self.later = left
        self.files = self.read = self.stored = 0
        self._places = places
        self._is_over = is_over
        self._budget = budget

    @property
    def left(self) -> int:
        """How many chunks are left for later runs."""
        return len(self.due) + self.later

    def parts(self, old: Entry) -> list[Part]:
        """The parts of an unchanged file that are to be read again, as far as there is room and time."""
        if not self.due or self.due.isdisjoint(split_ids(old.chunks)) or (self._is_over and self._is_over()):
            return []
        found: dict[ChunkId, Part] = {}
        for part in self._placed(old):
            if part.chunk_id not in self.due or part.chunk_id in found:
                continue
            if self.read + part.size <= self._budget and self.stored < self._budget:
                self.read += part.size
                found[part.chunk_id] = part
        self.files += bool(found)
        return list(found.values())

    def _placed(self, old: Entry) -> Iterator[Part]:
        """All chunks of a file; none if nobody knows how long each one is."""
        ids = old.chunk_ids()
        if len(ids) == 1:
            yield Part(ids[0], 0, old.size)
        elif self._places is not None:
            try:
                sizes = list(lengths(self._places.places(old), self._places.packs))
            except Damaged:
                return
            yield from map(Part, ids, accumulate(sizes, initial=0), sizes)

    def takes(self, chunk_id: ChunkId, size: int) -> bool:
        """Whether a chunk that was read, of some bytes, is to be stored anew. Once for each."""
        if chunk_id not in self.due or self.stored + size > self._budget:
            return False
        self.due.remove(chunk_id)
        self.stored += size
        return True
