"""The ids of chunks, however many: in memory as long as they are few, then sorted in a file that nobody else sees.

    ids -> a set -> (too many) a sorted run in the file -> (when one is looked for) all runs merged into one, sorted
    file = ids of 32 bytes each, ascending; of every 64th the first eight bytes are held

Promises that an id is found only if it was added: the file holds each whole, so that a bad byte of it loses one and
makes none up. It has no name, lasts as long as the run, and nothing that was stored depends on it: where it cannot be
made or the disk is full everything stays in memory.
"""

from __future__ import annotations

import os
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator

from azbackup.errors import AzbackupError
from azbackup.format.labels import CHUNK_ID_BYTES
from azbackup.format.model import ChunkId, split_ids
from azbackup.format.numbers import UINT64

MOST = 2**18  # ids that are held in memory: some 40 MB
_PARTS = 256  # of a run, by the first byte of an id: they are merged one by one
_BLOCK = 64  # ids that are read to find one
_KEY_BYTES = 8

Scratch = Callable[[], int]  # a new file without a name, open for reading and writing; raises OSError


def no_scratch() -> int:
    """Nowhere to put a file."""
    raise OSError("there is no place for a file")


class _Run:
    """Ids in a file, ascending, each once; with the first bytes of each block's first id they can be looked for."""

    def __init__(self, descriptor: int, at: int, begins: array[int]) -> None:
        """The run begins at byte `at`; ids with the first byte n are those from begins[n] to begins[n + 1]."""
        self._descriptor = descriptor
        self._at = at
        self._begins = begins

    def read(self, first: int, end: int) -> bytes:
        """The ids from the `first` on, before `end` or the last one. Raises AzbackupError where the disk fails."""
        wanted, at = (min(end, self._begins[-1]) - first) * CHUNK_ID_BYTES, self._at + first * CHUNK_ID_BYTES
        try:
            data = os.pread(self._descriptor, wanted, at)
            while len(data) < wanted and (more := os.pread(self._descriptor, wanted - len(data), at + len(data))):
                data += more
        except OSError as error:
            raise _unreadable(error.strerror or str(error)) from None
        if len(data) < wanted:
            raise _unreadable("it ends early")
        return data

    def part(self, number: int) -> bytes:
        """The ids with that first byte."""
        return self.read(self._begins[number], self._begins[number + 1])

    def __iter__(self) -> Iterator[ChunkId]:
        for number in range(_PARTS):
            yield from split_ids(self.part(number))


def _unreadable(why: str) -> AzbackupError:
    return AzbackupError(
        f"the list of stored chunks in this machine's cache directory cannot be read: {why}",
        "is the disk well? XDG_CACHE_HOME=/another/disk puts it elsewhere",
    )


class ChunkIds:
    """A set of chunk ids. Not for use by two threads."""

    def __init__(self, scratch: Scratch = no_scratch, most: int = MOST) -> None:
        """`scratch` makes a file for what is past `most` ids."""
        self._scratch = scratch
        self._most = most
        self._young: set[ChunkId] = set()
        self._spilled: list[_Run] = []  # not merged yet
        self._file: int | None = None  # that these are in
        self._size = 0  # its bytes
        self._sorted: _Run | None = None
        self._sorted_file: int | None = None
        self._keys = array(UINT64)  # of each block of it

    def add(self, chunk_id: ChunkId) -> None:
        """Adds one."""
        self._young.add(chunk_id)
        if len(self._young) > self._most:
            self._spill()

    def update(self, ids: Iterable[ChunkId]) -> None:
        """Adds several."""
        self._young.update(ids)
        if len(self._young) > self._most:
            self._spill()

    def clear(self) -> None:
        """Removes all."""
        self._young.clear()
        self._drop_files()

    def __contains__(self, chunk_id: object) -> bool:
        if chunk_id in self._young:
            return True
        if self._spilled:
            self._merge()
            return chunk_id in self  # where there was no room for it all are in memory now
        return self._sorted is not None and isinstance(chunk_id, bytes) and self._is_sorted_in(self._sorted, chunk_id)

    def issuperset(self, ids: Iterable[ChunkId]) -> bool:
        """Whether all of them were added."""
        return all(each in self for each in ids)

    def __iter__(self) -> Iterator[ChunkId]:
        if self._spilled:
            self._merge()
        if self._sorted is None:
            yield from self._young
            return
        yield from self._sorted
        yield from (each for each in self._young if not self._is_sorted_in(self._sorted, each))

    def _is_sorted_in(self, run: _Run, chunk_id: bytes) -> bool:
        key = int.from_bytes(chunk_id[:_KEY_BYTES], "big")
        at = bisect_right(self._keys, key) - 1
        while at >= 0:
            block = run.read(at * _BLOCK, (at + 1) * _BLOCK)
            if _is_in(block, chunk_id):
                return True
            if self._keys[at] != key:
                return False
            at -= 1  # the block begins with another id that has these first bytes: it may be the last of the one before
        return False

    def _spill(self) -> None:
        """Moves what is held in memory to the file."""
        ids = sorted(self._young)
        begins = array(UINT64, (bisect_left(ids, bytes([first])) for first in range(_PARTS)))
        begins.append(len(ids))
        try:
            if self._file is None:
                self._file, self._size = self._scratch(), 0
            _write(self._file, b"".join(ids), self._size)
        except OSError:
            self._most = sys.maxsize
            return
        self._spilled.append(_Run(self._file, self._size, begins))
        self._size += len(ids) * CHUNK_ID_BYTES
        self._young.clear()

    def _merge(self) -> None:
        """Makes one sorted run of all that are in files."""
        runs = [*self._spilled, *([self._sorted] if self._sorted is not None else [])]
        keys, begins, count = array(UINT64), array(UINT64, [0]), 0
        file = None
        try:
            file = self._scratch()
            for number in range(_PARTS):
                ids = sorted({each for run in runs for each in split_ids(run.part(number))})
                _write(file, b"".join(ids), count * CHUNK_ID_BYTES)
                keys.extend(int.from_bytes(each[:_KEY_BYTES], "big") for each in ids[-count % _BLOCK :: _BLOCK])
                count += len(ids)
                begins.append(count)
        except OSError:
            if file is not None:
                os.close(file)
            self._most = sys.maxsize
            for run in runs:
                self._young.update(run)
            self._drop_files()
            return
        self._drop_files()
        self._sorted_file, self._sorted, self._keys = file, _Run(file, 0, begins), keys

    def _drop_files(self) -> None:
        for file in (self._file, self._sorted_file):
            if file is not None:
                os.close(file)
        self._file = self._sorted_file = self._sorted = None
        self._spilled, self._keys = [], array(UINT64)


def _is_in(block: bytes, chunk_id: bytes) -> bool:
    """Whether an id is one of a block's, not merely bytes in the middle of two."""
    at = block.find(chunk_id)
    while at >= 0 and at % CHUNK_ID_BYTES:
        at = block.find(chunk_id, at + 1)
    return at >= 0 and len(chunk_id) == CHUNK_ID_BYTES


def _write(descriptor: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written
