"""What changed: the scanned tree beside the last snapshot's entries, both in path order.

What is unchanged keeps its chunks and is not read; what is not is read whole; what cannot be read is named and keeps
its last stored version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import msgspec

from azbackup.commands.backup.devices import Devices
from azbackup.commands.backup.entry_reader import Reading, Unreadable
from azbackup.commands.backup.notices import Notices
from azbackup.commands.backup.tally import Tally
from azbackup.filesystem.scanner import ScannedPath, is_there, same_moment
from azbackup.filesystem.temporaries import is_temporary
from azbackup.format.model import Entry, Kind, order
from azbackup.format.patches import Patch, patched

_VANISHED = "vanished while it was backed up"
_UNLISTED = "is there, but its directory does not list it: all that is below it stays as it was stored last"
_UNMOUNTED = "was a mount point and is empty now: what was stored of it stays; --allow-empty if it is meant to be so"
_DIFFERS = "its contents are not those of the last snapshot, though its size and times are; stored as it is now"


def pair(scanned: Iterable[ScannedPath], base: Iterator[Entry]) -> Iterator[tuple[ScannedPath | None, Entry | None]]:
    """(found, old) for every path of either stream, in path order; None where the path is not in it.

    The next ScannedPath is not asked for before the last one has been dealt with.
    """
    old = next(base, None)
    for found in scanned:
        if old is not None and old.path != found.path:
            key = order(found.path)
            while old is not None and order(old.path) < key:
                yield None, old
                old = next(base, None)
        if old is not None and old.path == found.path:
            yield found, old
            old = next(base, None)
        else:
            yield found, None
    while old is not None:
        yield None, old
        old = next(base, None)


def unchanged(now: Entry, old: Entry) -> bool:
    """Whether an entry needs no second look: same kind, size, mtime, ctime and inode. Any change moves the ctime.

    A ctime of 0 matches nothing, not even itself: such a file system has none.
    """
    return old.ctime_ns != 0 and now.kind == old.kind and same_moment(now, old)


def alike(now: Entry, old: Entry) -> bool:
    """Whether an entry that was read again for want of a ctime turned out to be the stored one."""
    doubtful = 0 in (now.ctime_ns, old.ctime_ns)
    return doubtful and msgspec.structs.replace(now, ctime_ns=old.ctime_ns) == old


def renumbered(old: Entry, device: int) -> Entry:
    """A further name of a file, told from its other ones by the device number alone, with the one that they have."""
    return msgspec.structs.replace(old, device=device)


def _is_another(now: Entry, old: Entry | None) -> bool:
    """Whether a directory is not the one that stood there: an unmounted disk's place, or one made anew."""
    return old is not None and (now.inode, now.device) != (old.inode, old.device)


def contents(entry: Entry) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    """What of an entry only reading it tells."""
    return entry.chunks, entry.target, entry.xattrs


class Tree(NamedTuple):
    """The tree as it is: what a scan finds, in path order, and what stands at a path that no listing had.

    `is_unmounted` says of each directory whether its disk is not there, given the entry as it is and the base's.
    """

    scanned: Iterable[ScannedPath]
    look_for: Callable[[bytes], AbstractContextManager[ScannedPath | None]]
    is_unmounted: Callable[[ScannedPath, Entry, Entry | None], bool] = lambda *_: False


class Reader(Protocol):
    """Whoever reads what changed: entry_reader.EntryReader, or a preview that only looks."""

    rereads: bool

    def doubts(self, now: Entry, /) -> bool:
        """Whether an entry is to be read although nothing says that it changed."""

    def lost(self, old: Entry, /) -> bool:
        """Whether some of a stored file's contents are in no pack any more."""

    def rewrites(self, found: ScannedPath, now: Entry, old: Entry, /) -> bool:
        """Stores parts of an unchanged file anew, where that is wanted; whether it has to be read whole instead."""

    def entry(self, found: ScannedPath, now: Entry, /) -> Reading:
        """Reads the entry. Raises OSError or Unreadable if it cannot."""


