"""The directories that a restore writes into: each step opened relative to its parent, and never through a link.

Promises: nothing is opened or made outside the root, whatever a path says, since names that could lead elsewhere are
refused as damaged and links on the way are not followed; a directory that was entered once is the same one later
(device and inode); modes that keep its own user out are lifted for the time of the run, and put back; few descriptors
are open at once. Refuses to replace anything: what is in the way of a directory is named.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections import OrderedDict
from functools import partial

from azbackup.errors import AzbackupError
from azbackup.filesystem.places import Place, reopened, set_mode
from azbackup.format.paths import check_path

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_DIRECTORIES = 64
_LISTINGS = 64
_LOOKING, _WRITING = 0o500, 0o700  # the owner's bits that a directory must have


class Unwritable(Exception):
    """One path could not be restored; the text says why. The run goes on with the others."""


def out_of_space(error: OSError) -> AzbackupError | None:
    """The error that ends a restore when the disk is full, None for any other."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AzbackupError(
            f"the destination is full: {error.strerror}",
            "free some space and run the same command again: it goes on",
        )
    return None


def split(path: bytes) -> tuple[bytes, bytes]:
    """The path of the directory, and the name in it.

    Raises Damaged for one that leads elsewhere: none gets this far.
    """
    check_path(path)
    parent, _, name = path.rpartition(b"/")
    return parent, name


def join(parent: bytes, name: bytes) -> bytes:
    """The path of a name in a directory."""
    return parent + b"/" + name if parent else name


class _Listings:
    """The names in the directories that were listed last: a file system may take two names for one (case, accents)."""

    def __init__(self) -> None:
        self._names: OrderedDict[bytes, set[bytes]] = OrderedDict()

    def of(self, path: bytes, directory: int, *, anew: bool = False) -> set[bytes]:
        """The names in the directory at a path."""
        names = None if anew else self._names.get(path)
        if names is None:
            names = self._names[path] = {os.fsencode(name) for name in os.listdir(directory)}
            if len(self._names) > _LISTINGS:
                self._names.popitem(last=False)
        self._names.move_to_end(path)
        return names

    def add(self, path: bytes, name: bytes) -> None:
        """A name is in the directory now."""
        if path in self._names:
            self._names[path].add(name)

    def forget(self, path: bytes) -> None:
        """The directory is going to be removed."""
        self._names.pop(path, None)

    def alias(self, path: bytes, directory: int, name: bytes, identity: tuple[int, int]) -> bytes | None:
        """The name that the directory has for what this name leads to, with this device and inode; None for itself."""
        if name in self.of(path, directory) or name in self.of(path, directory, anew=True):
            return None
        for listed in sorted(self.of(path, directory)):
            try:
                status = os.stat(listed, dir_fd=directory, follow_symlinks=False)
            except OSError:
                continue
            if (status.st_dev, status.st_ino) == identity:
                return listed
        return b"another file"


