"""Packs into files: each pack is read once, span by span, opened chunk by chunk, and written wherever it is wanted.

Promises that only bytes that were opened and checked reach a file, that a file whose last chunk is written appears
with its batch, and that a file which cannot be completed leaves nothing behind. The next spans are read while one is
written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Protocol

from azbackup.errors import AzbackupError, Damaged, Missing
from azbackup.filesystem.destination import Destination
from azbackup.filesystem.existing import Identify
from azbackup.format.model import Entry, PackId
from azbackup.packs.index import Piece, place_after
from azbackup.packs.layout import PackLayout, Span, spans
from azbackup.packs.reader import PackReader, Plain
from azbackup.packs.thaw.states import NotOnline
from azbackup.workers import ahead

_AHEAD = 2  # spans that are read while one is written: what bounds the memory of a restore


@dataclass(slots=True)
class WantedFile:
    """A file that is to be restored: its pieces, and how many of them are still to come.

    `failed`: it could not be restored, `lost` if that is for its contents. `put_off`: one of its packs could not be
    read after all, so that it waits for the next round; `moved` if another pack is to be read instead. Files of a lower
    `rank` are thawed and written before others.
    """

    entry: Entry
    pieces: list[Piece]
    left: int = 0
    written: int = 0  # bytes, in this round
    there: set[int] = field(default_factory=set)  # offsets of chunks that are in its temporary, if that is kept
    failed: bool = False
    lost: bool = False
    put_off: bool = False
    moved: bool = False
    rank: int = 0


Wanted = dict[int, list[tuple[WantedFile, int]]]  # by chunk of a pack: the files it is for, and where in them


class Listener(Protocol):
    """What the run wants to know of each file."""

    def done(self, entry: Entry) -> None:
        """The file is there."""

    def failed(self, entry: Entry, why: str) -> None:
        """The file could not be restored."""

    def damaged(self, what: str) -> None:
        """Stored data did not open."""

    def wrote(self, entry: Entry, size: int, done: int) -> None:
        """`size` more bytes of the file are there, `done` in all."""

    def attempt(self, entry: Entry, action: Callable[[], None]) -> bool:
        """Whether a step at the destination worked; a failure is named."""


class Fetcher:
    """Restores files from packs that can be read now."""

    def __init__(
        self,
        read: Callable[[PackLayout, int, int], bytes],
        reader: PackReader,
        destination: Destination,
        listener: Listener,
        reject: Callable[[PackLayout], bool] = lambda _: False,
    ) -> None:
        """`read` gives the bytes of a pack from the place where they can be read now; `reader` opens them.

        `reject` is asked once about a pack that does not open: whether that was the fault of a thawed copy.
        """
        self._read_range = read
        self._reader = reader
        self._destination = destination
        self._listener = listener
        self._reject = reject
        self._read_twice: set[PackId] = set()  # packs of which a span did not open at first
        self._asked: set[PackId] = set()  # packs that `reject` was asked about
        self._rejected: set[PackId] = set()  # those of them whose copy was at fault, in this round
        self._ready: dict[bytes, WantedFile] = {}  # complete, and not on the disk yet

    def run(self, files: list[WantedFile], packs: list[PackLayout]) -> list[WantedFile]:
        """Restores the files, whose packs were all listed as readable; gives back those that were not after all.

        A chunk that does not open is looked for in the next pack that is said to hold it, which joins `packs`.
        """
        uses: dict[int, Wanted] = {}
        self._rejected.clear()
        for file in files:
            file.left, file.written, file.put_off, file.moved = len(file.pieces), 0, False, False
            for pack, chunk, offset in file.pieces:
                uses.setdefault(pack, {}).setdefault(chunk, []).append((file, offset))
            if not file.pieces:
                self._finish(file)
        reads = [(number, span) for number in sorted(uses) for span in spans(packs[number], sorted(uses[number]))]
        results = ahead((partial(self._read, packs[number], span) for number, span in reads), _AHEAD)
        for number, span in reads:
            first = uses[number][span.chunks[0]][0][0]
            self._listener.wrote(first.entry, 0, first.written)  # it is in hand while its bytes are waited for
            self._restore(packs, number, span, next(results), uses[number])
        self._settle()
        for file in files:
            if file.put_off and file.there:  # what was paid for is not fetched again
                file.pieces = [piece for piece in file.pieces if piece[2] not in file.there]
        return [file for file in files if file.put_off and not file.failed]

    def resume(self, files: Sequence[WantedFile], packs: list[PackLayout], identify: Identify) -> None:
        """Goes on with large files of which an earlier run has left something: only the rest is to be fetched."""
        for file in files:
            if not self._destination.resuming.is_kept(file.entry):
                continue
            self._listener.wrote(file.entry, 0, 0)
            chunks = [
                (at, packs[pack].record.plain[chunk], packs[pack].chunk_id(chunk)) for pack, chunk, at in file.pieces
            ]
            right = self._destination.resuming.resume(file.entry, chunks, identify)
            file.pieces = [piece for piece in file.pieces if piece[2] not in right]

    def _read(self, pack: PackLayout, span: Span) -> bytes | None:
        """The bytes of a span: b'' of a pack that is gone, None of one that is not online."""
        try:
            return self._read_range(pack, span.start, span.end)
        except Missing:
            return b""
        except NotOnline:
            return None

    def _restore(self, packs: list[PackLayout], number: int, span: Span, data: bytes | None, uses: Wanted) -> None:
        """Writes what is wanted of a span, and forgets who wanted it."""
        pack = packs[number]
        wanted = [uses.pop(chunk) for chunk in span.chunks]
        if data is None:
            for each in wanted:
                self._put_off(each)
        else:
            for (chunk, plain), each in zip(self._opened(pack, span, data), wanted, strict=True):
                if isinstance(plain, Damaged) and self._is_rejected(pack):
                    self._put_off(each)
                elif isinstance(plain, Damaged):
                    self._listener.damaged(f"pack {pack.pack_id}, chunk {chunk}: {plain.message}")
                    self._look_elsewhere(packs, (number, chunk), each, f"pack {pack.pack_id} is damaged")
                elif isinstance(plain, AzbackupError):  # sound, and of a newer version: the others still come
                    self._look_elsewhere(packs, (number, chunk), each, plain.message)
                else:
                    self._write_chunk(plain, each)

    def _opened(self, pack: PackLayout, span: Span, data: bytes) -> Iterator[tuple[int, Plain | AzbackupError]]:
        """The chunks of a span. Where one does not open the span is read once more, once for each pack.

        What went bad on its way is sound where it is stored.
        """
        for place, (chunk, plain) in enumerate(self._reader.chunks(pack, span, data)):
            if isinstance(plain, Damaged) and data and pack.pack_id not in self._read_twice:
                self._read_twice.add(pack.pack_id)
                again = self._read(pack, span)
                if again and again != data:
                    yield from islice(self._reader.chunks(pack, span, again), place, None)
                    return
            yield chunk, plain

    def _put_off(self, wanted: list[tuple[WantedFile, int]]) -> None:
        for file, _ in wanted:
            if not file.put_off and not file.failed:
                file.put_off = True
                if not self._destination.resuming.is_kept(file.entry):
                    self._destination.discard(file.entry.path)

    def _look_elsewhere(
        self, packs: list[PackLayout], place: tuple[int, int], wanted: list[tuple[WantedFile, int]], why: str
    ) -> None:
        """The chunk is read from another pack in the next round; without one its files are given up: that is `why`."""
        other = place_after(packs, *place)
        if other is None:
            for file, _ in wanted:
                self._give_up(file, why)
            return
        self._put_off(wanted)
        for file in {id(file): file for file, _ in wanted}.values():
            file.moved = True
            file.pieces = [
                (*other, offset) if (pack, chunk) == place else (pack, chunk, offset)
                for pack, chunk, offset in file.pieces
            ]

    def _write_chunk(self, plain: Plain, wanted: list[tuple[WantedFile, int]]) -> None:
        for file, offset in wanted:
            if not file.failed and not file.put_off:
                self._write(file, offset, plain)

    def _is_rejected(self, pack: PackLayout) -> bool:
        """Whether what was read is a copy that is not the pack; a second one is not asked for in one restore."""
        if pack.pack_id not in self._asked:
            self._asked.add(pack.pack_id)
            if self._reject(pack):
                self._rejected.add(pack.pack_id)
        return pack.pack_id in self._rejected

    def _write(self, file: WantedFile, offset: int, plain: Plain) -> None:
        if not self._listener.attempt(file.entry, lambda: self._destination.write(file.entry, offset, plain)):
            file.failed = True
            self._destination.discard(file.entry.path)
            return
        file.left -= 1
        file.written += len(plain)
        if self._destination.resuming.is_kept(file.entry):
            file.there.add(offset)
        self._listener.wrote(file.entry, len(plain), file.written)
        if file.left == 0:
            self._finish(file)

    def _finish(self, file: WantedFile) -> None:
        """The file is complete: it appears with its batch."""
        if not self._listener.attempt(file.entry, lambda: self._destination.prepare(file.entry)):
            file.failed = True
            self._destination.discard(file.entry.path)
            return
        self._ready[file.entry.path] = file
        if self._destination.is_due:
            self._settle(wait=False)

    def _settle(self, *, wait: bool = True) -> None:
        """The files that are complete get their names, once they are on the disk."""
        for path, error in self._destination.settle(wait=wait):
            file = self._ready.pop(path)
            if self._listener.attempt(file.entry, partial(_raise_if, error)):
                self._listener.done(file.entry)
            else:
                file.failed = True

    def _give_up(self, file: WantedFile, why: str) -> None:
        if not file.failed:
            file.failed = file.lost = True
            self._listener.failed(file.entry, why)
            self._destination.discard(file.entry.path)


def _raise_if(error: Exception | None) -> None:
    if error is not None:
        raise error
