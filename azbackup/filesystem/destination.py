"""The last step of a restore: entries become files below one directory, and nowhere else.

Promises: every step of a path is opened relative to its parent without following links, and names that could lead
elsewhere are refused as damaged; a file appears under its name only when all of its bytes and its metadata are right,
by rename from a temporary name; directories get their metadata last. A run that was killed leaves temporary names
behind that the next run takes over. Refuses to remove what it did not make.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from azbackup.errors import AzbackupError, Damaged
from azbackup.format.model import ChunkId, Entry, Kind

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY = (b".azbackup-", b".part")
_OPEN_DIRECTORIES = 64
_OPEN_FILES = 32
_HOLE = 4096
_FORMATS = {
    Kind.FIFO: stat.S_IFIFO,
    Kind.CHARACTER_DEVICE: stat.S_IFCHR,
    Kind.BLOCK_DEVICE: stat.S_IFBLK,
}
_ZEROS = bytes(_HOLE)
_WRONG = (b"//", b"/./", b"/../", b"\0")  # in a path between slashes


Identify = Callable[[bytes], ChunkId]  # the id of a chunk with these contents


class Unwritable(Exception):
    """One path could not be restored; the text says why. The run goes on with the others."""


def check_path(path: bytes) -> None:
    """Damaged unless every component of a stored path is a plain name."""
    inside = b"/" + path + b"/"
    if path and any(wrong in inside for wrong in _WRONG):
        raise Damaged(f"a stored path leads elsewhere: {os.fsdecode(path)!r}")


def is_temporary(name: bytes) -> bool:
    """Whether a name is one of the writer's own."""
    return name.startswith(_TEMPORARY[0]) and name.endswith(_TEMPORARY[1])


def out_of_space(error: OSError) -> AzbackupError | None:
    """The error that ends a restore when the disk is full, None for any other."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AzbackupError(
            f"the destination is full: {error.strerror}",
            "free some space and run the same command again: it goes on",
        )
    return None


def _temporary_name(name: bytes) -> bytes:
    return _TEMPORARY[0] + blake2b(name, digest_size=8).hexdigest().encode() + _TEMPORARY[1]


def _split(path: bytes) -> tuple[bytes, bytes]:
    parent, _, name = path.rpartition(b"/")
    return parent, name


@dataclass(slots=True)
class _Partial:
    """Something on its way: its directory and name, its temporary name, and that one's descriptor (-1: not open)."""

    parent: bytes
    name: bytes
    temporary: bytes
    descriptor: int = -1


