"""Temporary names: whatever is on its way to its own name lies under one.

Promises: a temporary's name is random, but for a large file's, and it is made by the run that writes it, or taken over
from one that has ended; it gets its final name only while it is still the same file, and only where the file system
takes no other name for that one. What another run left is removed when nobody holds it any more: a run holds the
directory that it restores into, and each file that it has open (flock).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import resource
import stat
from collections import OrderedDict
from collections.abc import Callable, Collection
from itertools import count

import msgspec

from azbackup.filesystem.directories import Directories, Unwritable, is_exposed, split
from azbackup.filesystem.leftovers import Leftovers

_TEMPORARY = re.compile(rb"\.azbackup-[0-9a-f]{16}\.part")
_OPEN_FILES = 32
_NAMELESS = getattr(os, "O_TMPFILE", os.O_DIRECTORY)
_FIRST, _COUNT = int.from_bytes(os.urandom(8), "big"), count()
_EXCHANGED = "its temporary file was removed or exchanged by somebody else"


def is_temporary(name: bytes) -> bool:
    """Whether a name is one of a restore's own."""
    return _TEMPORARY.fullmatch(name) is not None


def _new_name() -> bytes:
    """A name that nobody has: random for the process, then counted. It is made with O_EXCL all the same."""
    return b".azbackup-%016x.part" % ((_FIRST + next(_COUNT)) % (1 << 64))


class Temporary(msgspec.Struct):
    """Something on its way: its directory and name, its temporary name, what it is, its descriptor (-1: not open)."""

    parent: bytes
    name: bytes
    temporary: bytes
    identity: tuple[int, int] = (0, 0)  # device and inode
    descriptor: int = -1
    sealed: tuple[int, int] | None = None  # owner and ctime, once it is complete: a freed inode is soon another's
    named: bool = False  # it has its name already


class Hold:
    """What keeps other runs from removing the temporaries of this one."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._shared = False

    def take_alone(self) -> bool:
        """Whether no other run holds the root; none gets it until `share`."""
        return _lock(self._root, fcntl.LOCK_EX)

    def share(self) -> None:
        """Holds the root beside others. Asked for again with each temporary while another run cleans up."""
        if not self._shared:
            self._shared = _lock(self._root, fcntl.LOCK_SH)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:  # another holds it, or this file system knows no locks: then nothing of others is removed
        return False
    return True


def remove_leftovers(directory: int, spared: Collection[bytes] = ()) -> list[bytes]:
    """Removes the temporaries in a directory that nobody writes to; those of them that are `spared` and stay.

    To be called by a run that is alone.
    """
    stay = []
    for name in map(os.fsencode, os.listdir(directory)):
        if is_temporary(name) and not _is_held(os.fsdecode(name), directory):
            if name in spared:
                stay.append(name)
            else:
                _unlink_if_there(name, directory)  # another user's is theirs to remove
    return stay


def _is_held(name: str, directory: int) -> bool:
    """Whether a run has the file open that restores into a directory above or below this one's root."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and not _lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


