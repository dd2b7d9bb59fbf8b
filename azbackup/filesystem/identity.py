"""Whether two names are one file: the kernel's own handle of it, since inode numbers are what a file system says."""

from __future__ import annotations

import ctypes
import os

_MOST_BYTES = 128  # MAX_HANDLE_SZ of Linux


class _Handle(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * _MOST_BYTES))


def handle_of(name: str, parent: int) -> bytes:
    """What tells a file of a directory from every other one of its file system; b'' where nothing does.

    An inode with its generation, on file systems of disks; the number that the kernel and the daemon know it by, with
    FUSE. Network file systems and overlays often have none.
    """
    try:
        call = ctypes.CDLL(None, use_errno=True).name_to_handle_at
    except (AttributeError, OSError):  # not Linux
        return b""
    handle, mount = _Handle(bytes=_MOST_BYTES), ctypes.c_int()
    if call(parent, os.fsencode(name), ctypes.byref(handle), ctypes.byref(mount), 0):
        return b""
    data: list[int] = handle.data[: handle.bytes]
    return f"{handle.type} ".encode() + bytes(data)
