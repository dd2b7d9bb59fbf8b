"""Entries that are held in memory as small as they are in a record, gone through in their order, as often as needed.

A small file takes 40 to 60 bytes, where the objects take 500; they are other objects each time.

Promises that what comes out is what was put in; entries that are given are not to be changed after that.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import msgspec

from azbackup.format.compression import expanded, shrunk
from azbackup.format.labels import CHUNK_ID_BYTES, ITEM_CHUNKS
from azbackup.format.model import Entry

_BLOCK = 2048  # entries that are shrunk at once, and are objects at the same time
_ITEM_BYTES = ITEM_CHUNKS * CHUNK_ID_BYTES
_DEVICE_BITS = 64  # what is above them in a device, the source's number in a restore, is held apart
_DEVICE_MASK = (1 << _DEVICE_BITS) - 1

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])


class HeldEntries:
    """A row of entries. What is not a block yet is held as it is."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._blocks: list[_Block] = []
        self._rest: list[Entry] = []
        self._in_blocks = 0
        for entry in entries:
            self.append(entry)

    def append(self, entry: Entry) -> None:
        """Adds an entry at the end."""
        self._rest.append(entry)
        if len(self._rest) == _BLOCK:
            self._blocks.append(_Block(self._rest))
            self._in_blocks += _BLOCK
            self._rest = []

    def __len__(self) -> int:
        return self._in_blocks + len(self._rest)

    def __iter__(self) -> Iterator[Entry]:
        for block in self._blocks:
            yield from block.entries()
        yield from self._rest

    def __reversed__(self) -> Iterator[Entry]:
        yield from reversed(self._rest)
        for block in reversed(self._blocks):
            yield from reversed(block.entries())

    def taking(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The same entries on their way through: each is added here once the next one is asked for."""
        for entry in entries:
            yield entry
            self.append(entry)

    def drained(self) -> Iterator[Entry]:
        """All of them once more, and each is let go of: for what moves from one row to another."""
        blocks, rest = self._blocks[::-1], self._rest
        self._blocks, self._rest, self._in_blocks = [], [], 0
        while blocks:
            yield from blocks.pop().entries()
        yield from rest


class _Block:
    """Some entries, shrunk."""

    __slots__ = ("_data", "_long", "_sources")

    def __init__(self, entries: list[Entry]) -> None:
        self._long = {at: entry.chunks for at, entry in enumerate(entries) if len(entry.chunks) > _ITEM_BYTES}
        self._sources = array("I")  # of each, if any has one but 0
        if any(entry.device > _DEVICE_MASK for entry in entries):
            self._sources.extend(entry.device >> _DEVICE_BITS for entry in entries)
            entries = [msgspec.structs.replace(each, device=each.device & _DEVICE_MASK) for each in entries]
        for at in self._long:
            entries[at] = msgspec.structs.replace(entries[at], chunks=b"")
        self._data = shrunk(_encoder.encode(entries))

    def entries(self) -> list[Entry]:
        """They are made anew."""
        found = _decoder.decode(expanded(self._data))
        for at, chunks in self._long.items():
            found[at].chunks = chunks
        for entry, source in zip(found, self._sources, strict=False):
            entry.device += source << _DEVICE_BITS
        return found
