"""Packs into files: each pack is read once, opened chunk by chunk, and written wherever its chunks are wanted.

Promises that only bytes that were opened and checked reach a file, that a file appears when its last chunk is
written, and that a file which cannot be completed leaves nothing behind. The next pack is read while one is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from azbackup import codec
from azbackup.background import ahead
from azbackup.crypto import Keys, open_chunk
from azbackup.errors import Damaged, Missing
from azbackup.hasher import Hasher
from azbackup.model import Entry
from azbackup.plan import NeededPack, Piece, ranges
from azbackup.thawing import NotOnline
from azbackup.writer import Destination

_AHEAD = 1  # packs that are read while one is written: what bounds the memory of a restore
_WHOLE = 0.9  # of a pack wanted: it is read in one piece

_GROUP_BYTES = 1024 * 1024  # of plaintext that is opened at once, ...
_CHUNK_COST = 4 * 1024  # ... a small chunk counting as more than it holds
_GROUPS_AHEAD = 1
_SMALL_CHUNK = 256 * 1024  # larger ones, on average, are opened where they are written: that is where they are cached

Plain = bytes | memoryview
Spans = list[tuple[int, bytes]]


@dataclass(slots=True)
class WantedFile:
    """A file that is to be restored: its pieces, and how many of them are still to come.

    `put_off`: one of its packs could not be read after all, so that it waits for the next round.
    """

    entry: Entry
    pieces: list[Piece]
    left: int = 0
    failed: bool = False
    put_off: bool = False


class Listener(Protocol):
    """What the run wants to know of each file."""

    def done(self, entry: Entry) -> None:
        """The file is there."""

    def failed(self, entry: Entry, why: str) -> None:
        """The file could not be restored."""

    def damaged(self, what: str) -> None:
        """Stored data did not open."""

    def attempt(self, entry: Entry, action: Callable[[], None]) -> bool:
        """Whether a step at the destination worked; a failure is named."""


class Fetch:
    """Restores files from packs that can be read now."""

    def __init__(
        self, read: Callable[[NeededPack, int, int], bytes], keys: Keys, destination: Destination, listener: Listener
    ) -> None:
        self._read_range = read
        self._chunk_key = keys.chunk_key.reveal()
        self._hasher = Hasher(keys)
        self._destination = destination
        self._listener = listener

    def run(self, files: Sequence[WantedFile], packs: Sequence[NeededPack]) -> list[WantedFile]:
        """Restores the files, whose packs were all listed as readable; gives back those that were not after all."""
        uses: dict[int, dict[int, list[tuple[WantedFile, int]]]] = {}
        for file in files:
            file.left, file.put_off = len(file.pieces), False
            for pack, chunk, offset in file.pieces:
                uses.setdefault(pack, {}).setdefault(chunk, []).append((file, offset))
            if not file.pieces:
                self._finish(file)
        numbers = sorted(uses)
        calls = [lambda n=number: self._read(packs[n], sorted(uses[n])) for number in numbers]
        for number, spans in zip(numbers, ahead(calls, _AHEAD), strict=True):
            wanted = uses.pop(number)
            if spans is None:
                for each in wanted.values():
                    self._put_off(each)
            else:
                for chunk, plain in self._opened(packs[number], sorted(wanted), spans):
                    self._write_chunk(packs[number], chunk, plain, wanted[chunk])
        return [file for file in files if file.put_off and not file.failed]

    def _read(self, pack: NeededPack, chunks: list[int]) -> Spans | None:
        """(start, bytes) of the ranges that hold some chunks; [] of a pack that is gone, None of one not online."""
        wanted = ranges(pack, chunks)
        if sum(end - start for start, end in wanted) > _WHOLE * pack.record.size:
            wanted = [(0, pack.record.size)]
        try:
            return [(start, self._read_range(pack, start, end)) for start, end in wanted]
        except Missing:
            return []
        except NotOnline:
            return None

    def _put_off(self, wanted: list[tuple[WantedFile, int]]) -> None:
        for file, _ in wanted:
            if not file.put_off and not file.failed:
                file.put_off = True
                self._destination.discard(file.entry.path)

    def _opened(self, pack: NeededPack, chunks: list[int], spans: Spans) -> Iterator[tuple[int, Plain | Damaged]]:
        """Each chunk and its plaintext, or what is wrong with it. Small ones are opened while others are written."""
        groups: list[list[int]] = [[]]
        size = 0
        for chunk in chunks:
            if size >= _GROUP_BYTES:
                groups.append([])
                size = 0
            groups[-1].append(chunk)
            size += pack.record.plain[chunk] + _CHUNK_COST
        calls = (partial(self._open_group, pack, group, spans) for group in groups)
        small = sum(pack.record.plain[chunk] for chunk in chunks) < len(chunks) * _SMALL_CHUNK
        for opened in ahead(calls, _GROUPS_AHEAD) if small else (call() for call in calls):
            yield from opened

    def _open_group(self, pack: NeededPack, chunks: list[int], spans: Spans) -> list[tuple[int, Plain | Damaged]]:
        opened: list[tuple[int, Plain | Damaged]] = []
        for chunk in chunks:
            try:
                opened.append((chunk, self._open(pack, chunk, spans)))
            except Damaged as error:
                opened.append((chunk, error))
        return opened

    def _write_chunk(
        self, pack: NeededPack, chunk: int, plain: Plain | Damaged, wanted: list[tuple[WantedFile, int]]
    ) -> None:
        if isinstance(plain, Damaged):
            self._listener.damaged(f"pack {pack.pack_id}, chunk {chunk}: {plain.message}")
            for file, _ in wanted:
                self._give_up(file, f"pack {pack.pack_id} is damaged")
            return
        for file, offset in wanted:
            if not file.failed and not file.put_off:
                self._write(file, offset, plain)

    def _open(self, pack: NeededPack, chunk: int, spans: Spans) -> Plain:
        """The plaintext of a chunk: opened, decompressed, and its id checked again. Damaged."""
        start, size = pack.starts[chunk], pack.record.sealed[chunk]
        base, data = next((span for span in reversed(spans) if span[0] <= start), (start, b""))
        part = memoryview(data)[start - base : start - base + size]
        chunk_id = pack.chunk_id(chunk)
        plain = codec.decode_body(open_chunk(self._chunk_key, chunk_id, part))
        if self._hasher.chunk_id(plain) != chunk_id or len(plain) != pack.record.plain[chunk]:
            raise Damaged("a chunk opens but is not what its id says")
        return plain

    def _write(self, file: WantedFile, offset: int, plain: Plain) -> None:
        if not self._listener.attempt(file.entry, lambda: self._destination.write(file.entry, offset, plain)):
            file.failed = True
            self._destination.discard(file.entry.path)
            return
        file.left -= 1
        if file.left == 0:
            self._finish(file)

    def _finish(self, file: WantedFile) -> None:
        if self._listener.attempt(file.entry, lambda: self._destination.finish_file(file.entry)):
            self._listener.done(file.entry)
        else:
            file.failed = True
            self._destination.discard(file.entry.path)

    def _give_up(self, file: WantedFile, why: str) -> None:
        if not file.failed:
            file.failed = True
            self._listener.failed(file.entry, why)
            self._destination.discard(file.entry.path)
