"""Which chunk is in which pack: for a backup the chunks that need not be stored, for a restore where each one is.

A place is (pack number, chunk number in the pack); offsets in a file follow from the plain lengths before it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from azbackup.errors import Damaged
from azbackup.format.model import ChunkId, Entry, PackId, PackRecord
from azbackup.packs.layout import PackLayout

Piece = tuple[int, int, int]  # pack number, chunk number in the pack, offset in the file


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
        """Drops the map from chunk to pack: once all pieces are known nobody asks for it, and it is large."""
        self._places.clear()

    def pieces(self, entry: Entry) -> list[Piece]:
        """(pack number, chunk number, offset in the file) of a file's chunks. Raises Damaged if it is incomplete."""
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
