"""azbackup's own files: left out of every backup, or each run would store what the run before it remembered."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from azbackup.filesystem.scanner import ScannedPath, look_for
from azbackup.format.model import Kind

_NAME = re.compile(r"[0-9a-f]{32}\.[a-z0-9.]+")


class OwnFiles:
    """What lies in azbackup's own directory. What else is put there is not its own, and is backed up."""

    def __init__(self, directory: bytes) -> None:
        """`directory` need not be there; b'' for none."""
        try:
            status = os.stat(directory)
        except OSError:
            self._identity = None
        else:
            self._identity = status.st_dev, status.st_ino

    def left_out_of(self, scanned: Iterable[ScannedPath]) -> Iterator[ScannedPath]:
        """The paths that are not its own; not the directory itself either, where nothing else is in it."""
        inside: bytes | None = None
        for found in scanned:
            if self._is_it(found):
                if found.path and _holds_nothing_else(found):
                    found.skip = True
                    continue
                inside = found.path
            if inside is None or not _is_own(found, inside):
                yield found

    @contextmanager
    def look_for(self, root: int, path: bytes) -> Iterator[ScannedPath | None]:
        """What stands at a path below the directory `root` and is not its own; None where nothing does."""
        with look_for(root, path) as found:
            own = found is not None and (self._is_it(found) or self._is_inside(found))
            yield None if own else found

    def _is_inside(self, found: ScannedPath) -> bool:
        status = os.fstat(found.parent)
        return (status.st_dev, status.st_ino) == self._identity and _NAME.fullmatch(found.name) is not None

    def _is_it(self, found: ScannedPath) -> bool:
        entry = found.entry
        return entry is not None and entry.kind == Kind.DIRECTORY and (entry.device, entry.inode) == self._identity


def _is_own(found: ScannedPath, directory: bytes) -> bool:
    parent, _, _ = found.path.rpartition(b"/")
    return parent == directory != found.path and _NAME.fullmatch(found.name) is not None


def _holds_nothing_else(found: ScannedPath) -> bool:
    try:
        descriptor = os.open(
            found.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.parent
        )
    except OSError:
        return False
    try:
        return all(_NAME.fullmatch(name) for name in os.listdir(descriptor))
    except OSError:
        return False
    finally:
        os.close(descriptor)
