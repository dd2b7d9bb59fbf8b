"""The second look at an entry: a file's bytes, a link's target, extended attributes, all by descriptor.

Promises that what is read belongs to the entry in hand: a file is opened without following links, must be a regular
file still (one that was saved anew by rename is read as what it is now), and can be compared with itself after it was
read. Refuses to wait: opening never blocks.
"""

from __future__ import annotations

import errno
import os
import stat

from azbackup.filesystem.scanner import entry_of
from azbackup.format.labels import XATTR_BYTES
from azbackup.format.model import Entry

# Not every file system can hold attributes, and not every attribute may be read by everybody.
_NO_XATTRS = {errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES}


class Replaced(OSError):
    """What stands at the path now is not what was scanned there."""


def open_file(name: str, parent: int, expected: Entry) -> tuple[int, Entry]:
    """(descriptor, the entry as it is now). Replaced when no regular file stands there any more; OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Replaced(errno.ELOOP, "was replaced by a symlink while the directory was read") from None
        raise
    status = os.fstat(descriptor)
    now = entry_of(expected.path, status)
    if now is None or not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Replaced(errno.ESTALE, "was replaced by something else while the directory was read")
    return descriptor, now


def read_target(name: str, parent: int) -> bytes:
    """Where a symlink points."""
    return os.fsencode(os.readlink(name, dir_fd=parent))


def read_xattrs(name: str, parent: int, descriptor: int | None = None) -> list[tuple[bytes, bytes]]:
    """Extended attributes, sorted by name; POSIX ACLs are among them on Linux. [] where there can be none."""
    if not hasattr(os, "listxattr"):
        return []
    # By way of /proc for what was not opened: there is no *xattrat() in Python, and a path could pass PATH_MAX.
    where: int | str = descriptor if descriptor is not None else f"/proc/self/fd/{parent}/{name}"
    follow = descriptor is not None
    try:
        names = os.listxattr(where, follow_symlinks=follow) if not follow else os.listxattr(where)
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return []
        raise
    found = []
    for attribute in sorted(names):
        try:
            value = os.getxattr(where, attribute) if follow else os.getxattr(where, attribute, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NO_XATTRS:
                continue
            raise
        found.append((os.fsencode(attribute), value))
    if sum(len(attribute) + len(value) for attribute, value in found) > XATTR_BYTES:
        raise OSError(errno.E2BIG, f"it has more than {XATTR_BYTES} bytes of extended attributes")
    return found
