"""Disks below a source that are not mounted: a mount point of the last snapshot that is an empty directory now.

What was stored of such a disk was not removed. It stays, as what cannot be read does, until somebody says that it is
meant. Told by devices: a directory on another one than the directory above it is a mount point.
"""

from __future__ import annotations

from typing import NamedTuple

from azbackup.filesystem.scanner import ScannedPath, is_empty
from azbackup.format.model import Entry, Kind


class _Above(NamedTuple):
    """A directory on the way: what the paths below it begin with, its device in the last snapshot, if any, and now."""

    prefix: bytes
    before: int | None
    now: int


class Unmounted:
    """The mount points of one pass. Hears of each directory, in path order, with its device as the scan has it."""

    def __init__(self) -> None:
        self._above: list[_Above] = []

    def holds(self, found: ScannedPath, now: Entry, old: Entry | None) -> bool:
        """Whether the disk of a directory is not there."""
        while self._above and not now.path.startswith(self._above[-1].prefix):
            self._above.pop()
        before = old.device if old is not None and old.kind == Kind.DIRECTORY else None
        lost = False
        if self._above and before is not None:
            above = self._above[-1]
            lost = above.before not in (None, before) and now.device == above.now and is_empty(found)
        self._above.append(_Above(now.path + b"/" if now.path else b"", before, now.device))
        return lost
