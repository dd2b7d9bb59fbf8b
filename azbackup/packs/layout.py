"""What a restore needs: for each file its chunks, for each pack the chunks that are wanted of it. Pure.

A place is (pack number, chunk number in the pack); offsets in a file follow from the plain lengths before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from azbackup.errors import Damaged
from azbackup.format.labels import CHUNK_ID_BYTES, PACK_MAGIC
from azbackup.format.model import ChunkId, Entry, PackId, PackRecord

Piece = tuple[int, int, int]  # pack number, chunk number in the pack, offset in the file

SPAN_BYTES = 6 * 1024 * 1024  # read at once, at most, unless a single chunk is larger once it is sealed; ...
LARGE_SPAN_BYTES = 24 * 1024 * 1024  # ... and of large chunks: few files, whose list takes little, and many requests
LARGE_CHUNK = 256 * 1024  # sealed, on average
_GAP = 256 * 1024  # reading this much too much costs less than another request
_WHOLE = 0.9  # of a pack wanted: it is read from end to end


class Span(NamedTuple):
    """Bytes of a pack that are read in one request, [start, end), and the chunks in them that are wanted."""

    start: int
    end: int
    chunks: list[int]


@dataclass(slots=True)
class PackLayout:
    """A pack, and the byte ranges of its sealed chunks: chunk n is sealed[starts[n] : starts[n] + record.sealed[n]]."""

    pack_id: PackId
    record: PackRecord
    starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        at = len(PACK_MAGIC)
        for size in self.record.sealed:
            self.starts.append(at)
            at += size

    def chunk_id(self, chunk: int) -> ChunkId:
        """The id of chunk number `chunk`."""
        return ChunkId(self.record.ids[chunk * CHUNK_ID_BYTES : (chunk + 1) * CHUNK_ID_BYTES])


class ChunkIndex:
    """Where chunks are: filled from pack records, only for the ids that are wanted."""

    def __init__(self, wanted: set[ChunkId]) -> None:
        self._missing = wanted
        self._places: dict[ChunkId, tuple[int, int]] = {}
        self.packs: list[PackLayout] = []

    def add(self, records: Iterable[tuple[PackId, PackRecord]]) -> None:
        """Takes pack records; a chunk that is in two packs is read from the first."""
        for pack_id, record in records:
            found = [(chunk, each) for chunk, each in enumerate(record.chunk_ids()) if each in self._missing]
            if found:
                number = len(self.packs)
                self.packs.append(PackLayout(pack_id, record))
                for chunk, each in found:
                    self._places.setdefault(each, (number, chunk))
                self._missing.difference_update(each for _, each in found)

    @property
    def missing(self) -> int:
        """How many wanted chunks no pack is known for."""
        return len(self._missing)

    def forget(self) -> None:
        """Keeps the packs alone: when all pieces are known, who asks where a chunk is takes memory for nothing."""
        self._places.clear()

    def pieces(self, entry: Entry) -> list[Piece]:
        """(pack number, chunk number, offset in the file) of a file's chunks. Damaged when it is incomplete."""
        found: list[Piece] = []
        offset = 0
        for chunk_id in entry.chunk_ids():
            place = self._places.get(chunk_id)
            if place is None:
                raise Damaged("no pack holds one of its chunks")
            pack, chunk = place
            found.append((pack, chunk, offset))
            offset += self.packs[pack].record.plain[chunk]
        if offset != entry.size:
            raise Damaged(f"its chunks hold {offset} bytes, its size is {entry.size}")
        return found


def spans(pack: PackLayout, chunks: list[int]) -> list[Span]:
    """The spans of a pack that hold some chunks (in ascending order): close ones joined, up to a bound.

    Where nearly all of a pack is wanted, all that lies between the chunks is read too.
    """
    wanted = sum(pack.record.sealed[chunk] for chunk in chunks)
    most = LARGE_SPAN_BYTES if pack.record.size >= LARGE_CHUNK * len(pack.record.sealed) else SPAN_BYTES
    gap = pack.record.size if wanted > _WHOLE * pack.record.size else _GAP
    found: list[Span] = []
    joined: list[int] = []
    start = end = 0
    for chunk in chunks:
        first = pack.starts[chunk]
        last = first + pack.record.sealed[chunk]
        if joined and not (first - end <= gap and last - start <= most):
            found.append(Span(start, end, joined))
            joined = []
        if not joined:
            start = first
        joined.append(chunk)
        end = last
    return [*found, Span(start, end, joined)] if joined else found
