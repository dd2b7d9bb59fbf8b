"""What happens to a file that is in the way of a restored one. Pure.

if-changed replaces what differs in size or mtime; if-newer only what is older than the stored file; never leaves
everything; always writes everything anew. A file that is right is left alone by all but always.
"""

from __future__ import annotations

import enum
import os
import stat

from azbackup.model import Entry


class Decision(enum.Enum):
    """What to do with one file."""

    WRITE = "write"
    RIGHT = "right"
    KEEP = "keep"


POLICIES = ("never", "if-changed", "if-newer", "always")


def is_right(entry: Entry, status: os.stat_result) -> bool:
    """Whether a file is there as it should be: a finished file got its mtime before it got its name."""
    return stat.S_ISREG(status.st_mode) and status.st_size == entry.size and status.st_mtime_ns == entry.mtime_ns


def decide(policy: str, entry: Entry, status: os.stat_result | None) -> Decision:
    """The decision about a file or anything else that is no directory, given what stands there now."""
    if status is None or policy == "always":
        return Decision.WRITE
    if is_right(entry, status):
        return Decision.RIGHT
    if policy == "never" or (policy == "if-newer" and status.st_mtime_ns >= entry.mtime_ns):
        return Decision.KEEP
    return Decision.WRITE
