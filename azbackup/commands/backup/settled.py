"""Whether a change that comes after a reading would show in a file's times.

It would not within the same tick of the file system's clock, nor through a mapping that some process holds, nor where
there is no ctime. What may be changed unseen is stored with a ctime of 0, which matches nothing: it is read again by
the next run.
"""

from __future__ import annotations

from concurrent.futures import Future

from azbackup.filesystem.ticks import tick
from azbackup.format.model import Entry, Kind


class Mapped:
    """The inodes that were mapped for writing, and the moment, in Unix nanoseconds, before it was looked."""

    def __init__(self, at_ns: int, inodes: Future[frozenset[int]]) -> None:
        """`inodes` are waited for when the first file is in hand."""
        self._at_ns = at_ns
        self._coming = inodes
        self._inodes: frozenset[int] | None = None

    def may_hold(self, entry: Entry) -> bool:
        """Whether an entry's file may be mapped: it was, or has changed since."""
        if entry.kind != Kind.FILE:
            return False
        if self._inodes is None:
            self._inodes = self._coming.result()
        return entry.inode in self._inodes or entry.ctime_ns >= self._at_ns


def is_settled(entry: Entry, read_ns: int) -> bool:
    """Whether each change after `read_ns`, the moment before an entry was read, moves its times.

    A ctime is of the file system's clock, so one that is in the future may be of this moment. A modification time can
    be anything; it counts where it is of this moment, for file systems that know no ctime of their own.
    """
    ctime_ns, mtime_ns = entry.ctime_ns, entry.mtime_ns
    return read_ns - ctime_ns >= tick(ctime_ns) and abs(read_ns - mtime_ns) >= tick(mtime_ns)