class Directories:
    """The root and the directories below it, by path; those used last stay open."""

    def __init__(self, root: bytes, *, owner: bool, made: bool = False) -> None:
        """Opens the root, which exists. `owner`: whether modes keep nobody out, as for root. `made`: by this run."""
        self.made: set[bytes] = {b""} if made else set()  # those that this run has made
        self._owner = owner
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = max(4, min(OPEN_DIRECTORIES, descriptors // 4))
        self._open: OrderedDict[bytes, int] = OrderedDict()
        self._known: dict[bytes, tuple[int, int]] = {}  # device and inode of those that were entered
        self._lifted: dict[bytes, int] = {}  # the modes of those whose owner was let in
        self._listings = _Listings()
        self._inheriting: set[bytes] = set()  # those made whose own inherited ACLs could not be taken away
        self.root = self._open_root(root)
        if made:
            self._drop_acls(self.root, b"")

    def close(self) -> None:
        """Puts back the modes that were lifted and not set since, and closes all of them."""
        for path in sorted(self._lifted, key=len, reverse=True):
            try:
                os.fchmod(self.at(path, make=False), self._lifted[path])
            except (OSError, Unwritable):
                pass  # it was removed meanwhile, or belongs to somebody else now
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        os.close(self.root)

    def at(self, path: bytes, *, make: bool = True) -> int:
        """A descriptor of a directory, made on the way when missing; valid until the next call.

        Raises Unwritable when something else is in the way. Without `make` nothing is made: FileNotFoundError.
        """
        names: list[bytes] = []
        while path and path not in self._open:
            path, name = split(path)
            names.append(name)
        if path:
            self._open.move_to_end(path)
        descriptor = self._open[path] if path else self.root
        for name in reversed(names):
            below = join(path, name)
            descriptor = self._enter(descriptor, path, name, below, make=make)
            path = below
            self._open[path] = descriptor
            if len(self._open) > self._most:
                _, oldest = self._open.popitem(last=False)
                os.close(oldest)
        return descriptor

    def let_in(self, path: bytes) -> int:
        """The directory, with all that its owner needs to write into it; `settled` says that its mode was set anew."""
        descriptor = self.at(path)
        self._lift(descriptor, path, _WRITING)
        return descriptor

    def settled(self, path: bytes) -> None:
        """The directory has got its mode: there is nothing to put back."""
        self._lifted.pop(path, None)

    def forget(self, path: bytes) -> None:
        """Lets go of a directory that is going to be removed."""
        descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)
        self._known.pop(path, None)
        self._lifted.pop(path, None)
        self._listings.forget(path)

    def status_before(self, path: bytes) -> os.stat_result:
        """The directory's status, with the mode that it had before it was lifted."""
        status = os.fstat(self.at(path))
        if path not in self._lifted:
            return status
        return os.stat_result((stat.S_IFMT(status.st_mode) | self._lifted[path], *tuple(status)[1:]), _times(status))

    # --- names

    def names(self, path: bytes) -> set[bytes]:
        """The names in a directory, as it lists them."""
        return self._listings.of(path, self._listable(path))

    def added(self, path: bytes, name: bytes) -> None:
        """A name is in the directory now."""
        self._listings.add(path, name)

    def check_name(self, path: bytes, name: bytes, directory: int | None = None) -> None:
        """Raises Unwritable when what stands at this name of the directory has another one.

        `directory` is its descriptor, where that is known.
        """
        if directory is None:
            directory = self.at(path, make=False)
        if not os.access(name, os.F_OK, dir_fd=directory, follow_symlinks=False):
            return  # most of the time: cheaper than a stat that fails
        try:
            here = os.stat(name, dir_fd=directory, follow_symlinks=False)
            alias = self._listings.alias(path, self._listable(path), name, (here.st_dev, here.st_ino))
        except OSError:
            return  # gone again, or another user's, who does not let it be listed
        if alias is not None:
            raise Unwritable(f"on this file system its name is the same as {os.fsdecode(alias)}, which already exists")

    def _listable(self, path: bytes) -> int:
        descriptor = self.at(path, make=False)
        self._lift(descriptor, path, _LOOKING)
        return descriptor

    def is_bare(self, path: bytes) -> bool:
        """Whether what is made in a directory inherits nothing from it, for sure."""
        return path in self.made and path not in self._inheriting

    def is_exposed(self, path: bytes) -> bool:
        """Whether somebody else could exchange names in a directory: another user who owns it or may write to it."""
        return is_exposed(self.at(path))

    # --- one step

    def _open_root(self, root: bytes) -> int:
        try:
            return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:
            return reopened(root, None, partial(self._lift_place, b"", _LOOKING))

    def _enter(self, above: int, parent: bytes, name: bytes, path: bytes, *, make: bool) -> int:
        try:
            try:
                descriptor = self._opened(above, parent, name, path)
            except FileNotFoundError:
                if not make:
                    raise
                descriptor = self._make(above, parent, name, path)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Unwritable("something that is not a directory is in the way; --delete removes it") from None
            raise
        try:
            self._recognise(descriptor, parent, name, path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _make(self, above: int, parent: bytes, name: bytes, path: bytes) -> int:
        try:
            os.mkdir(name, 0o700, dir_fd=above)
        except FileExistsError:  # made by another restore, this very moment
            return self._opened(above, parent, name, path)
        except PermissionError:
            if not self._lift(above, parent, _WRITING):
                raise
            os.mkdir(name, 0o700, dir_fd=above)
        self.made.add(path)
        self.added(parent, name)
        descriptor = os.open(name, DIRECTORY_FLAGS, dir_fd=above)
        self._drop_acls(descriptor, path)
        return descriptor

    def _drop_acls(self, descriptor: int, path: bytes) -> None:
        if not drop_acls(descriptor):
            self._inheriting.add(path)

    def _opened(self, above: int, parent: bytes, name: bytes, path: bytes) -> int:
        """Opens what is there; its mode, or that of the directory above it, is lifted where that helps."""
        try:
            return os.open(name, DIRECTORY_FLAGS, dir_fd=above)
        except PermissionError:
            self._lift(above, parent, _LOOKING)
        return reopened(name, above, partial(self._lift_place, path, _LOOKING))

    def _recognise(self, descriptor: int, parent: bytes, name: bytes, path: bytes) -> None:
        """Raises Unwritable unless it is the directory of that name, and the same one as last time."""
        status = os.fstat(descriptor)
        identity = (status.st_dev, status.st_ino)
        known = self._known.get(path)
        if known is None:
            if path not in self.made:
                self.check_name(parent, name)
            self._known[path] = identity
        elif known != identity and self.is_exposed(parent):
            raise Unwritable("its directory was exchanged for another one meanwhile")

    def _lift(self, descriptor: int, path: bytes, bits: int) -> bool:
        """Gives the directory's owner these bits, if that is who we are; whether anything was changed."""
        return self._lift_place(path, bits, descriptor, os.fstat(descriptor))

    def _lift_place(self, path: bytes, bits: int, place: Place, status: os.stat_result) -> bool:
        mode = stat.S_IMODE(status.st_mode)
        if self._owner or status.st_uid != os.geteuid() or mode & bits == bits:
            return False
        set_mode(place, mode | bits)
        self._lifted.setdefault(path, mode)
        return True


def is_exposed(directory: int) -> bool:
    """Whether somebody else could exchange names in a directory, by its descriptor."""
    status = os.fstat(directory)
    if status.st_uid not in (0, os.geteuid()):
        return True
    return bool(status.st_mode & 0o022) and not status.st_mode & stat.S_ISVTX


def _times(status: os.stat_result) -> dict[str, float | int]:
    return {name: getattr(status, name) for name in ("st_atime_ns", "st_mtime_ns", "st_ctime_ns")}


def drop_acls(where: int | bytes) -> bool:
    """Takes away the ACLs that a new file or directory inherited; whether there are none now."""
    if not hasattr(os, "listxattr"):
        return True
    try:
        for name in os.listxattr(where):
            if name.startswith("system.posix_acl_"):
                os.removexattr(where, name)
    except OSError as error:
        return error.errno in (errno.ENOTSUP, errno.ENOSYS)
    return True
