"""Which chunk is in which pack: for a restore where each one is that it needs.

A place is a pack's number and a chunk's number in it; offsets in a file follow from the plain lengths before. Pure.

Held are 16 bytes a chunk: the first eight of its id, sorted, and its place. Ids are keyed hashes, so eight bytes tell
them apart nearly always; whether they did is seen where it counts, since the pack's record has all of each id.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple, TypeAlias

from azbackup.errors import Damaged
from azbackup.format.labels import CHUNK_ID_BYTES
from azbackup.format.model import ChunkId, Entry, PackId, PackRecord, split_ids
from azbackup.format.numbers import UINT64, Numbers
from azbackup.packs.choice import Holding, choose
from azbackup.packs.layout import PackLayout

Place = tuple[int, int]  # pack number, chunk number
Places: TypeAlias = "array[int]"  # the same of each chunk of a file, by turns, in four bytes each

_WORDS = CHUNK_ID_BYTES // 8  # of an id
_NOWHERE = 2**64 - 1
_PACK_SHIFT = 32  # of a place as one number
_CHUNK_MASK = (1 << _PACK_SHIFT) - 1
_UINT32 = "I"
_FEW = 50_000  # that many are looked for by a set, which is faster, and small
_RUN_BYTES = 4096 * CHUNK_ID_BYTES  # ids of a large file that are objects at once: each takes twice as much


def _keys(ids: bytes) -> array[int]:
    """The first eight bytes of each id, as numbers."""
    words = array(UINT64)
    words.frombytes(ids)
    if sys.byteorder == "big":
        words.byteswap()
    return words[::_WORDS]


def _runs(ids: bytes) -> Iterable[bytes]:
    """The ids of a file, so many at a time as are worked on at once: all, of most."""
    if len(ids) <= _RUN_BYTES:
        return (ids,)
    return (ids[at : at + _RUN_BYTES] for at in range(0, len(ids), _RUN_BYTES))


_Slot = int | ChunkId  # a chunk: where its first bytes are among the keys; of another one that begins alike its id


def _named(ids: bytes) -> Iterator[tuple[ChunkId, int]]:
    """Each id, and its key."""
    return zip(split_ids(ids), _keys(ids), strict=True)


class _Held(NamedTuple):
    """A pack, its rank, how many bytes of it are wanted, and how many different chunks."""

    pack: PackLayout
    rank: int
    wanted: int
    chunks: int


class ChunkIndex:
    """Where chunks are: filled from pack records, only for the ids that are wanted; then packs are chosen, once."""

    def __init__(self, wanted: Iterable[bytes]) -> None:
        """`wanted`: ids, one or many in a row."""
        self._keys = Numbers()
        for run in chain.from_iterable(map(_runs, wanted)):
            self._keys.update(_keys(run))
        self._keys.sort()
        count = len(self._keys)
        self._places = array(UINT64, [_NOWHERE]) * count
        self._alike: dict[ChunkId, int] = {}  # places of chunks of which another one has the first eight bytes
        self._few = frozenset(self._keys) if count <= _FEW else None
        self._several: dict[_Slot, list[int]] = {}  # of chunks that are in several places: all of them
        self._layouts: list[PackLayout] = []  # of all packs that hold something wanted
        self._held: list[_Held] = []  # the same packs
        self._numbers: dict[int, int] = {}  # of one of these -> among those that were chosen
        self.missing = count  # how many wanted chunks no pack is known for
        self.packs: list[PackLayout] = []

    def add(self, records: Iterable[tuple[PackId, PackRecord]], rank: Callable[[PackId, PackRecord], int]) -> None:
        """Takes pack records. Of packs that hold the same chunk those of a lower rank are preferred.

        Whoever has the key can plant a pack that claims every chunk: none may hide the others.
        """
        for pack_id, record in records:
            found = self._wanted(record)
            if not found:
                continue
            number = len(self._layouts)
            layout = PackLayout(pack_id, record)
            self._layouts.append(layout)
            distinct = {self._take(at, number, chunk): chunk for chunk, at in found}
            wanted = sum(record.sealed[chunk] for chunk in distinct.values())
            self._held.append(_Held(layout, rank(pack_id, record), wanted, len(distinct)))

    def choose(self) -> None:
        """Decides which pack each chunk is read from: the fullest one, and from the next if it fails there."""
        shared: list[set[_Slot]] = [set() for _ in self._held]
        for slot, places in self._several.items():
            for place in places:
                shared[place >> _PACK_SHIFT].add(slot)
        holdings = [
            Holding(
                held.pack.pack_id, held.rank, held.pack.record.content_size, held.wanted, held.chunks > len(its), its
            )
            for held, its in zip(self._held, shared, strict=True)
        ]
        chosen, others = choose(holdings)
        preference = {number: at for at, number in enumerate([*chosen, *others])}
        for slot, places in self._several.items():
            first, *rest = sorted(places, key=lambda place: (preference[place >> _PACK_SHIFT], place & _CHUNK_MASK))
            if isinstance(slot, int):
                self._places[slot] = first
            else:
                self._alike[slot] = first
            pack, chunk = _split(first)
            their = self._layouts[pack].others.setdefault(chunk, [])
            their.extend((self._layouts[number], at) for number, at in map(_split, rest))
        self._numbers = {number: at for at, number in enumerate(sorted(chosen))}
        self.packs = [self._layouts[number] for number in self._numbers]
        self._several.clear()
        self._held.clear()

    def _wanted(self, record: PackRecord) -> list[tuple[int, int]]:
        """The chunks of a pack that are wanted, each with its place among the keys."""
        keys, few = _keys(record.ids), self._few
        if few is not None:
            if few.isdisjoint(keys):
                return []
            chunks = [chunk for chunk, key in enumerate(keys) if key in few]
        else:
            chunks = list(range(len(keys)))
        found = ((chunk, self._keys.place(keys[chunk])) for chunk in chunks)
        return [(chunk, at) for chunk, at in found if at >= 0]

    def _take(self, at: int, number: int, chunk: int) -> _Slot:
        """Notes that a pack has a wanted chunk, given where its key is."""
        place = number << _PACK_SHIFT | chunk
        if self._places[at] == _NOWHERE:
            self._places[at] = place
            self.missing -= 1
            return at
        chunk_id = self._layouts[number].chunk_id(chunk)
        slot: _Slot = at if self._id_at(self._places[at]) == chunk_id else chunk_id
        if not isinstance(slot, int) and slot not in self._alike:
            self._alike[slot] = place
        else:
            first = self._places[slot] if isinstance(slot, int) else self._alike[slot]
            self._several.setdefault(slot, [first]).append(place)
        return slot

    def _id_at(self, place: int) -> ChunkId:
        pack, chunk = _split(place)
        return self._layouts[pack].chunk_id(chunk)

    def _place_of(self, chunk_id: ChunkId, at: int) -> Place | None:
        """Where a chunk is read whose first eight bytes are those of a key; None if no pack is known for it."""
        place = self._places[at]
        if place == _NOWHERE or self._id_at(place) != chunk_id:
            place = self._alike.get(chunk_id, _NOWHERE)
        if place == _NOWHERE:
            return None
        pack, chunk = _split(place)
        return self._numbers[pack], chunk

    def forget(self) -> None:
        """Drops the map from chunk to pack: once all places are known nobody asks for it, and it is large."""
        self._keys, self._places, self._alike, self._few = Numbers(), array(UINT64), {}, frozenset()
        self._layouts, self._numbers = [], {}

    def places(self, entry: Entry) -> Places:
        """Where a file's chunks are. Raises Damaged if it is incomplete.

        Where packs disagree on how long a chunk is, the file's size tells which of them is right.
        """
        found = array(_UINT32)
        most = held = 0
        for chunk_id, key in chain.from_iterable(map(_named, _runs(entry.chunks))):
            at = self._keys.place(key)
            place = None if at < 0 else self._place_of(chunk_id, at)
            if place is None:
                raise Damaged("no pack holds one of its chunks")
            pack = self.packs[place[0]]
            if pack.others:
                most = max(most, len(pack.others.get(place[1], ())))
            held += pack.record.plain[place[1]]
            found.extend(place)
        if held == entry.size:
            return found
        for turn in range(1, most + 1):
            others, held = self._turn(found, turn)
            if held == entry.size:
                return others
        raise Damaged(f"its chunks hold {held} bytes, its size is {entry.size}")

    def _turn(self, places: Places, turn: int) -> tuple[Places, int]:
        """(the places, their bytes), every chunk in the pack whose turn it is, or the last one that has it."""
        found, held = array(_UINT32), 0
        for pack, chunk in pairs(places):
            others = self.packs[pack].others.get(chunk, [])
            if others:
                layout, chunk = others[min(turn, len(others)) - 1]
                pack = number_of_pack(self.packs, layout)
            found.extend((pack, chunk))
            held += self.packs[pack].record.plain[chunk]
        return found, held


def _split(place: int) -> Place:
    return place >> _PACK_SHIFT, place & _CHUNK_MASK


def pairs(places: Places) -> Iterator[Place]:
    """(pack number, chunk number) of each chunk."""
    return zip(places[::2], places[1::2], strict=True)


def lengths(places: Places, packs: list[PackLayout]) -> Iterator[int]:
    """How long each chunk is once it is opened, in bytes."""
    return (packs[pack].record.plain[chunk] for pack, chunk in pairs(places))


def number_of_pack(packs: list[PackLayout], pack: PackLayout) -> int:
    """The number of a pack that may not be among the ones that are read so far: it joins them."""
    for number, each in enumerate(packs):
        if each is pack:
            return number
    packs.append(pack)
    return len(packs) - 1


def place_after(packs: list[PackLayout], pack: int, chunk: int) -> tuple[int, int] | None:
    """Another pack that is said to hold a chunk of the same length, after one where it does not open; None for none."""
    tried = packs[pack]
    length = tried.record.plain[chunk]
    others = tried.others.get(chunk, [])
    for at, (each, number) in enumerate(others):
        if each.record.plain[number] == length:
            rest = others[at + 1 :]
            if rest:
                each.others.setdefault(number, rest)
            return number_of_pack(packs, each), number
    return None
