"""Whether a change that comes after a reading would show in a file's times.

It would not within the same tick of the file system's clock, nor through a mapping that some process holds, nor where
there is no ctime. What may be changed unseen is stored with a ctime of 0, which matches nothing: it is read again by
the next run.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from azbackup.filesystem.ticks import tick
from azbackup.format.model import Entry, Kind


@dataclass(frozen=True)
class Mapped:
    """The inodes that were mapped for writing, and the moment, in Unix nanoseconds, before it was looked."""

    at_ns: int
    inodes: Future[frozenset[int]]

    def may_hold(self, entry: Entry) -> bool:
        """Whether an entry's file may be mapped: it was, or has changed since."""
        return entry.kind == Kind.FILE and (entry.ctime_ns >= self.at_ns or entry.inode in self.inodes.result())


def is_settled(entry: Entry, read_ns: int) -> bool:
    """Whether each change after `read_ns`, the moment before an entry was read, moves its times.

    A ctime is of the file system's clock, so one that is in the future may be of this moment. A modification time can
    be anything; it counts where it is of this moment, for file systems that know no ctime of their own.
    """
    ctime_ns, mtime_ns = entry.ctime_ns, entry.mtime_ns
    return read_ns - ctime_ns >= tick(ctime_ns) and abs(read_ns - mtime_ns) >= tick(mtime_ns)
