"""Which paths are large, and which grow: the bytes of directories and large files now, and some time before. Pure.

Promises memory for directories of two levels and a few files, whatever the number of entries is.
"""

from __future__ import annotations

import heapq
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from azbackup.format.model import Entry, Kind

_LEVELS = 2
_FILES = 100  # the largest ones that are kept


@dataclass(frozen=True)
class PathGrowth:
    """A directory, or a large file, of a source: its bytes and files now, and its bytes at a time before.

    `before` is None where nothing is known of an earlier time; `since` is that time, Unix seconds.
    """

    source: int
    path: str
    size: int
    files: int
    before: int | None
    since: float

    @property
    def grown(self) -> int:
        """By how many bytes it has grown."""
        return 0 if self.before is None else self.size - self.before


class PathSizes:
    """The bytes and files of directories, and the largest files, of one snapshot."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Goes through the entries once."""
        self.sizes: dict[bytes, int] = defaultdict(int)
        self.counts: dict[bytes, int] = defaultdict(int)
        largest: list[tuple[int, bytes]] = []
        for entry in entries:
            if entry.kind != Kind.FILE:
                continue
            for path in _above(entry.path):
                self.sizes[path] += entry.size
                self.counts[path] += 1
            if len(largest) < _FILES:
                heapq.heappush(largest, (entry.size, entry.path))
            elif entry.size > largest[0][0]:
                heapq.heapreplace(largest, (entry.size, entry.path))
        self.files = {path for _, path in largest}
        for size, path in largest:
            self.sizes[path], self.counts[path] = size, 1


def growth_of(source: int, now: PathSizes, before: PathSizes | None, since: float) -> list[PathGrowth]:
    """What is there now, compared with a time before."""
    return [
        PathGrowth(
            source,
            os.fsdecode(path),
            size,
            now.counts[path],
            _before(path, now, before),
            since,
        )
        for path, size in now.sizes.items()
    ]


def _before(path: bytes, now: PathSizes, before: PathSizes | None) -> int | None:
    """The bytes at a time before; of a file that was not among the largest ones then they are not known."""
    if before is None or (path in now.files and path not in before.sizes):
        return None
    return before.sizes.get(path, 0)


def _above(path: bytes) -> list[bytes]:
    """The directories of the first levels that a file lies in."""
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[:level]) for level in range(1, min(_LEVELS, len(parts)) + 1)]
