"""The last step of a restore: entries become files below one directory, and nowhere else.

Promises: a file appears under its name only when all of its bytes and its metadata are right, by rename from a
temporary name; directories get their metadata last. A run that was killed leaves temporary names behind that the next
run takes over. Refuses to remove what it did not make.
"""

from __future__ import annotations

import errno
import os
import resource
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from azbackup.errors import AzbackupError
from azbackup.filesystem.directories import Directories, Unwritable, split
from azbackup.filesystem.metadata import TYPES, MetadataWriter
from azbackup.filesystem.scanner import scan
from azbackup.format.model import ChunkId, Entry, Kind

_TEMPORARY = (b".azbackup-", b".part")
_OPEN_FILES = 32
_HOLE = 4096
_ZEROS = bytes(_HOLE)


Identify = Callable[[bytes], ChunkId]  # the id of a chunk with these contents


def is_temporary(name: bytes) -> bool:
    """Whether a name is one of the writer's own."""
    return name.startswith(_TEMPORARY[0]) and name.endswith(_TEMPORARY[1])


def _temporary_name(name: bytes) -> bytes:
    return _TEMPORARY[0] + blake2b(name, digest_size=8).hexdigest().encode() + _TEMPORARY[1]


def open_destination(path: bytes | None) -> Destination:
    """The directory, made when it is not there. AzbackupError when it cannot be made or written to."""
    assert path is not None, "only a plan has no destination"
    shown = os.fsdecode(path)
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        raise AzbackupError(f"the destination is not a directory: {shown}", "give a directory") from None
    except OSError as error:
        raise AzbackupError(
            f"cannot make the destination {shown}: {error.strerror}", "give another directory"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK | os.R_OK):
        raise AzbackupError(f"the destination is not writable: {shown}", "check its permissions, or give another one")
    return Destination(path, owner=os.geteuid() == 0)


def already_holds(path: bytes, own: set[bytes]) -> bytes | None:
    """The first path below the destination that is not in `own`; None when there is none but the writer's leftovers."""
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for found in scan(root):
            name = found.path.rpartition(b"/")[2]
            if found.path and found.path not in own and not found.gone and not is_temporary(name):
                return found.path
    finally:
        os.close(root)
    return None


@dataclass(slots=True)
class _Partial:
    """Something on its way: its directory and name, its temporary name, and that one's descriptor (-1: not open)."""

    parent: bytes
    name: bytes
    temporary: bytes
    descriptor: int = -1