class Comparison:
    """One pass over the tree beside a base. Made once, run once; a pass that cannot go on is made anew."""

    def __init__(
        self,
        tree: Tree,
        base: Iterator[Entry],
        reader: Reader,
        notices: Notices,
        *,
        full: bool,
    ) -> None:
        """`full`: every entry is wanted, not the changes against the base alone."""
        self.tally = Tally()  # right when `entries` has ended
        self.elsewhere = False  # whether the source's directory is another one than the base's
        self._tree = tree
        self._base = base
        self._reader = reader
        self._notices = notices
        self._full = full
        self._gone: bytes | None = None  # what the paths begin with of which nothing is there any more
        self._devices = Devices()
        self._kept: list[
            bytes
        ] = []  # what the paths begin with that could not be looked at, each within the one before
        self._excluded: bytes | None = None  # what the paths begin with that were left out last

    def entries(self) -> Iterator[Entry | Patch]:
        """What goes into the file records, in path order; removals and patches too when not `full`."""
        for found, old in pair(self._tree.scanned, self._base):
            if found is None:
                assert old is not None
                yield from self._unseen(old)
                continue
            self._complain(found)
            if found.left_out:
                self._exclude(found)
                if not found.hollow:
                    if old is not None:
                        yield from self._dropped(old)
                    continue
            yield from self._met(found, old)

    def _met(self, found: ScannedPath, old: Entry | None) -> Iterator[Entry | Patch]:
        """What becomes of a path at which something was found."""
        entry, same = self._entry(found, old)
        if entry is not None:
            self._count(entry, old, same=same)
            if self._full or old is None:
                yield entry
            elif entry is not old:
                yield patched(entry, old)
        elif old is not None:
            yield from self._removed(old)

    def _unseen(self, old: Entry) -> Iterator[Entry | Patch]:
        """An entry of the base at whose path the scan found nothing: gone, left out, or it could not be looked at."""
        if self._excluded is not None and old.path.startswith(self._excluded):
            yield from self._dropped(old)
            return
        if not any(old.path.startswith(prefix) for prefix in self._kept):
            yield from self._unlisted(old)
            return
        self._count(old, old, same=True)
        if self._full:
            yield old

    def _unlisted(self, old: Entry) -> Iterator[Entry | Patch]:
        """An entry of the base that no listing had: gone, unless it is there all the same."""
        if self._gone is not None and old.path.startswith(self._gone):
            yield from self._removed(old)
            return
        with self._tree.look_for(old.path) as found:
            if found is None or found.entry is None:
                self._gone = old.path + b"/"
                yield from self._removed(old)
                return
            if found.entry.kind == Kind.DIRECTORY:
                found.error, found.partly = _UNLISTED, True
            self._complain(found)
            yield from self._met(found, old)

    def _exclude(self, found: ScannedPath) -> None:
        """A rule leaves out a path, with all that is below it."""
        self._excluded = found.path + b"/"
        size = found.entry.size if found.entry is not None else 0
        self.tally.leave_out(size)
        self._notices.excluded(found.path, size, found.left_out)

    def _dropped(self, old: Entry) -> Iterator[Entry]:
        """An entry of the base that a rule leaves out now: nobody removed it."""
        self.tally.drop(old)
        if not self._full:
            yield Entry(old.path, int(Kind.REMOVED))

    def _removed(self, old: Entry) -> Iterator[Entry]:
        self.tally.remove(old)
        self._notices.removed(old)
        if not self._full:
            yield Entry(old.path, int(Kind.REMOVED))

    def _count(self, entry: Entry, old: Entry | None, *, same: bool) -> None:
        self.tally.count(entry, old, same=same)
        if entry.kind != Kind.DIRECTORY:
            self._notices.done(entry, old, same=same)

    def _entry(self, found: ScannedPath, old: Entry | None) -> tuple[Entry | None, bool]:
        """(the entry to keep, whether it is what the base has); None when there is nothing at this path any more."""
        now = found.entry
        if found.error:
            self._keep_below(found.path)
            if now is None or (old is not None and old.kind != now.kind and not found.partly):
                return old, True
        why = _left_out(found)
        if why or now is None:
            self._notices.left_out(found.path, why)
            return None, False
        if now.kind == Kind.DIRECTORY and self._tree.is_unmounted(found, now, old):
            self._problem(found.path, _UNMOUNTED)
            self._keep_below(found.path)
            return old, True
        self.elsewhere |= not found.path and _is_another(now, old)
        now.device = self._devices.stored(now.device, old)
        seems_same = old is not None and unchanged(now, old)
        again = self._reader.rereads and seems_same
        if old is not None and seems_same and not self._reader.doubts(now) and not self._reader.lost(old):
            again = self._reader.rewrites(found, now, old)
            if not again:
                return old if now.links == 1 or now.device == old.device else renumbered(old, now.device), True
        return self._read(found, now, old, again=again)

    def _read(self, found: ScannedPath, now: Entry, old: Entry | None, *, again: bool) -> tuple[Entry | None, bool]:
        """The same of what has to be read; `again`: although all says that it is what the base has."""
        try:
            entry, lacks = self._reader.entry(found, now)
            if lacks:
                self._problem(found.path, lacks)
            if again and old is not None and contents(entry) != contents(old):
                self._notices.note(found.path, _DIFFERS)
            return (old, True) if entry == old else (entry, old is not None and alike(entry, old))
        except FileNotFoundError as error:
            if not is_there(found):
                found.skip = True  # nothing can be below it
                self._notices.left_out(found.path, _VANISHED)
                return None, False
            self._problem(found.path, f"is there, but cannot be read: {error.strerror}")
        except Unreadable as error:
            found.skip = True  # what is below a path that is too long has a longer one: such a tree may have no end
            self._problem(found.path, str(error))
        except OSError as error:
            self._problem(found.path, f"cannot be read: {error.strerror}")
        self._keep_below(found.path)
        return old, True

    def _keep_below(self, path: bytes) -> None:
        """What the base has below a path stays, as far as the scan does not find it: it could not be looked at."""
        self._kept = [prefix for prefix in self._kept if path.startswith(prefix)]
        self._kept.append(path + b"/" if path else b"")

    # --- what is said

    def _complain(self, found: ScannedPath) -> None:
        if found.twice:
            self._notices.note(found.path, "the file system lists it more than once; it is stored once")
        if found.error or found.odd:
            self._problem(found.path, found.error or found.odd)

    def _problem(self, path: bytes, message: str) -> None:
        self.tally.miss(path)
        self._notices.problem(path, message)


def _left_out(found: ScannedPath) -> str:
    """Why nothing is stored of what was found, '' when something is."""
    if found.gone:
        return _VANISHED
    if found.entry is None:
        return "skipped: it is a socket"
    if found.entry.kind == Kind.FILE and is_temporary(found.path.rpartition(b"/")[2]):
        return "skipped: an unfinished file of a restore"
    return ""