class Destination:
    """The directory that is restored into."""

    def __init__(self, directory: bytes, owner: bool) -> None:
        """Opens the directory, which exists. `owner`: whether uid and gid are set (only root may)."""
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._owner = owner
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_directories = max(4, min(_OPEN_DIRECTORIES, descriptors // 4))
        self._most_files = max(2, min(_OPEN_FILES, descriptors // 8))
        self._descriptors: OrderedDict[bytes, int] = OrderedDict()
        self._partial: dict[bytes, _Partial] = {}  # by the path that it is to appear under
        self._open: OrderedDict[bytes, _Partial] = OrderedDict()  # those that are open, the least recently used first
        self.skipped_xattrs: set[str] = set()

    def close(self) -> None:
        """Removes the temporary files of what was not finished, and lets go of the directory."""
        for path in list(self._partial):
            self.discard(path)
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()
        os.close(self._root)

    # --- directories

    def _directory(self, path: bytes, make: bool = True) -> int:
        """A descriptor of a directory below the root, made on the way when missing; valid until the next call."""
        names: list[bytes] = []
        while path and path not in self._descriptors:
            path, name = _split(path)
            names.append(name)
        descriptor = self._root
        if path:
            descriptor = self._descriptors[path]
            self._descriptors.move_to_end(path)
        for name in reversed(names):
            descriptor = self._enter(descriptor, name) if make else os.open(name, _DIRECTORY_FLAGS, dir_fd=descriptor)
            path = path + b"/" + name if path else name
            self._descriptors[path] = descriptor
            if len(self._descriptors) > self._most_directories:
                _, oldest = self._descriptors.popitem(last=False)
                os.close(oldest)
        return descriptor

    def _enter(self, above: int, name: bytes) -> int:
        try:
            os.mkdir(name, 0o700, dir_fd=above)
        except FileExistsError:
            pass
        try:
            return os.open(name, _DIRECTORY_FLAGS, dir_fd=above)
        except PermissionError:  # from an earlier run, which has given it its final mode
            os.chmod(name, 0o700, dir_fd=above)
            return os.open(name, _DIRECTORY_FLAGS, dir_fd=above)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Unwritable("something that is not a directory is in the way") from None
            raise

    def make_directory(self, entry: Entry) -> None:
        """The directory, writable for now; `finish_directory` gives it its metadata when all is in it."""
        descriptor = self._directory(entry.path)
        status = os.fstat(descriptor)
        if not self._owner and entry.path and stat.S_IMODE(status.st_mode) & 0o700 != 0o700:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) | 0o700)

    def finish_directory(self, entry: Entry) -> None:
        """The directory's own metadata. To be called for the deepest directories first."""
        self._describe(entry, self._directory(entry.path))

    # --- what is there already

    def is_empty(self) -> bool:
        """Whether nothing at all is there."""
        with os.scandir(self._root) as found:
            return next(found, None) is None

    def look(self, path: bytes) -> os.stat_result | None:
        """What stands at a path now, None if nothing does that could be seen; nothing is made."""
        parent, name = _split(path)
        try:
            return os.stat(name, dir_fd=self._directory(parent, make=False), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a symlink on the way: the writing will say so
                return None
            raise

    def read(self, path: bytes) -> int:
        """A descriptor of the file at a path, for reading."""
        parent, name = _split(path)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=self._directory(parent, make=False))

    def target(self, path: bytes) -> bytes:
        """Where the symlink at a path points."""
        parent, name = _split(path)
        return os.readlink(name, dir_fd=self._directory(parent))

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
        self._describe(entry, partial.descriptor)
        self._close(entry.path)
        self._appear(entry.path, partial)

    def _open_partial(self, path: bytes) -> _Partial:
        """A file's temporary, made or opened again; the least recently opened of too many is closed."""
        partial = self._partial.get(path)
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        if partial is None:
            partial = _new_partial(path)
            flags |= os.O_CREAT | os.O_EXCL
        directory = self._directory(partial.parent)
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
        directory = self._directory(partial.parent)
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
            _unlink_if_there(partial.temporary, self._directory(partial.parent))

    # --- everything else

    def make_special(self, entry: Entry) -> None:
        """A symlink, fifo or device, with its metadata, by rename."""
        partial = _new_partial(entry.path)
        directory = self._directory(partial.parent)
        _unlink_if_there(partial.temporary, directory)
        self._partial[entry.path] = partial
        if entry.kind == Kind.SYMLINK:
            os.symlink(entry.target, partial.temporary, dir_fd=directory)
        else:
            try:
                os.mknod(partial.temporary, _FORMATS[Kind(entry.kind)] | 0o600, entry.rdev, dir_fd=directory)
            except PermissionError:
                raise Unwritable("only root can make a device") from None
        self._describe_unopened(entry, partial.temporary, directory)
        self._appear(entry.path, partial)

    def make_link(self, path: bytes, leader: bytes) -> None:
        """A hard link to a file that was restored before."""
        above, leader_name = _split(leader)
        # Two descriptors at once: the second call may let go of the first one's, so that one is held apart.
        source = os.dup(self._directory(above))
        try:
            partial = _new_partial(path)
            directory = self._directory(partial.parent)
            _unlink_if_there(partial.temporary, directory)
            self._partial[path] = partial
            os.link(leader_name, partial.temporary, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
            self._appear(path, partial)
        finally:
            os.close(source)

    # --- metadata: owner, attributes, mode, times, in this order. A change of owner drops setuid and capabilities; an
    # attribute needs the write permission that the mode may take away; and every step moves the times.

    def _describe(self, entry: Entry, descriptor: int) -> None:
        if self._owner:
            os.fchown(descriptor, entry.uid, entry.gid)
        for name, value in entry.xattrs:
            self._set_xattr(descriptor, name, value, follow=True)
        os.fchmod(descriptor, entry.mode)
        os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))

    def _describe_unopened(self, entry: Entry, name: bytes, directory: int) -> None:
        if self._owner:
            os.chown(name, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
        where = b"/proc/self/fd/%d/%s" % (directory, name)
        for attribute, value in entry.xattrs:
            self._set_xattr(where, attribute, value, follow=False)
        if entry.kind != Kind.SYMLINK:
            os.chmod(name, entry.mode, dir_fd=directory)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=directory, follow_symlinks=False)

    def _set_xattr(self, where: int | bytes, name: bytes, value: bytes, follow: bool) -> None:
        if not hasattr(os, "setxattr"):
            self.skipped_xattrs.add(os.fsdecode(name))
            return
        try:
            if follow:
                os.setxattr(where, name, value)
            else:
                os.setxattr(where, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOTSUP):
                raise
            self.skipped_xattrs.add(os.fsdecode(name))


def _new_partial(path: bytes) -> _Partial:
    parent, name = _split(path)
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