class Destination:
    """The directory that is restored into."""

    def __init__(self, directory: bytes, *, owner: bool) -> None:
        """Opens the directory, which exists. `owner`: whether uid and gid are set (only root may)."""
        self._directories = Directories(directory, owner=owner)
        self._metadata = MetadataWriter(owner=owner)
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_files = max(2, min(_OPEN_FILES, descriptors // 8))
        self._partial: dict[bytes, _Partial] = {}  # by the path that it is to appear under
        self._open: OrderedDict[bytes, _Partial] = OrderedDict()  # those that are open, the least recently used first

    @property
    def skipped_xattrs(self) -> set[str]:
        """The names of extended attributes that could not be set."""
        return self._metadata.skipped_xattrs

    def close(self) -> None:
        """Removes the temporary files of what was not finished, and lets go of the directory."""
        for path in list(self._partial):
            self.discard(path)
        self._directories.close()

    # --- directories

    def make_directory(self, entry: Entry) -> None:
        """The directory, writable for now; `finish_directory` gives it its metadata when all is in it."""
        self._directories.make(entry)

    def finish_directory(self, entry: Entry) -> None:
        """The directory's own metadata. To be called for the deepest directories first."""
        self._metadata.describe(entry, self._directories.at(entry.path))

    # --- what is there already

    def is_empty(self) -> bool:
        """Whether nothing at all is there."""
        return self._directories.is_empty()

    def look(self, path: bytes) -> os.stat_result | None:
        """What stands at a path now, None if nothing does that could be seen; nothing is made."""
        parent, name = split(path)
        try:
            return os.stat(name, dir_fd=self._directories.at(parent, make=False), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a symlink on the way: the writing will say so
                return None
            raise

    def read(self, path: bytes) -> int:
        """A descriptor of the file at a path, for reading."""
        parent, name = split(path)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=self._directories.at(parent, make=False))

    def target(self, path: bytes) -> bytes:
        """Where the symlink at a path points."""
        parent, name = split(path)
        return os.readlink(name, dir_fd=self._directories.at(parent))

    def holds(self, entry: Entry, lengths: Sequence[int], identify: Identify) -> bool:
        """Whether the file at an entry's path has its chunks, of these lengths."""
        descriptor = self.read(entry.path)
        try:
            ids = b"".join(identify(os.read(descriptor, length)) for length in lengths)
            return ids == entry.chunks and not os.read(descriptor, 1)
        finally:
            os.close(descriptor)

    # --- files

    def write(self, entry: Entry, offset: int, data: bytes | memoryview) -> None:
        """Writes a piece of a file into its temporary, which the first piece makes."""
        partial = self._open.get(entry.path) or self._open_partial(entry.path)
        (_write_sparse if entry.sparse else _write_all)(partial.descriptor, data, offset)

    def finish_file(self, entry: Entry) -> None:
        """Size and metadata, then the rename: from here on the file is there, and right."""
        partial = self._open.get(entry.path) or self._open_partial(entry.path)
        if entry.sparse:
            os.ftruncate(partial.descriptor, entry.size)
        self._metadata.describe(entry, partial.descriptor)
        self._close(entry.path)
        self._appear(entry.path, partial)

    def _open_partial(self, path: bytes) -> _Partial:
        """A file's temporary, made or opened again; the least recently opened of too many is closed."""
        partial = self._partial.get(path)
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        if partial is None:
            partial = _new_partial(path)
            flags |= os.O_CREAT | os.O_EXCL
        directory = self._directories.at(partial.parent)
        try:
            partial.descriptor = os.open(partial.temporary, flags, 0o600, dir_fd=directory)
        except FileExistsError:  # left by a run that was killed
            os.unlink(partial.temporary, dir_fd=directory)
            partial.descriptor = os.open(partial.temporary, flags, 0o600, dir_fd=directory)
        self._partial[path] = self._open[path] = partial
        if len(self._open) > self._most_files:
            self._close(next(iter(self._open)))
        return partial

    def _close(self, path: bytes) -> None:
        partial = self._open.pop(path, None)
        if partial is not None:
            os.close(partial.descriptor)
            partial.descriptor = -1

    def _appear(self, path: bytes, partial: _Partial) -> None:
        """The temporary gets its name."""
        directory = self._directories.at(partial.parent)
        try:
            os.rename(partial.temporary, partial.name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError as error:
            self.discard(path)
            if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
                raise Unwritable("a directory is in the way") from None
            raise
        del self._partial[path]

    def discard(self, path: bytes) -> None:
        """Removes the temporary of a file that will not be finished."""
        self._close(path)
        partial = self._partial.pop(path, None)
        if partial is not None:
            _unlink_if_there(partial.temporary, self._directories.at(partial.parent))

    # --- everything else

    def make_special(self, entry: Entry) -> None:
        """A symlink, fifo or device, with its metadata, by rename."""
        partial = _new_partial(entry.path)
        directory = self._directories.at(partial.parent)
        _unlink_if_there(partial.temporary, directory)
        self._partial[entry.path] = partial
        if entry.kind == Kind.SYMLINK:
            os.symlink(entry.target, partial.temporary, dir_fd=directory)
        else:
            try:
                os.mknod(partial.temporary, TYPES[Kind(entry.kind)] | 0o600, entry.rdev, dir_fd=directory)
            except PermissionError:
                raise Unwritable("only root can make a device") from None
        self._metadata.describe_unopened(entry, partial.temporary, directory)
        self._appear(entry.path, partial)

    def make_link(self, path: bytes, leader: bytes) -> None:
        """A hard link to a file that was restored before."""
        above, leader_name = split(leader)
        # Two descriptors at once: the second call may let go of the first one's, so that one is held apart.
        source = os.dup(self._directories.at(above))
        try:
            partial = _new_partial(path)
            directory = self._directories.at(partial.parent)
            _unlink_if_there(partial.temporary, directory)
            self._partial[path] = partial
            os.link(leader_name, partial.temporary, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
            self._appear(path, partial)
        finally:
            os.close(source)


def _new_partial(path: bytes) -> _Partial:
    parent, name = split(path)
    return _Partial(parent, name, _temporary_name(name))


def _unlink_if_there(name: bytes, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass


def _write_all(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count


def _write_sparse(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Writes what is not zero; blocks of zeros, aligned in the file, stay holes."""
    data = bytes(data)  # whose parts are compared at once, those of a view byte by byte
    start: int | None = None
    at = 0
    while at < len(data):
        end = min(len(data), at + _HOLE - (offset + at) % _HOLE)
        hollow = data[at:end] == _ZEROS[: end - at]
        if hollow and start is not None:
            _write_all(descriptor, data[start:at], offset + start)
            start = None
        elif not hollow and start is None:
            start = at
        at = end
    if start is not None:
        _write_all(descriptor, data[start:], offset + start)
