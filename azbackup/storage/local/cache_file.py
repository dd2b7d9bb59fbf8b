"""The files of this machine's cache directory, and the only way in which they are opened.

Nothing depends on any of them, so nothing about them ends a run. What is not this user's own is absent: a symbolic
link, a fifo, another user's file or directory is neither followed, read, waited for nor written to. In a directory of
this user's own it is removed, and a file takes its place. Root takes no directory that anybody else could exchange.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path

_MOST_BYTES = 4096  # of a CacheFile
NOWHERE = Path(os.devnull)  # no directory, and nothing can be made below it
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NAMELESS = getattr(os, "O_TMPFILE", os.O_DIRECTORY)  # where there is none it cannot be opened for writing
_READ_AND_WRITE = stat.S_IRUSR | stat.S_IWUSR


def cache_directory(environ: Mapping[str, str]) -> Path:
    """The directory in which all of these files lie, or one that cannot be: where no home is known nothing is kept."""
    base = environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # a relative one is to be ignored (XDG Base Directory Specification)
        return Path(base) / "azbackup"
    home = _home(environ)
    return Path(home) / ".cache" / "azbackup" if os.path.isabs(home) else NOWHERE / "azbackup"


def _home(environ: Mapping[str, str]) -> str:
    """This user's home. Root under sudo may have another user's HOME: that is not root's."""
    home = environ.get("HOME", "")
    with contextlib.suppress(OSError, ValueError):
        if os.path.isabs(home) and (os.geteuid() != 0 or os.stat(home).st_uid == 0):
            return home
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""


def digest(*identity: str) -> str:
    """A file name for a partition, or for a source in it."""
    return hashlib.sha256("\0".join(identity).encode("utf-8", "surrogateescape")).hexdigest()[:32]


# --- opening


def open_own(path: Path, flags: int = 0) -> int:
    """Opens one of the files for reading and writing, made where it is not there.

    Raises OSError where no file of this user's own can be had. `flags` are added to those of os.open.
    """
    directory = _open_directory(path.parent)
    try:
        _remove_odd(path.name, directory)
        descriptor = os.open(path.name, os.O_RDWR | os.O_CREAT | _PLAIN | flags, 0o600, dir_fd=directory)
    finally:
        os.close(directory)
    if not _is_own_file(os.fstat(descriptor)):
        os.close(descriptor)
        raise PermissionError(f"{path} is not a file of this user's own")
    return descriptor


def open_nameless(directory: Path) -> int:
    """A new file in that directory, open for reading and writing, that goes when it is closed, or its process ends.

    Raises OSError where none can be had.
    """
    parent = _open_directory(directory)
    try:
        try:
            return os.open(".", os.O_RDWR | _NAMELESS | os.O_CLOEXEC, 0o600, dir_fd=parent)
        except OSError:  # not every file system has that
            name = f"{os.getpid()}-{os.urandom(8).hex()}.part"
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN, 0o600, dir_fd=parent)
            os.unlink(name, dir_fd=parent)
            return descriptor
    finally:
        os.close(parent)


def remove_odd(path: Path) -> None:
    """Removes what lies in a file's place and is not a file of this user's own. Raises OSError where that fails."""
    directory = _open_directory(path.parent)
    try:
        _remove_odd(path.name, directory)
    finally:
        os.close(directory)


def read_all(descriptor: int, most: int) -> bytes:
    """The contents of an open file; b'' where they are more than `most` bytes. Raises OSError if that fails."""
    if os.fstat(descriptor).st_size > most:
        return b""
    parts, at = [], 0
    while part := os.pread(descriptor, most + 1 - at, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts) if at <= most else b""


def _remove_odd(name: str, directory: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not _is_own_file(os.stat(name, dir_fd=directory, follow_symlinks=False)):
            os.unlink(name, dir_fd=directory)


def _is_own_file(status: os.stat_result) -> bool:
    """Whether writing to it changes nothing but this file: a regular one, this user's, without a second name."""
    mode = stat.S_IMODE(status.st_mode) & _READ_AND_WRITE
    return _is_readable_file(status) and status.st_nlink <= 1 and mode == _READ_AND_WRITE


def _is_readable_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


def _open_directory(path: Path) -> int:
    """A descriptor of the directory, which is made with all above it where it is not there.

    Raises OSError unless it is this user's own. One of this user's that others may write to is closed to them.
    """
    _check_way(path)
    for each in (*reversed(path.parents), path):
        if not each.exists():
            with contextlib.suppress(FileExistsError):
                each.mkdir(mode=0o700)  # whatever the umask allows
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise PermissionError(f"{path} is not a directory of this user's own")
        if status.st_mode & 0o022:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~0o022)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_way(path: Path) -> None:
    """Raises PermissionError where another user has a hand in which directory a path leads to.

    Everybody's last step, and every step of root's, by name and where links lead to, has to be root's or this user's.
    """
    real = Path(os.path.realpath(path))
    steps = {path} if os.geteuid() else {path, *path.parents, real, *real.parents}
    for each in steps:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if os.lstat(each).st_uid not in (0, os.geteuid()):
                raise PermissionError(f"{each} belongs to another user")


# --- small files


class CacheFile:
    """A small file that remembers something. Replaced whole or not at all; where it has no place nothing is kept."""

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        """`durable`: what is written is on the disk, for what a power cut must not take back."""
        self._path = path
        self._durable = durable

    def read(self) -> bytes:
        """What is remembered, b'' for nothing."""
        try:
            _check_way(self._path.parent)
            descriptor = os.open(self._path, os.O_RDONLY | _PLAIN)
        except (OSError, ValueError):
            return b""
        try:
            return read_all(descriptor, _MOST_BYTES) if _is_readable_file(os.fstat(descriptor)) else b""
        except OSError:
            return b""
        finally:
            os.close(descriptor)

    def write(self, data: bytes) -> None:
        """Remembers this from now on."""
        with contextlib.suppress(OSError, ValueError):
            directory = _open_directory(self._path.parent)
            try:
                self._replace(data, directory)
            finally:
                os.close(directory)

    def _replace(self, data: bytes, directory: int) -> None:
        temporary = f"{self._path.name}.{os.getpid()}.part"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, 0o600, dir_fd=directory)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if self._durable:
                    os.fsync(descriptor)
            os.replace(temporary, self._path.name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            os.unlink(temporary, dir_fd=directory)
            raise
        if self._durable:
            os.fsync(directory)
