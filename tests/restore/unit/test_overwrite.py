"""What happens to something that is in the way: every policy with every kind of it."""

from __future__ import annotations

import os
import stat

import pytest

from azbackup.filesystem.overwrite import POLICIES, Decision, decision, is_right
from azbackup.format.model import Entry, Kind

WRITE, RIGHT, KEEP = Decision.WRITE, Decision.RIGHT, Decision.KEEP
FILE = Entry(b"f", int(Kind.FILE), size=10, mtime_ns=1000 * 10**9)


class Status:
    """What stat says, to the nanosecond."""

    def __init__(self, mode: int = stat.S_IFREG, size: int = 10, mtime_ns: int = 1000 * 10**9, rdev: int = 0) -> None:
        self.st_mode, self.st_size, self.st_mtime_ns, self.st_rdev = mode | 0o644, size, mtime_ns, rdev


def status(**values: int) -> os.stat_result:
    """A status, right for FILE unless told."""
    return Status(**values)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("there", "never", "changed", "newer", "always"),
    [
        (None, WRITE, WRITE, WRITE, WRITE),
        (status(), RIGHT, RIGHT, RIGHT, WRITE),
        (status(size=9), KEEP, WRITE, KEEP, WRITE),
        (status(mtime_ns=1000 * 10**9 + 1), KEEP, WRITE, KEEP, WRITE),
        (status(mtime_ns=1000 * 10**9 - 1), KEEP, WRITE, WRITE, WRITE),
        (status(mode=stat.S_IFDIR), KEEP, WRITE, KEEP, WRITE),
        (status(mode=stat.S_IFLNK, mtime_ns=0), KEEP, WRITE, WRITE, WRITE),
    ],
)
def test_policies(
    there: os.stat_result | None, never: Decision, changed: Decision, newer: Decision, always: Decision
) -> None:
    """Absent, right, wrong in size, newer, older, another kind."""
    assert [decision(policy, FILE, there) for policy in POLICIES] == [never, changed, newer, always]


def test_checked_contents_count_more_than_size_and_time() -> None:
    """A file that was compared and is wrong is written by if-changed, and kept by never."""
    assert [decision(policy, FILE, status(), right=False) for policy in POLICIES] == [KEEP, WRITE, KEEP, WRITE]


@pytest.mark.parametrize(("kind", "mode"), [(Kind.CHARACTER_DEVICE, stat.S_IFCHR), (Kind.BLOCK_DEVICE, stat.S_IFBLK)])
def test_devices_by_number(kind: Kind, mode: int) -> None:
    """A device is right with its number alone; links and fifos need kind and time."""
    entry = Entry(b"d", int(kind), mtime_ns=5, rdev=7)
    assert is_right(entry, status(mode=mode, mtime_ns=5, rdev=7))
    assert not is_right(entry, status(mode=mode, mtime_ns=5, rdev=8))
    assert not is_right(entry, status(mode=mode, mtime_ns=6, rdev=7))
    assert not is_right(entry, status(mode=stat.S_IFREG, mtime_ns=5, rdev=7))
    assert is_right(Entry(b"l", int(Kind.SYMLINK), mtime_ns=5, size=3), status(mode=stat.S_IFLNK, mtime_ns=5))
