"""One entry, captured whole: a file's chunks, a link's target, extended attributes.

Promises that a file which changes while it is read is read again, and if it changes again is stored as it was read,
with a warning, and read anew by the next run; that a further hard link to a file costs no second reading; and that
what cannot be captured raises, so that the last stored version stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from azbackup.commands.backup.notices import Notices
from azbackup.filesystem.metadata import read_xattrs
from azbackup.filesystem.reader import Replaced, open_file, read_target
from azbackup.filesystem.scanner import ScannedPath, entry_of, same_moment
from azbackup.format.labels import PATH_BYTES
from azbackup.format.model import Entry, Kind
from azbackup.packs.chunk_store import ChunkStore

# A file that was written this shortly before it was read may be written again within the same tick of its clock.
_UNSETTLED_NS = 50_000_000


class Unreadable(Exception):
    """The entry cannot be captured; the text says why."""


class EntryReader:
    """The readings of one run, however many passes it takes over the tree."""

    def __init__(self, store: ChunkStore, now_ns: Callable[[], int], notices: Notices) -> None:
        self._store = store
        self._now_ns = now_ns
        self._notices = notices
        self._links: dict[tuple[int, int], Entry] = {}
        self.read = 0  # bytes

    def entry(self, found: ScannedPath, now: Entry) -> Entry:
        """The entry with its chunks, target and attributes. OSError, Unreadable."""
        if len(found.path) > PATH_BYTES:
            raise Unreadable(f"its path is longer than {PATH_BYTES} bytes")
        if now.kind == Kind.FILE:
            return self._file(found, now)
        if now.kind == Kind.SYMLINK:
            now.target = read_target(found.name, found.parent)
        now.xattrs = read_xattrs(found.name, found.parent)
        return now

    def _file(self, found: ScannedPath, now: Entry) -> Entry:
        twin = self._links.get((now.device, now.inode)) if now.links > 1 else None
        if twin is not None and same_moment(twin, now):
            now.chunks, now.size, now.xattrs = twin.chunks, twin.size, twin.xattrs
            return now
        entry, settled = self._read_once(found, now)
        if not settled:
            entry, settled = self._read_once(found, now)
        if not settled:
            self._notices.note(found.path, "changed while it was read; stored as it was read")
            entry.ctime_ns = 0
        if entry.links > 1:
            self._links[(entry.device, entry.inode)] = entry
        return entry

    def _read_once(self, found: ScannedPath, now: Entry) -> tuple[Entry, bool]:
        """(the file as it was read, whether it stayed the same meanwhile)."""
        try:
            descriptor, before = open_file(found.name, found.parent, now)
        except Replaced as error:
            raise Unreadable(str(error.strerror)) from None
        try:
            before.chunks, size = self._store.store(descriptor, before.size)
            self.read += size
            before.xattrs = read_xattrs(found.name, found.parent, descriptor)
            after = entry_of(found.path, os.fstat(descriptor))
        finally:
            os.close(descriptor)
        settled = after is not None and same_moment(before, after) and size == before.size
        before.size = size
        if self._now_ns() - before.ctime_ns < _UNSETTLED_NS:
            before.ctime_ns = 0
        return before, settled
