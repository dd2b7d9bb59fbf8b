"""Where a stream goes: a new file that appears under its name when it is whole, or a pipe that takes what comes.

Promises that nothing is replaced unless that was asked for, that a file which is not whole never has its name, and that
one which a killed run left under a temporary name is removed by the next run for the same file.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from typing import Protocol

from azbackup.errors import AzbackupError
from azbackup.filesystem.directories import out_of_space
from azbackup.filesystem.free_space import FreeSpace, free_space

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class Closed(Exception):
    """Nobody takes any more: a pipe was closed at its other end, as by `| head`."""


class Output(Protocol):
    """What takes a stream of bytes. `place` is how many it has taken."""

    place: int

    def write(self, data: bytes | memoryview) -> None:
        """Takes bytes. Raises Closed if nobody wants them, AzbackupError if they cannot be written."""

    def cut(self, place: int) -> bool:
        """Takes back everything from a place on; whether that could be done."""


class Pipe:
    """A descriptor that takes what comes: stdout."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.place = 0

    def write(self, data: bytes | memoryview) -> None:
        """Writes all of it."""
        view = memoryview(data)
        try:
            while view:
                count = os.write(self._descriptor, view)
                view, self.place = view[count:], self.place + count
        except BrokenPipeError:
            raise Closed from None
        except OSError as error:
            raise AzbackupError(
                f"the contents cannot be written: {error.strerror}", "check the file or pipe that stdout goes to"
            ) from None

    def cut(self, place: int) -> bool:
        """What has left has left."""
        return place == self.place


class NewFile:
    """A file that does not have its name yet. It is private: it holds what may be private."""

    def __init__(self, path: bytes, *, replaces: bool) -> None:
        """`replaces`: a file of that name may be there. Raises AzbackupError if it is, or none can be made."""
        self._path = path
        self._replaces = replaces
        self.place = 0
        self.check_name()
        above, name = os.path.split(path)
        digest = hashlib.blake2b(name, digest_size=8).hexdigest().encode()
        self._temporary = os.path.join(above, b".azbackup-%s.part" % digest)
        try:
            self._descriptor = self._made()
        except OSError as error:
            raise self._failure(error) from None

    def _made(self) -> int:
        """The temporary, made anew unless another run writes it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._temporary, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise AzbackupError(
                    f"another restore writes {self._shown} just now", "wait until it ends, or give another name"
                ) from None
            raise
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, 0)
        return descriptor

    @property
    def _shown(self) -> str:
        return os.fsdecode(self._path)

    def _failure(self, error: OSError) -> AzbackupError:
        return out_of_space(error) or AzbackupError(
            f"{self._shown} cannot be written: {error.strerror}", "check the directory, or give another file"
        )

    def check_name(self) -> None:
        """Raises AzbackupError if something has the name that may not be replaced."""
        if os.path.isdir(self._path):
            raise AzbackupError(f"{self._shown} is a directory", "give the name of a file")
        if os.path.lexists(self._path) and not self._replaces:
            raise AzbackupError(
                f"{self._shown} is there already; nothing was restored",
                "give another name; --overwrite if-changed replaces it",
            )

    def write(self, data: bytes | memoryview) -> None:
        """Writes all of it."""
        view = memoryview(data)
        try:
            while view:
                count = os.write(self._descriptor, view)
                view, self.place = view[count:], self.place + count
        except OSError as error:
            raise self._failure(error) from None

    def free(self) -> FreeSpace | None:
        """What is free where it lies; None where nobody knows."""
        return free_space(os.fstatvfs(self._descriptor), privileged=os.geteuid() == 0)

    def cut(self, place: int) -> bool:
        """Shortens the file."""
        os.ftruncate(self._descriptor, place)
        self.place = os.lseek(self._descriptor, place, os.SEEK_SET)
        return True

    def appear(self) -> None:
        """It is whole: it gets its name, once it is on the disk. Raises AzbackupError if that cannot be."""
        try:
            os.fsync(self._descriptor)
            if not self._replaces:
                self._take_name()
            else:
                os.replace(self._temporary, self._path)
            _sync_directory(os.path.dirname(self._path))
        except OSError as error:
            raise self._failure(error) from None

    def _take_name(self) -> None:
        """Takes the name if it is free: by a link, which replaces nothing, where there are links."""
        try:
            os.link(self._temporary, self._path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self.check_name()
            os.rename(self._temporary, self._path)
        else:
            os.unlink(self._temporary)

    def close(self) -> None:
        """Removes what did not appear."""
        try:
            if os.path.samestat(os.fstat(self._descriptor), os.lstat(self._temporary)):
                os.unlink(self._temporary)
        except OSError:
            pass  # it has appeared, or somebody else removed it
        os.close(self._descriptor)


def _sync_directory(path: bytes) -> None:
    descriptor = os.open(path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
