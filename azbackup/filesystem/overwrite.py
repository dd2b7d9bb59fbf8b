"""What happens to a file that is in the way of a restored one. Pure.

if-changed replaces what differs in size or mtime; if-newer only what is older than the stored file; never leaves
everything; always writes everything anew. A file that is right is left alone by all but always.
"""

from __future__ import annotations

import enum
import os
import stat

from azbackup.filesystem.metadata import TYPES
from azbackup.format.model import Entry, Kind


class Decision(enum.Enum):
    """What to do with one file."""

    WRITE = "write"
    RIGHT = "right"
    KEEP = "keep"


POLICIES = ("never", "if-changed", "if-newer", "always")


def is_right(entry: Entry, status: os.stat_result, *, any_time: bool = False) -> bool:
    """Whether something is there as it should be: kind, mtime (unless `any_time` will do), and size or device number.

    A finished file got its mtime before it got its name. A symlink's target is for others to compare.
    """
    if stat.S_IFMT(status.st_mode) != TYPES[Kind(entry.kind)]:
        return False
    if status.st_mtime_ns != entry.mtime_ns and not any_time:
        return False
    if entry.kind == Kind.FILE:
        return status.st_size == entry.size
    return entry.kind in (Kind.SYMLINK, Kind.FIFO) or status.st_rdev == entry.rdev


def decision(policy: str, entry: Entry, status: os.stat_result | None, right: bool | None = None) -> Decision:
    """The decision about a file or anything else that is no directory, given what stands there now.

    `right` says whether that is what it should be, where more was looked at than `is_right` does.
    """
    if status is None or policy == "always":
        return Decision.WRITE
    if is_right(entry, status) if right is None else right:
        return Decision.RIGHT
    if policy == "never" or (policy == "if-newer" and status.st_mtime_ns >= entry.mtime_ns):
        return Decision.KEEP
    return Decision.WRITE
