"""The last step of a restore: entries become files below one directory, and nowhere else.

Promises: every step of a path is opened relative to its parent without following links, and names that could lead
elsewhere are refused as damaged; a file appears under its name only when all of its bytes and its metadata are right,
by rename from a temporary name; directories get their metadata last. A run that was killed leaves temporary names
behind that the next run takes over. Refuses to remove what it did not make.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from azbackup.errors import AzbackupError, Damaged
from azbackup.hasher import Hasher
from azbackup.model import Entry, Kind

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY = (b".azbackup-", b".part")
_OPEN_DIRECTORIES = 64
_OPEN_FILES = 32
_HOLE = 4096
_ZEROS = bytes(_HOLE)


class Unwritable(Exception):
    """One path could not be restored; the text says why. The run goes on with the others."""


def check_path(path: bytes) -> None:
    """Damaged unless every component of a stored path is a plain name."""
    if path and not all(part not in (b"", b".", b"..") and b"\0" not in part for part in path.split(b"/")):
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


class Destination:
    """The directory that is restored into."""

    def __init__(self, directory: bytes, owner: bool) -> None:
        """Opens the directory, which exists. `owner`: whether uid and gid are set (only root may)."""
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._owner = owner
        self._descriptors: OrderedDict[bytes, int] = OrderedDict()
        self._partial: dict[bytes, int] = {}  # path -> descriptor of its temporary, -1 when that is closed
        self._open: OrderedDict[bytes, None] = OrderedDict()  # the paths whose descriptors are open, oldest first
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
            if len(self._descriptors) > _OPEN_DIRECTORIES:
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

    def holds(self, entry: Entry, lengths: Sequence[int], hasher: Hasher) -> bool:
        """Whether the file at an entry's path has its chunks, of these lengths."""
        descriptor = self.read(entry.path)
        try:
            ids = b"".join(hasher.chunk_id(os.read(descriptor, length)) for length in lengths)
            return ids == entry.chunks and not os.read(descriptor, 1)
        finally:
            os.close(descriptor)

    # --- files

    def write(self, entry: Entry, offset: int, data: bytes) -> None:
        """Writes a piece of a file into its temporary, which the first piece makes."""
        (_write_sparse if entry.sparse else _write_all)(self._temporary(entry.path), data, offset)

    def finish_file(self, entry: Entry) -> None:
        """Size and metadata, then the rename: from here on the file is there, and right."""
        descriptor = self._temporary(entry.path)
        if entry.sparse:
            os.ftruncate(descriptor, entry.size)
        self._describe(entry, descriptor)
        self._let_go(entry.path)
        parent, name = _split(entry.path)
        self._appear(entry.path, _temporary_name(name), name, self._directory(parent))

    def _temporary(self, path: bytes) -> int:
        """A descriptor of a file's temporary; the least recently used ones are closed, and opened again here."""
        descriptor = self._partial.get(path)
        if descriptor is None or descriptor < 0:
            parent, name = _split(path)
            flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            if descriptor is None:
                descriptor = _create(_temporary_name(name), flags | os.O_CREAT | os.O_EXCL, self._directory(parent))
            else:
                descriptor = os.open(_temporary_name(name), flags, dir_fd=self._directory(parent))
            self._partial[path] = descriptor
            if len(self._open) >= _OPEN_FILES:
                self._let_go(next(iter(self._open)))
            self._open[path] = None
        self._open.move_to_end(path)
        return descriptor

    def _let_go(self, path: bytes) -> None:
        if path in self._open:
            del self._open[path]
            os.close(self._partial[path])
            self._partial[path] = -1

    def _appear(self, path: bytes, temporary: bytes, name: bytes, directory: int) -> None:
        try:
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
                self.discard(path)
                raise Unwritable("a directory is in the way") from None
            raise
        self._partial.pop(path, None)

    def discard(self, path: bytes) -> None:
        """Removes the temporary of a file that will not be finished."""
        parent, name = _split(path)
        self._let_go(path)
        self._partial.pop(path, None)
        try:
            os.unlink(_temporary_name(name), dir_fd=self._directory(parent))
        except FileNotFoundError:
            pass

    # --- everything else

    def make_special(self, entry: Entry) -> None:
        """A symlink, fifo or device, with its metadata, by rename."""
        parent, name = _split(entry.path)
        directory, temporary = self._directory(parent), _temporary_name(name)
        try:
            os.unlink(temporary, dir_fd=directory)
        except FileNotFoundError:
            pass
        self._partial[entry.path] = -1
        if entry.kind == Kind.SYMLINK:
            os.symlink(entry.target, temporary, dir_fd=directory)
        else:
            kind = {
                Kind.FIFO: stat.S_IFIFO,
                Kind.CHARACTER_DEVICE: stat.S_IFCHR,
                Kind.BLOCK_DEVICE: stat.S_IFBLK,
            }[Kind(entry.kind)]
            try:
                os.mknod(temporary, kind | 0o600, entry.rdev, dir_fd=directory)
            except PermissionError:
                self._partial.pop(entry.path, None)
                raise Unwritable("only root can make a device") from None
        self._describe_unopened(entry, temporary, directory)
        self._appear(entry.path, temporary, name, directory)

    def make_link(self, path: bytes, leader: bytes) -> None:
        """A hard link to a file that was restored before."""
        parent, name = _split(path)
        above, leader_name = _split(leader)
        temporary = _temporary_name(name)
        # Two descriptors at once: the second call may let go of the first one's, so that one is held apart.
        source = os.dup(self._directory(above))
        try:
            directory = self._directory(parent)
            try:
                os.unlink(temporary, dir_fd=directory)
            except FileNotFoundError:
                pass
            self._partial[path] = -1
            os.link(
                leader_name,
                temporary,
                src_dir_fd=source,
                dst_dir_fd=directory,
                follow_symlinks=False,
            )
            self._appear(path, temporary, name, directory)
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


def _create(temporary: bytes, flags: int, directory: int) -> int:
    try:
        return os.open(temporary, flags, 0o600, dir_fd=directory)
    except FileExistsError:  # left by a run that was killed
        os.unlink(temporary, dir_fd=directory)
        return os.open(temporary, flags, 0o600, dir_fd=directory)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count


def _write_sparse(descriptor: int, data: bytes, offset: int) -> None:
    """Writes what is not zero; blocks of zeros, aligned in the file, stay holes."""
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
