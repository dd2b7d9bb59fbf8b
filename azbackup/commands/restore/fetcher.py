"""Packs into files: each pack is read span by span, opened chunk by chunk, and written wherever it is wanted.

Promises that only bytes that were opened and checked reach a file, that a file whose last chunk is written appears
with its batch, and that a file which cannot be completed leaves nothing behind. The next spans are read while one is
written.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol

from azbackup.commands.restore.files import Files, Part, WantedFile
from azbackup.errors import AzbackupError, Damaged, Missing
from azbackup.filesystem.destination import Destination
from azbackup.filesystem.existing import Identify
from azbackup.filesystem.whole_files import SMALL_BYTES
from azbackup.format.model import ChunkId, Entry, PackId
from azbackup.format.numbers import UINT64
from azbackup.packs.index import Place, pairs, place_after
from azbackup.packs.layout import PackLayout, Span, spans
from azbackup.packs.reader import PackReader, Plain
from azbackup.packs.thaw.states import NotOnline
from azbackup.workers import ahead

_AHEAD = 2  # spans that are read while one is written: what bounds the memory of a restore


Read = Callable[[PackLayout, int, int], bytes]  # the bytes of a pack
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


class PutOff(NamedTuple):
    """Whether any files could not be read after all, and whether for some of them another pack is to be read."""

    some: bool = False
    moved: bool = False


class Fetcher:
    """Restores files from packs that can be read now."""

    def __init__(
        self,
        read: Read,
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
        self._put_off_files: list[WantedFile] = []  # large ones, of which something is kept, in this round
        self._any_put_off = self._any_moved = False  # in this round

    def run(self, files: Files, packs: list[PackLayout]) -> PutOff:
        """Restores the files that are ready, whose packs were all listed as readable; some may not be after all.

        Those wait again. A chunk that does not open is looked for in the next pack that is said to hold it, which joins
        `packs`. Of what several segments need of a pack each reads its own.
        """
        self._rejected.clear()
        self._put_off_files.clear()
        self._any_put_off = self._any_moved = False
        for segment in files.segments(packs):
            self._run_segment(segment, packs)
        self._settle()
        for file in self._put_off_files:
            if file.there and not file.failed:  # what was paid for is not fetched again
                _keep(files, file, packs)
        return PutOff(self._any_put_off, self._any_moved)

    def _run_segment(self, segment: list[Part], packs: list[PackLayout]) -> None:
        uses: dict[int, Wanted] = {}
        for part in segment:
            for pack, chunk, offset in part.wanted(packs):
                uses.setdefault(pack, {}).setdefault(chunk, []).append((part.file, offset))
            if part.file.left == 0 and part.offset == 0:
                self._finish(part.file) if part.file.entry.size else self._put(part.file, b"")
        reads = [(number, span) for number in sorted(uses) for span in spans(packs[number], sorted(uses[number]))]
        results = ahead((partial(_read, self._read_range, packs[number], span) for number, span in reads), _AHEAD)
        for number, span in reads:
            first = uses[number][span.chunks[0]][0][0]
            self._listener.wrote(first.entry, 0, first.written)  # it is in hand while its bytes are waited for
            self._restore(packs, number, span, next(results), uses[number])

    def resume(self, files: Files, packs: list[PackLayout], identify: Identify) -> None:
        """Goes on with large files of which an earlier run has left something: only the rest is to be fetched."""
        if not self._destination.resuming.any_expected:
            return
        for file in files:
            if not self._destination.resuming.is_kept(file.entry):
                continue
            self._listener.wrote(file.entry, 0, 0)
            right = self._destination.resuming.resume(file.entry, _chunks(file, packs), identify)
            if any(right):
                files.have(file.number, right)

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
                again = _read(self._read_range, pack, span)
                if again and again != data:
                    yield from islice(self._reader.chunks(pack, span, again), place, None)
                    return
            yield chunk, plain

    def _put_off(self, wanted: list[tuple[WantedFile, int]]) -> None:
        self._any_put_off = True
        for file, _ in wanted:
            if not file.put_off and not file.failed:
                file.wait()
                if self._destination.resuming.is_kept(file.entry):
                    self._put_off_files.append(file)
                else:
                    self._destination.discard(file.entry.path)

    def _look_elsewhere(
        self, packs: list[PackLayout], place: Place, wanted: list[tuple[WantedFile, int]], why: str
    ) -> None:
        """The chunk is read from another pack in the next round; without one its files are given up: that is `why`."""
        other = place_after(packs, *place)
        if other is None:
            for file, _ in wanted:
                self._give_up(file, why)
            return
        self._put_off(wanted)
        self._any_moved = True
        for file in {file.number: file for file, _ in wanted}.values():
            file.move(place, other)

    def _write_chunk(self, plain: Plain, wanted: list[tuple[WantedFile, int]]) -> None:
        for file, offset in wanted:
            if not file.failed and not file.put_off:
                if file.left == 1 and len(plain) == file.entry.size <= SMALL_BYTES:
                    self._put(file, plain)
                else:
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
            file.fail()
            self._destination.discard(file.entry.path)
            return
        file.left -= 1
        file.written += len(plain)
        if self._destination.resuming.is_kept(file.entry):
            if file.there is None:
                file.there = array(UINT64)
            file.there.append(offset)
        self._listener.wrote(file.entry, len(plain), file.written)
        if file.left == 0:
            self._finish(file)

    def _put(self, file: WantedFile, plain: Plain) -> None:
        """The file is its only chunk, or empty."""
        self._destination.put(file.entry, plain)
        file.left = 0
        file.written = len(plain)
        self._listener.wrote(file.entry, len(plain), len(plain))
        self._await(file)

    def _finish(self, file: WantedFile) -> None:
        """The file is complete: it appears with its batch."""
        if not self._listener.attempt(file.entry, lambda: self._destination.prepare(file.entry)):
            file.fail()
            self._destination.discard(file.entry.path)
            return
        self._await(file)

    def _await(self, file: WantedFile) -> None:
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
                file.fail()

    def _give_up(self, file: WantedFile, why: str) -> None:
        if not file.failed:
            file.fail(lost=True)
            self._listener.failed(file.entry, why)
            self._destination.discard(file.entry.path)


def _read(read: Read, pack: PackLayout, span: Span) -> bytes | None:
    """The bytes of a span: b'' of a pack that is gone, None of one that is not online."""
    try:
        return read(pack, span.start, span.end)
    except Missing:
        return b""
    except NotOnline:
        return None


def _raise_if(error: Exception | None) -> None:
    if error is not None:
        raise error


def _chunks(file: WantedFile, packs: list[PackLayout]) -> Iterator[tuple[int, int, ChunkId]]:
    """(offset, length, id) of a file's chunks."""
    offset = 0
    for pack, chunk in pairs(file.places):
        length = packs[pack].record.plain[chunk]
        yield offset, length, packs[pack].chunk_id(chunk)
        offset += length


def _keep(files: Files, file: WantedFile, packs: list[PackLayout]) -> None:
    """Notes which chunks of a file are in its temporary."""
    there = set(file.there or ())
    files.have(file.number, bytearray(offset in there for offset, _, _ in _chunks(file, packs)))
