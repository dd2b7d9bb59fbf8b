"""The second look at an entry: a file's bytes, a link's target, by descriptor.

Promises that what is read belongs to the entry in hand: a file is opened without following links, must be a regular
file still (one that was saved anew by rename is read as what it is now), and can be compared with itself after it was
read. Refuses to wait: opening never blocks.
"""

from __future__ import annotations

import errno
import os
import stat

from azbackup.filesystem.scanner import entry_of
from azbackup.format.model import Entry


class Replaced(OSError):
    """What stands at the path now is not what was scanned there."""


def open_file(name: str, parent: int, expected: Entry) -> tuple[int, Entry]:
    """(descriptor, the entry as it is now). Raises Replaced if no regular file is there any more, OSError."""
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
