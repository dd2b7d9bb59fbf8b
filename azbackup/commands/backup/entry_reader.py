"""One entry, read whole: a file's chunks, a link's target, extended attributes.

Promises that a file which changes while it is read is read again, and if it changes again is stored as it was read,
with a warning; that no more is read than a file had when it was opened; that what may change without a sign is read
anew by the next run; that a further hard link to a file costs no second reading where the kernel vouches for it; and
that what cannot be read raises, so that the last stored version stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from azbackup.commands.backup.notices import Notices
from azbackup.commands.backup.settled import Mapped, is_settled
from azbackup.filesystem.identity import handle_of
from azbackup.filesystem.metadata import read_xattrs
from azbackup.filesystem.reader import Replaced, open_file, read_target
from azbackup.filesystem.scanner import ScannedPath, entry_of, same_moment
from azbackup.format.labels import PATH_BYTES
from azbackup.format.model import Entry, Kind
from azbackup.packs.chunk_store import ChunkStore

if TYPE_CHECKING:
    from azbackup.packs.rewriting import Part, Rewriting

_UNSIZED = 16 * 1024 * 1024  # what is read of a file that says to be empty, as those of /proc do


class Unreadable(Exception):
    """The entry cannot be read; the text says why."""


class Reading(NamedTuple):
    """An entry as it was read; `lacks` says what of it could not be, '' for nothing."""

    entry: Entry
    lacks: str = ""


class EntryReader:
    """The readings of one run, however many passes it takes over the tree."""

    def __init__(
        self, store: ChunkStore, now_ns: Callable[[], int], mapped: Mapped, notices: Notices, *, rereads: bool
    ) -> None:
        """`rereads`: everything is to be read, whatever its times say."""
        self._store = store
        self._now_ns = now_ns
        self._notices = notices
        self._mapped = mapped
        self._links: dict[tuple[int, int], tuple[bytes, Reading]] = {}
        self.rereads = rereads
        self.rewriting: Rewriting | None = None
        self.read = 0  # bytes

    def doubts(self, now: Entry) -> bool:
        """Whether an entry is to be read although nothing says that it changed."""
        return self.rereads or self._mapped.may_hold(now)

    def lost(self, old: Entry) -> bool:
        """Whether some of a stored file's contents are in no pack any more: the file is to be stored again."""
        return not self._store.holds(old.chunks)

    def rewrites(self, found: ScannedPath, now: Entry, old: Entry) -> bool:
        """Stores parts of an unchanged file anew, where that is wanted; whether it has to be read whole instead.

        So it has if it has other contents than were stored, or a part cannot be read.
        """
        parts = self.rewriting.parts(old) if self.rewriting is not None else []
        return bool(parts) and not self._read_parts(found, now, parts)

    def _read_parts(self, found: ScannedPath, now: Entry, parts: list[Part]) -> bool:
        """Whether all of them are what they were: a chunk's id says so, whatever becomes of the file meanwhile."""
        try:
            descriptor, _ = open_file(found.name, found.parent, now)
        except OSError:
            return False
        try:
            self._notices.hold(found.path, now.size)
            for part in parts:
                plain = os.pread(descriptor, part.size, part.offset)
                self.read += len(plain)
                if not self._store.store_again(part.chunk_id, plain):
                    return False
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def entry(self, found: ScannedPath, now: Entry) -> Reading:
        """Reads the entry's chunks, target and attributes. Raises OSError or Unreadable if it cannot."""
        if len(found.path) > PATH_BYTES:
            raise Unreadable(f"its path is longer than {PATH_BYTES:,} bytes; it is left out, with all that is below it")
        if now.kind == Kind.FILE:
            return self._file(found, now)
        started = self._now_ns()
        if now.kind == Kind.SYMLINK:
            now.target = read_target(found.name, found.parent)
        now.xattrs, lacks = read_xattrs(found.name, found.parent)
        if lacks or not is_settled(now, started):
            now.ctime_ns = 0
        return Reading(now, lacks)

    def _file(self, found: ScannedPath, now: Entry) -> Reading:
        handle = handle_of(found.name, found.parent) if now.links > 1 else b""
        known, twin = self._links.get((now.device, now.inode), (b"", None))
        if twin is not None and handle and handle == known and same_moment(twin.entry, now):
            now.chunks, now.size, now.xattrs = twin.entry.chunks, twin.entry.size, twin.entry.xattrs
            return Reading(now, twin.lacks)
        reading, rested = self._read_once(found, now)
        if not rested:
            reading, rested = self._read_once(found, now)
        if not rested and not reading.lacks:
            self._notices.note(found.path, "changed while it was read; stored as it was read")
        if not rested:
            reading.entry.ctime_ns = 0
        if handle:
            self._links[(now.device, now.inode)] = handle, reading
        return reading

    def _read_once(self, found: ScannedPath, now: Entry) -> tuple[Reading, bool]:
        """(the file as it was read, whether it stayed the same meanwhile)."""
        started = self._now_ns()
        try:
            descriptor, entry = open_file(found.name, found.parent, now)
        except Replaced as error:
            raise Unreadable(str(error.strerror)) from None
        try:
            said = entry.size
            self._notices.hold(found.path, said)
            limit = said or _UNSIZED
            entry.chunks, entry.size = self._store.store(descriptor, said, limit)
            self.read += entry.size
            longer = entry.size == limit and bool(os.read(descriptor, 1))
            entry.xattrs, lacks = read_xattrs(found.name, found.parent, descriptor)
            after = entry_of(found.path, os.fstat(descriptor))
        finally:
            os.close(descriptor)
        entry.device = now.device
        rested = after is not None and _same(entry, after, said)
        if rested and longer:
            lacks = f"it is longer than its size says: only the first {entry.size:,} bytes were stored"
        elif rested and entry.size < said:
            rested, lacks = False, f"it ends before its size says: {entry.size:,} of {said:,} bytes could be read"
        if lacks or self._mapped.may_hold(entry) or not is_settled(entry, started):
            entry.ctime_ns = 0
        return Reading(entry, lacks), rested


def _same(entry: Entry, after: Entry, said: int) -> bool:
    """Whether a file that stayed open has the times it had, and the size that it said to have."""
    return (entry.ctime_ns, entry.mtime_ns, said) == (after.ctime_ns, after.mtime_ns, after.size)
