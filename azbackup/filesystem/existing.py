"""What stands in the directory that is restored into, before anything is written: looked at by descriptor.

Promises that looking changes nothing, but for modes that keep their own user out, which are put back. A name that the
file system takes for another one's is no answer: Unwritable says so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Iterable, Iterator

from azbackup.filesystem.directories import Directories, Unwritable, join, split
from azbackup.filesystem.metadata import MetadataWriter
from azbackup.filesystem.places import at_name
from azbackup.filesystem.scanner import Filter, ScannedPath, scan
from azbackup.filesystem.temporaries import Temporaries, is_temporary
from azbackup.format.model import ChunkId, Entry, Kind

Identify = Callable[[bytes], ChunkId]  # the id of a chunk with these contents


class Existing:
    """What is there. Paths are relative to the root, '' for the root itself."""

    def __init__(self, directories: Directories, metadata: MetadataWriter, temporaries: Temporaries) -> None:
        self._directories = directories
        self._metadata = metadata
        self._temporaries = temporaries

    def is_empty(self) -> bool:
        """Whether nothing at all is there."""
        with os.scandir(self._directories.root) as found:
            return next(found, None) is None

    def look(self, path: bytes) -> os.stat_result | None:
        """What stands at a path now, None if nothing does that could be seen.

        Raises Unwritable where the file system takes another name for this one, or a file stands above it.
        """
        if not path:
            return self._directories.status_before(path)
        parent, name = split(path)
        try:
            status = os.stat(name, dir_fd=self._directories.at(parent, make=False), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        self._directories.check_name(parent, name)
        return status

    def space(self, path: bytes) -> os.statvfs_result:
        """What the file system of a directory says of itself. Raises OSError, Unwritable."""
        return os.fstatvfs(self._directories.at(path, make=False))

    def names(self, path: bytes) -> set[bytes]:
        """The names in a directory. Raises OSError, Unwritable."""
        return self._directories.names(path)

    def has_others(self, path: bytes, own: Container[bytes]) -> bool:
        """Whether a directory holds anything that is not among `own` paths."""
        try:
            names = self._directories.names(path)
        except OSError:
            return True
        return any(join(path, name) not in own and not is_temporary(name) for name in names)

    def below(self, path: bytes, filter_: Filter | None = None) -> Iterator[ScannedPath]:
        """What is below a directory on its file system, in path order; of what cannot be listed nothing.

        The filter hears of paths relative to that directory.
        """
        try:
            top = os.dup(self._directories.at(path, make=False))
        except (OSError, Unwritable):
            return
        try:
            device = os.fstat(top).st_dev
            for found in scan(top, filter_):
                if found.path:
                    found.skip = found.entry is not None and found.entry.device != device
                    found.path = join(path, found.path)
                    if not found.skip:
                        yield found
        finally:
            os.close(top)

    def target(self, path: bytes) -> bytes:
        """Where the symlink at a path points."""
        parent, name = split(path)
        return os.readlink(name, dir_fd=self._directories.at(parent, make=False))

    def holds(self, entry: Entry, lengths: Iterable[int], identify: Identify) -> bool:
        """Whether the file at an entry's path has its chunks, of these lengths."""
        parent, name = split(entry.path)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self._directories.at(parent, make=False))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return False
            ids = b"".join(identify(os.read(descriptor, length)) for length in lengths)
            return ids == entry.chunks and not os.read(descriptor, 1)
        finally:
            os.close(descriptor)

    def described(self, entry: Entry, status: os.stat_result) -> bool:
        """Whether mode, owner and attributes of what stands at an entry's path are the entry's."""
        parent, name = split(entry.path)
        directory = self._directories.at(parent, make=False)
        if entry.kind == Kind.DIRECTORY:
            return self._metadata.is_right(entry, status, self._directories.at(entry.path, make=False))
        return at_name(name, directory, lambda place, _: self._metadata.is_right(entry, status, place))

    def held_time(self, path: bytes, mtime_ns: int) -> int | None:
        """What the file system at a path makes of a time: whole seconds, the last year it knows. None: not known."""
        parent, _ = split(path)
        try:
            probe = self._temporaries.probe(parent)
        except (OSError, Unwritable):
            return None
        try:
            os.utime(probe, ns=(mtime_ns, mtime_ns))
            return os.fstat(probe).st_mtime_ns
        except OSError:
            return None
        finally:
            os.close(probe)
