"""Which chunk is in which pack: for a backup the chunks that need not be stored, for a restore where each one is.

A place is (pack number, chunk number in the pack); offsets in a file follow from the plain lengths before it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from azbackup.errors import Damaged
from azbackup.format.model import ChunkId, Entry, PackId, PackRecord
from azbackup.packs.choice import Holding, choose
from azbackup.packs.layout import PackLayout

Piece = tuple[int, int, int]  # pack number, chunk number in the pack, offset in the file


class _Held(NamedTuple):
    """A pack, its rank, how many bytes of it are wanted, and how many different chunks."""

    pack: PackLayout
    rank: int
    wanted: int
    chunks: int


class ChunkIndex:
    """Where chunks are: filled from pack records, only for the ids that are wanted; then packs are chosen, once."""

    def __init__(self, wanted: set[ChunkId]) -> None:
        self._missing = wanted
        self._places: dict[ChunkId, tuple[int, int]] = {}
        self._several: dict[ChunkId, list[tuple[int, int]]] = {}  # of chunks that are in several places: all of them
        self._held: list[_Held] = []
        self._numbers: dict[int, int] = {}  # of a pack that holds something -> among those that were chosen
        self.packs: list[PackLayout] = []

    def add(self, records: Iterable[tuple[PackId, PackRecord]], rank: Callable[[PackId, PackRecord], int]) -> None:
        """Takes pack records. Of packs that hold the same chunk those of a lower rank are preferred.

        Whoever has the key can plant a pack that claims every chunk: none may hide the others.
        """
        for pack_id, record in records:
            found = [(chunk, each) for chunk, each in enumerate(record.chunk_ids()) if self._is_wanted(each)]
            if not found:
                continue
            number = len(self._held)
            distinct = {each: chunk for chunk, each in found}
            wanted = sum(record.sealed[chunk] for chunk in distinct.values())
            layout = PackLayout(pack_id, record)
            self._held.append(_Held(layout, rank(pack_id, record), wanted, len(distinct)))
            for chunk, each in found:
                if each in self._missing:
                    self._missing.remove(each)
                    self._places[each] = (number, chunk)
                else:
                    self._several.setdefault(each, [self._places[each]]).append((number, chunk))

    def choose(self) -> None:
        """Decides which pack each chunk is read from: the fullest one, and from the next if it fails there."""
        shared: list[set[ChunkId]] = [set() for _ in self._held]
        for each, places in self._several.items():
            for number, _ in places:
                shared[number].add(each)
        holdings = [
            Holding(held.pack.pack_id, held.rank, held.pack.record.size, held.wanted, held.chunks > len(its), its)
            for held, its in zip(self._held, shared, strict=True)
        ]
        chosen, others = choose(holdings)
        preference = {number: place for place, number in enumerate([*chosen, *others])}
        for each, places in self._several.items():
            first, *rest = sorted(places, key=lambda place: (preference[place[0]], place[1]))
            self._places[each] = first
            their = self._held[first[0]].pack.others
            their.setdefault(first[1], []).extend((self._held[number].pack, chunk) for number, chunk in rest)
        self._numbers = {number: place for place, number in enumerate(sorted(chosen))}
        self.packs = [self._held[number].pack for number in self._numbers]
        self._several.clear()

    def _is_wanted(self, chunk_id: ChunkId) -> bool:
        return chunk_id in self._missing or chunk_id in self._places

    @property
    def missing(self) -> int:
        """How many wanted chunks no pack is known for."""
        return len(self._missing)

    def forget(self) -> None:
        """Drops the map from chunk to pack: once all pieces are known nobody asks for it, and it is large."""
        self._places.clear()

    def pieces(self, entry: Entry) -> list[Piece]:
        """(pack number, chunk number, offset in the file) of a file's chunks. Raises Damaged if it is incomplete.

        Where packs disagree on how long a chunk is, the file's size tells which of them is right.
        """
        places = []
        for chunk_id in entry.chunk_ids():
            place = self._places.get(chunk_id)
            if place is None:
                raise Damaged("no pack holds one of its chunks")
            places.append((self._numbers[place[0]], place[1]))
        most = 1 + max((len(self._others(place)) for place in places), default=0)
        held = 0
        for turn in range(most):
            found, held = self._turn(places, turn)
            if held == entry.size:
                return found
        raise Damaged(f"its chunks hold {held} bytes, its size is {entry.size}")

    def _others(self, place: tuple[int, int]) -> list[tuple[PackLayout, int]]:
        return self.packs[place[0]].others.get(place[1], [])

    def _turn(self, places: list[tuple[int, int]], turn: int) -> tuple[list[Piece], int]:
        """(the pieces, their bytes), every chunk from the pack whose turn it is, or the last one that has it."""
        found: list[Piece] = []
        offset = 0
        for place in places:
            others = self._others(place)
            pack, chunk = place
            if turn and others:
                layout, chunk = others[min(turn, len(others)) - 1]
                pack = number_of_pack(self.packs, layout)
            found.append((pack, chunk, offset))
            offset += self.packs[pack].record.plain[chunk]
        return found, offset


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
