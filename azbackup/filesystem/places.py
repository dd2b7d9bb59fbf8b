"""What metadata is set on: a descriptor that is open, one that only holds what has a name, or that name.

Linux has descriptors that hold anything, a link or a closed directory too, without opening it (O_PATH), and /proc leads
from one to what it holds: whatever becomes of the name, nothing else is changed. Where there are none (macOS), links,
fifos and files that are mended are changed by their name in an open directory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import NamedTuple, TypeVar

T = TypeVar("T")

HAS_PINS = hasattr(os, "O_PATH")
_PIN = getattr(os, "O_PATH", 0) | os.O_CLOEXEC


class Named(NamedTuple):
    """A name in the directory of a descriptor; a link itself, not what it leads to."""

    name: bytes
    directory: int


Place = int | bytes | Named


def _held(pin: int) -> bytes:
    return b"/proc/self/fd/%d" % pin


def at_name(name: bytes, directory: int, act: Callable[[Place, os.stat_result], T]) -> T:
    """Returns what `act` makes of what has a name now, and of its status. Raises OSError."""
    if not HAS_PINS:
        return act(Named(name, directory), os.stat(name, dir_fd=directory, follow_symlinks=False))
    pin = os.open(name, _PIN | os.O_NOFOLLOW, dir_fd=directory)
    try:
        return act(_held(pin), os.fstat(pin))
    finally:
        os.close(pin)


def reopened(name: bytes, directory: int | None, lift: Callable[[Place, os.stat_result], object]) -> int:
    """Opens a directory that its own user may not look into, once `lift` has changed that. Raises OSError.

    Without a directory the name is a path, whose links are followed.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    nofollow = 0 if directory is None else os.O_NOFOLLOW
    if not HAS_PINS:
        status = os.stat(name, dir_fd=directory, follow_symlinks=directory is None)
        if stat.S_ISDIR(status.st_mode):
            lift(Named(name, -1 if directory is None else directory), status)
        return os.open(name, flags | nofollow, dir_fd=directory)
    pin = os.open(name, _PIN | os.O_DIRECTORY | nofollow, dir_fd=directory)
    try:
        lift(_held(pin), os.fstat(pin))
        return os.open(_held(pin), flags)
    finally:
        os.close(pin)


def status_of(place: Place) -> os.stat_result:
    """The status of what is there. Raises OSError."""
    if isinstance(place, Named):
        return os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    return os.stat(place)


def set_owner(place: Place, uid: int, gid: int) -> None:
    """Gives what is there to a user and a group. Raises OSError."""
    if isinstance(place, Named):
        os.chown(place.name, uid, gid, dir_fd=place.directory, follow_symlinks=False)
    else:
        os.chown(place, uid, gid)


def set_mode(place: Place, mode: int) -> None:
    """Sets the mode of what is no link. Raises OSError."""
    if not isinstance(place, Named):
        os.chmod(place, mode)
    elif os.chmod in os.supports_follow_symlinks:
        os.chmod(place.name, mode, dir_fd=place.directory, follow_symlinks=False)
    else:
        os.chmod(place.name, mode, dir_fd=place.directory)


def set_time(place: Place, mtime_ns: int) -> None:
    """Sets both times. Raises OSError."""
    times = (mtime_ns, mtime_ns)
    if isinstance(place, Named):
        os.utime(place.name, ns=times, dir_fd=place.directory, follow_symlinks=False)
    else:
        os.utime(place, ns=times)
