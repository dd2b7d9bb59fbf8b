"""Large files go on where an earlier run of the same restore was broken off.

Promises that a chunk of what was left counts only if it has the id that it should have, read in this run from a file
that nobody else holds or may write to; and that what is of no use is removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from azbackup.filesystem.directories import Unwritable
from azbackup.filesystem.existing import Identify
from azbackup.filesystem.temporaries import Temporaries
from azbackup.format.model import ChunkId, Entry


class Resuming:
    """The large files of one run."""

    def __init__(self, temporaries: Temporaries) -> None:
        self._temporaries = temporaries

    def expect(self, entries: Iterable[Entry]) -> None:
        """These files are going to be written: what was left of large ones stays. Before directories are made."""
        self._temporaries.leftovers.expect(entries)

    def is_kept(self, entry: Entry) -> bool:
        """Whether what was written of a file stays until it goes on."""
        return self._temporaries.leftovers.name(entry.path) is not None

    @property
    def any_expected(self) -> bool:
        """Whether any of the files is a large one."""
        return bool(self._temporaries.leftovers.expected)

    def resume(self, entry: Entry, chunks: Iterable[tuple[int, int, ChunkId]], identify: Identify) -> bytearray:
        """Goes on with what an earlier run left of a large file: one byte for each chunk, 1 if it is there.

        `chunks` are offset, length and id. Each is read, and counts if its id is that of what is read.
        """
        try:
            descriptor = self._temporaries.adopt(entry.path)
            if descriptor is None:
                return bytearray()
            os.ftruncate(descriptor, min(os.fstat(descriptor).st_size, entry.size))
            right = bytearray(_has(descriptor, at, length, known, identify) for at, length, known in chunks)
        except (OSError, Unwritable):
            right = bytearray()
        if not any(right):
            self._temporaries.discard(entry.path)
        return right


def _has(descriptor: int, at: int, length: int, known: ChunkId, identify: Identify) -> bool:
    """Whether a chunk is there. What is there in its place becomes zeros: where a file has holes nobody writes them."""
    data = os.pread(descriptor, length, at)
    if identify(data) == known:
        return True
    if data.count(0) != len(data):
        os.pwrite(descriptor, bytes(len(data)), at)
    return False
