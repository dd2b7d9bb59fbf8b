"""The directories that a restore writes into: each step opened relative to its parent, and never through a link.

Promises: nothing is opened or made outside the root, whatever a path says, since names that could lead elsewhere are
refused as damaged and links on the way are not followed; few descriptors are open at once. Refuses to replace
anything: what is in the way of a directory is named.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections import OrderedDict

from azbackup.errors import AzbackupError
from azbackup.format.model import Entry
from azbackup.format.paths import check_path

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_DIRECTORIES = 64


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
    """The path of the directory, and the name in it. Damaged for one that leads elsewhere: none gets this far."""
    check_path(path)
    parent, _, name = path.rpartition(b"/")
    return parent, name


class Directories:
    """The root and the directories below it, by path; those used last stay open."""

    def __init__(self, root: bytes, *, owner: bool) -> None:
        """Opens the root, which exists. `owner`: whether modes keep nobody out (only root may set owners)."""
        self.root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._owner = owner
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = max(4, min(OPEN_DIRECTORIES, descriptors // 4))
        self._open: OrderedDict[bytes, int] = OrderedDict()

    def close(self) -> None:
        """Closes all of them."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        os.close(self.root)

    def at(self, path: bytes, *, make: bool = True) -> int:
        """A descriptor of a directory, made on the way when missing; valid until the next call."""
        names: list[bytes] = []
        while path and path not in self._open:
            path, name = split(path)
            names.append(name)
        descriptor = self.root
        if path:
            descriptor = self._open[path]
            self._open.move_to_end(path)
        for name in reversed(names):
            descriptor = _enter(descriptor, name) if make else os.open(name, DIRECTORY_FLAGS, dir_fd=descriptor)
            path = path + b"/" + name if path else name
            self._open[path] = descriptor
            if len(self._open) > self._most:
                _, oldest = self._open.popitem(last=False)
                os.close(oldest)
        return descriptor

    def make(self, entry: Entry) -> None:
        """The directory of an entry, writable for now whatever mode an earlier run has given it."""
        descriptor = self.at(entry.path)
        status = os.fstat(descriptor)
        if not self._owner and entry.path and stat.S_IMODE(status.st_mode) & 0o700 != 0o700:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) | 0o700)

    def is_empty(self) -> bool:
        """Whether nothing at all is in the root."""
        with os.scandir(self.root) as found:
            return next(found, None) is None


def _enter(above: int, name: bytes) -> int:
    try:
        os.mkdir(name, 0o700, dir_fd=above)
    except FileExistsError:
        pass
    try:
        return os.open(name, DIRECTORY_FLAGS, dir_fd=above)
    except PermissionError:  # from an earlier run, which has given it its final mode
        os.chmod(name, 0o700, dir_fd=above)
        return os.open(name, DIRECTORY_FLAGS, dir_fd=above)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Unwritable("something that is not a directory is in the way") from None
        raise
