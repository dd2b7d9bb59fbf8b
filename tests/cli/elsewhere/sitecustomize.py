"""A script as it runs on a system that is no Linux: what only Linux has is gone. Loaded by Python through PYTHONPATH.

Gone are functions and constants that Python has on Linux alone, calls of the C library that are the kernel's own, and
everything below /proc; the limit of open files has no end, and may not be asked for. Not played: another C library.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import io
import os
import resource
import signal
import socket
from collections.abc import Callable
from typing import Any

_OF_OS = (
    *("listxattr", "getxattr", "setxattr", "removexattr", "O_PATH", "O_TMPFILE", "O_NOATIME", "memfd_create", "pipe2"),
    *("sched_getaffinity", "sched_setaffinity", "posix_fadvise", "posix_fallocate", "copy_file_range", "fdatasync"),
    *("getrandom", "eventfd", "splice", "setns", "unshare", "pidfd_open"),
)
_OF_SIGNAL = ("SIGRTMIN", "SIGRTMAX", "SIGPOLL", "SIGPWR", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo")
_OF_SOCKET = ("SOCK_CLOEXEC", "SOCK_NONBLOCK", "TCP_KEEPIDLE", "TCP_USER_TIMEOUT")
_OF_THE_KERNEL = {"syncfs", "mallopt", "malloc_trim", "name_to_handle_at", "renameat2", "statx", "fallocate"}
_BY_PATH = (
    *("open", "listdir", "scandir", "stat", "lstat", "readlink", "chmod", "chown", "utime", "access", "statvfs"),
    *("mkdir", "rename", "link", "unlink"),
)
_MOST_FILES = 10240

for _module, _names in ((os, _OF_OS), (signal, _OF_SIGNAL), (socket, _OF_SOCKET)):
    for _name in _names:
        if hasattr(_module, _name):
            delattr(_module, _name)

if hasattr(os, "process_cpu_count"):  # since Python 3.13, by what is gone
    os.process_cpu_count = os.cpu_count


def _without_proc(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, for which there is nothing below /proc."""

    def found(path: Any = ".", *arguments: Any, **named: Any) -> Any:
        if isinstance(path, str | bytes) and os.fsencode(path).startswith(b"/proc"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return call(path, *arguments, **named)

    return found


for _name in _BY_PATH:
    _wrapped = _without_proc(getattr(os, _name))
    for _these in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        if getattr(os, _name) in _these and _name != "chmod":
            _these.add(_wrapped)
    setattr(os, _name, _wrapped)
builtins.open = _without_proc(builtins.open)
io.open = builtins.open


def _mknod(*_arguments: Any, dir_fd: int | None = None, **_named: Any) -> None:
    raise NotImplementedError(f"dir_fd unavailable on this platform: {dir_fd}")


os.mknod = _mknod


class _Library(ctypes.CDLL):
    """The C library without what only Linux has."""

    def __getattr__(self, name: str) -> Any:
        if name in _OF_THE_KERNEL:
            raise AttributeError(name)
        return super().__getattr__(name)


ctypes.CDLL = _Library  # type: ignore[misc]

_setrlimit: Any = resource.setrlimit


def _set_limit(kind: int, limits: tuple[int, int]) -> None:
    if kind == resource.RLIMIT_NOFILE and not 0 <= limits[0] <= _MOST_FILES:
        raise ValueError("current limit exceeds maximum limit")
    _setrlimit(kind, limits)


resource.setrlimit = _set_limit
