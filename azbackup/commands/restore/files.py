"""The files that a restore writes: where their chunks are, and what became of each.

    planned: WAITING -> READY, once its packs can be read -> DONE, or WAITING again; FAILED or LOST if it cannot be

Held are some 40 bytes a file and 8 a chunk. What a step works on are parts, a segment of them at a time: files, or runs
of a large one's chunks. Promises that they come by rank, and within a rank in the order in which they were planned.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import NamedTuple

import msgspec

from azbackup.filesystem.leftovers import is_resumed
from azbackup.format.held import HeldEntries
from azbackup.format.model import Entry
from azbackup.packs.index import Place, Places, pairs
from azbackup.packs.layout import PackLayout

WAITING, READY, DONE, FAILED, LOST = range(5)
_SEGMENT = 20_000  # chunks, a file without any counting as one: some 20 MB as objects


class WantedFile:
    """A file that is to be restored, while it is worked on.

    `left` counts the chunks that are still to come. `failed`: it could not be restored. `put_off`: one of its packs
    could not be read after all, so that it waits for the next round. Files of a lower `rank` are thawed and written
    before others.
    """

    __slots__ = ("_files", "entry", "failed", "left", "number", "put_off", "there", "written")

    def __init__(self, files: Files, entry: Entry, number: int) -> None:
        self._files = files
        self.entry = entry
        self.number = number
        self.left = 0
        self.written = 0  # bytes, in this round
        self.there: array[int] | None = None  # offsets of chunks that were written, if its temporary is kept
        self.failed = False
        self.put_off = False

    @property
    def rank(self) -> int:
        """Its rank."""
        return self._files.rank(self.number)

    @property
    def places(self) -> Places:
        """Where its chunks are."""
        return self._files.places(self.number)

    def fail(self, *, lost: bool = False) -> None:
        """It could not be restored; `lost` if that is for its contents."""
        self.failed = True
        self._files.mark(self.number, LOST if lost else FAILED)

    def wait(self) -> None:
        """It waits for the next round."""
        self.put_off = True
        self._files.mark(self.number, WAITING)

    def move(self, place: Place, other: Place) -> None:
        """A chunk is to be read from another place."""
        self._files.move(self.number, place, other)


class Part(NamedTuple):
    """Some chunks of a file: where they are, and the offset of the first one."""

    file: WantedFile
    places: Places
    offset: int
    there: bytes  # one for each chunk that need not be fetched; none at all if all have to be

    def wanted(self, packs: Sequence[PackLayout]) -> Iterator[tuple[int, int, int]]:
        """(pack number, chunk number, offset in the file) of what is to be fetched."""
        offset = self.offset
        for at, (pack, chunk) in enumerate(pairs(self.places)):
            if not (self.there and self.there[at]):
                yield pack, chunk, offset
            offset += packs[pack].record.plain[chunk]


class Files:
    """All of them."""

    def __init__(self) -> None:
        self._entries = HeldEntries()
        self._places: Places = array("I")
        self._ends = array("Q", [0])  # where a file's places begin, and the one before ends
        self._states = bytearray()
        self._ranks = bytearray()
        self._there: dict[int, bytearray] = {}  # of files of which something is kept: which chunks are there
        self.size = 0  # bytes, of all but those that are lost

    def add(self, entry: Entry, places: Places) -> None:
        """A file is to be written, from these places. Ids of chunks are held of a large one only: packs have them."""
        if entry.chunks and not is_resumed(entry):
            entry = msgspec.structs.replace(entry, chunks=b"")
        self._entries.append(entry)
        self._places.extend(places)
        self._ends.append(len(self._places))
        self._states.append(WAITING)
        self._ranks.append(0)
        self.size += entry.size

    def __len__(self) -> int:
        """How many there are, but for those that are lost."""
        return len(self._states) - self._states.count(LOST)

    def __iter__(self) -> Iterator[WantedFile]:
        """All but those that are lost, in the order in which they were planned."""
        return self.having(WAITING, READY, DONE, FAILED)

    def having(self, *states: int) -> Iterator[WantedFile]:
        """Those in one of these states, by rank."""
        for rank in sorted(set(self._ranks)):
            for number, entry in enumerate(self._entries):
                if self._states[number] in states and self._ranks[number] == rank:
                    yield WantedFile(self, entry, number)

    def count(self, state: int) -> int:
        """How many are in a state."""
        return self._states.count(state)

    def mark(self, number: int, state: int) -> None:
        """A file is in another state."""
        self._states[number] = state

    def lose(self, file: WantedFile) -> None:
        """A file cannot be had: it is no part of the plan any more."""
        file.fail(lost=True)
        self.size -= file.entry.size

    def turn(self, state: int, other: int) -> None:
        """All files in a state are in another one."""
        self._states = self._states.replace(bytes([state]), bytes([other]))

    # --- ranks

    def rank(self, number: int) -> int:
        """A file's rank."""
        return self._ranks[number]

    def put_in_order(self, rank_of: Callable[[Entry], int]) -> None:
        """Gives each file its rank."""
        for number, entry in enumerate(self._entries):
            self._ranks[number] = min(rank_of(entry), 255)

    # --- places

    def places(self, number: int) -> Places:
        """Where a file's chunks are."""
        return self._places[self._ends[number] : self._ends[number + 1]]

    def move(self, number: int, place: Place, other: Place) -> None:
        """A file's chunk is to be read from another place."""
        for at in range(self._ends[number], self._ends[number + 1], 2):
            if (self._places[at], self._places[at + 1]) == place:
                self._places[at], self._places[at + 1] = other

    def have(self, number: int, there: bytearray) -> None:
        """Of these chunks of a file, one byte for each, those that are not zero need not be fetched."""
        before = self._there.get(number, bytes(len(there)))
        self._there[number] = bytearray(map(max, before, there))

    def missing(self, number: int) -> Iterator[Place]:
        """The places of a file's chunks that are to be fetched."""
        places, there = pairs(self.places(number)), self._there.get(number)
        return places if there is None else compress(places, (not each for each in there))

    def packs(self, state: int = WAITING, *, below: int | None = None) -> list[int]:
        """The packs that files in a state need, in the order in which they are needed; those `below` a rank alone."""
        if not self._there and len(set(self._ranks)) < 2 and self.count(state) == len(self._states):
            return [] if below is not None else list(dict.fromkeys(self._places[::2]))
        found: dict[int, None] = {}
        for rank in sorted(set(self._ranks)):
            for number, each in enumerate(self._states):
                if each == state and self._ranks[number] == rank and (below is None or rank < below):
                    found.update((pack, None) for pack, _ in self.missing(number))
        return list(found)

    def get_ready(self, readable: Sequence[bool]) -> None:
        """Of the files that wait, those are ready whose packs can all be read."""
        for number, state in enumerate(self._states):
            if state == WAITING and all(readable[pack] for pack, _ in self.missing(number)):
                self._states[number] = READY

    @property
    def last_rank(self) -> int:
        """The highest rank of those that wait."""
        return max(compress(self._ranks, (state == WAITING for state in self._states)), default=0)

    # --- one segment after the other

    def segments(self, packs: Sequence[PackLayout]) -> Iterator[list[Part]]:
        """The files that are ready, in parts: as many chunks at a time as are worked on at once. They are done then."""
        segment: list[Part] = []
        size = 0
        for file in self.having(READY):
            self.mark(file.number, DONE)
            there = self._there.get(file.number, b"")
            places = file.places
            count = len(places) // 2
            file.left = count - sum(there)
            start = offset = 0
            while True:
                end = min(count, start + _SEGMENT - size)
                segment.append(Part(file, places[2 * start : 2 * end], offset, bytes(there[start:end])))
                size += max(1, end - start)
                if size >= _SEGMENT:
                    yield segment
                    segment, size = [], 0
                if end == count or file.failed or file.put_off:
                    break
                offset += sum(packs[pack].record.plain[chunk] for pack, chunk in pairs(places[2 * start : 2 * end]))
                start = end
        if segment:
            yield segment