class Temporaries:
    """The temporaries of one run. `all` has them by the path that each is to appear under; few stay open."""

    def __init__(self, directories: Directories) -> None:
        self._directories = directories
        self._hold = Hold(directories.root)
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = max(2, min(_OPEN_FILES, descriptors // 8))
        self.all: dict[bytes, Temporary] = {}
        self._open: OrderedDict[bytes, Temporary] = OrderedDict()  # the least recently opened first
        self._alone: bool | None = None  # not known yet
        self.leftovers = Leftovers()

    def clean(self, directory: int) -> None:
        """Removes what killed runs left in a directory, unless another run holds the root. Before anything is made."""
        if self._alone is None:
            self._alone = self._hold.take_alone()
        if self._alone:
            self.leftovers.found.update(remove_leftovers(directory, self.leftovers.expected))

    def file(self, path: bytes) -> Temporary:
        """The temporary of a file, open for writing: made, or opened again and known to be the same."""
        known = self._open.get(path)
        if known is not None:
            return known
        temporary = self.all.get(path)
        if temporary is None:
            temporary = self._new(path, create, self.leftovers.name(path))
        else:
            self._open_again(temporary)
        self._keep_open(path, temporary)
        return temporary

    def begin(self, path: bytes, known: bytes | None = None) -> Temporary:
        """A temporary that is going to be made, under the `known` name where nobody has that, else one of its own."""
        self._hold.share()
        return Temporary(*split(path), known or _new_name())

    def adopt(self, path: bytes) -> int | None:
        """What a run that has ended left of a large file, open for reading and writing; None if it cannot be used."""
        name = self.leftovers.take(path)
        if name is None:
            return None
        self._hold.share()
        parent, final = split(path)
        directory = self._directories.at(parent, make=False)
        descriptor, held = _open_leftover(name, directory)
        if descriptor < 0:
            if not held:
                _unlink_if_there(name, directory)
            return None
        self.all[path] = Temporary(parent, final, name, _identity(os.fstat(descriptor)), descriptor)
        self._keep_open(path, self.all[path])
        return descriptor

    def leave(self, path: bytes) -> None:
        """What there is of a large file stays for the next run; of any other nothing."""
        if self.all[path].temporary != self.leftovers.name(path):
            self.discard(path)
            return
        self.close(path)
        del self.all[path]

    def _keep_open(self, path: bytes, temporary: Temporary) -> None:
        self._open[path] = temporary
        if len(self._open) > self._most:
            self.close(next(iter(self._open)))

    def special(self, path: bytes, make: Callable[[bytes, int], None]) -> Temporary:
        """The temporary of something that is not written to; `make` makes it, given its name and directory."""

        def created(temporary: Temporary, directory: int) -> None:
            make(temporary.temporary, directory)
            temporary.identity = _identity(os.stat(temporary.temporary, dir_fd=directory, follow_symlinks=False))

        return self._new(path, created)

    def probe(self, parent: bytes) -> int:
        """A descriptor of an empty file in a directory that has no name (any more), to try things with."""
        directory = self._directories.at(parent, make=False)
        try:
            return os.open(".", os.O_WRONLY | _NAMELESS | os.O_CLOEXEC, 0o600, dir_fd=directory)
        except OSError:  # not every file system has files without names
            temporary = Temporary(parent, b"", _new_name())
            create(temporary, directory)
            _unlink_if_there(temporary.temporary, directory)
            return temporary.descriptor

    def can_link(self, parent: bytes) -> bool:
        """Whether a file can have two names in a directory."""
        directory = self._directories.let_in(parent)
        temporary, other = Temporary(parent, b"", _new_name()), _new_name()
        create(temporary, directory)
        try:
            os.link(temporary.temporary, other, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
        except OSError:
            return False
        finally:
            os.close(temporary.descriptor)
            _unlink_if_there(temporary.temporary, directory)
            _unlink_if_there(other, directory)
        return True

    def close(self, path: bytes) -> None:
        """Closes the temporary of a file, if it is open."""
        temporary = self._open.pop(path, None)
        if temporary is not None:
            if temporary.sealed is None:  # it will be opened again
                temporary.identity = _identity(os.fstat(temporary.descriptor))
            os.close(temporary.descriptor)
            temporary.descriptor = -1

    def seal(self, path: bytes) -> Temporary:
        """Closes the temporary of a file that is complete."""
        temporary = self.all[path]
        sealed(temporary)
        self.close(path)
        return temporary

    def appear(self, path: bytes) -> tuple[int, int]:
        """The temporary gets its name; its device and inode. Raises Unwritable, and then it is gone."""
        temporary = self.all[path]
        try:
            if not temporary.named:
                self._rename(temporary)
        except BaseException:
            self.discard(path)
            raise
        del self.all[path]
        self._directories.added(temporary.parent, temporary.name)
        return temporary.identity

    def discard(self, path: bytes) -> None:
        """Removes the temporary of what will not be finished."""
        self.close(path)
        temporary = self.all.pop(path, None)
        if temporary is not None:
            try:
                _unlink_if_there(temporary.temporary, self._directories.at(temporary.parent, make=False))
            except (OSError, Unwritable):
                pass  # its directory is gone

    def _new(self, path: bytes, make: Callable[[Temporary, int], None], known: bytes | None = None) -> Temporary:
        """Makes a temporary."""
        temporary = self.begin(path, known)
        directory = self._directories.at(temporary.parent)
        try:
            try:
                make(temporary, directory)
            except PermissionError:  # a directory of our own whose mode keeps us out: another run set it
                make(temporary, self._directories.let_in(temporary.parent))
        except BaseException:
            if temporary.temporary != known or temporary.descriptor >= 0:  # else it may be another run's
                _unlink_if_there(temporary.temporary, self._directories.at(temporary.parent))
            raise
        self.all[path] = temporary
        return temporary

    def _open_again(self, temporary: Temporary) -> None:
        """Opens a temporary that was closed for want of descriptors. Raises Unwritable when it is not ours any more."""
        directory = self._directories.at(temporary.parent)
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(temporary.temporary, flags, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise Unwritable(_EXCHANGED) from None
            raise
        status = os.fstat(descriptor)
        ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.geteuid()
        if self._directories.is_exposed(temporary.parent) and not (ours and _identity(status) == temporary.identity):
            os.close(descriptor)
            raise Unwritable(_EXCHANGED)
        temporary.descriptor = descriptor
        _lock(descriptor, fcntl.LOCK_EX)

    def _rename(self, temporary: Temporary) -> None:
        directory = self._directories.at(temporary.parent)
        self._directories.check_name(temporary.parent, temporary.name, directory)
        exposed = is_exposed(directory)
        if exposed and not _is_same(temporary, temporary.temporary, directory, ctime=True):
            raise Unwritable(_EXCHANGED)
        try:
            try:
                os.rename(temporary.temporary, temporary.name, src_dir_fd=directory, dst_dir_fd=directory)
            except PermissionError:  # as for `_new`
                directory = self._directories.let_in(temporary.parent)
                os.rename(temporary.temporary, temporary.name, src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError:
            raise Unwritable(_EXCHANGED) from None
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
                raise Unwritable("a directory is in the way; --delete removes it, with all that is in it") from None
            raise
        if temporary.sealed is None:  # a link that has replaced a name of the same file: then it was not renamed
            _unlink_if_there(temporary.temporary, directory)
        if exposed and not _is_same(temporary, temporary.name, directory, ctime=False):
            raise Unwritable(_EXCHANGED)


def create(temporary: Temporary, directory: int) -> None:
    """Makes a file, and holds it. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        temporary.descriptor = os.open(temporary.temporary, flags, 0o600, dir_fd=directory)
    except FileExistsError:  # a large file's, which another run writes
        temporary.temporary = _new_name()
        temporary.descriptor = os.open(temporary.temporary, flags, 0o600, dir_fd=directory)
    _lock(temporary.descriptor, fcntl.LOCK_EX)


def sealed(temporary: Temporary) -> None:
    """What is in a temporary is complete: from now on it is known by this. Raises OSError."""
    status = os.fstat(temporary.descriptor)
    temporary.identity = _identity(status)
    temporary.sealed = (status.st_uid, status.st_ctime_ns)


def rename_new(temporary: Temporary, directory: int) -> None:
    """Gives a complete file its name if nothing stands there and nobody had a hand in it. Raises OSError."""
    if os.access(temporary.name, os.F_OK, dir_fd=directory, follow_symlinks=False):
        return
    exposed = is_exposed(directory)
    if exposed and not _is_same(temporary, temporary.temporary, directory, ctime=True):
        return
    os.rename(temporary.temporary, temporary.name, src_dir_fd=directory, dst_dir_fd=directory)
    temporary.named = not exposed or _is_same(temporary, temporary.name, directory, ctime=False)


def _open_leftover(name: bytes, directory: int) -> tuple[int, bool]:
    """A descriptor of what was left under a name, if nobody else can have a hand in it (-1); whether a run holds it."""
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return -1, False
    held = not _lock(descriptor, fcntl.LOCK_EX)
    try:
        status = os.fstat(descriptor)
        ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.geteuid()
        named = _identity(os.stat(name, dir_fd=directory, follow_symlinks=False)) == _identity(status)
        if ours and named and not held and not status.st_mode & 0o022:
            os.fchmod(descriptor, 0o600)
            return descriptor, False
    except OSError:
        pass
    os.close(descriptor)
    return -1, held


def _is_same(temporary: Temporary, name: bytes, directory: int, *, ctime: bool) -> bool:
    """Whether a name is that of the temporary still; a rename moves the ctime."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if _identity(status) != temporary.identity:
        return False
    owner, moved = temporary.sealed or (status.st_uid, status.st_ctime_ns)
    return status.st_uid == owner and (not ctime or status.st_ctime_ns == moved)


def _unlink_if_there(name: bytes, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        pass


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
