"""What stands at the destination beside what is to be restored: right, in the way, kept, or not in the snapshot.

Promises that a file is only taken as right if its kind, size and time are the entry's, as far as the file system can
hold the time, or if its contents are; and that what cannot be replaced is named before anything is fetched for it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from azbackup.commands.restore.checks import Differing
from azbackup.commands.restore.outcome import RestoreRequest
from azbackup.commands.restore.tree import Target
from azbackup.filesystem.aside import is_kept
from azbackup.filesystem.directories import Unwritable
from azbackup.filesystem.existing import Existing, Identify
from azbackup.filesystem.overwrite import Decision, decision, is_right
from azbackup.filesystem.temporaries import is_temporary
from azbackup.format.model import Entry, Kind
from azbackup.records.patterns import IGNORE_FILE

_COARSEST_NS = 2 * 10**9  # FAT keeps even seconds
_SECOND_NS = 10**9
_PROBE_NS = _SECOND_NS + 500_000_000  # a time that only fine clocks can hold

Lengths = Callable[[], Iterable[int]]  # of a file's chunks, in bytes


@dataclass(frozen=True)
class Found:
    """What becomes of one entry: the decision, and what was there. `status` is None where nothing was."""

    decision: Decision
    status: os.stat_result | None = None

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode."""
        return None if self.status is None else (self.status.st_dev, self.status.st_ino)


class Standing:
    """Looks at one destination for one restore. Without a destination nothing is there."""

    def __init__(self, request: RestoreRequest, target: Target, existing: Existing | None, identify: Identify) -> None:
        """`identify` gives the chunk id of contents that are there already."""
        self._request = request
        self._target = target
        self._identify = identify
        # Nothing to look at, entry by entry, in an empty directory.
        self._existing = None if existing is None or existing.is_empty() else existing
        self._root = existing
        self._coarse: dict[int, bool] = {}  # devices, and whether their times are whole seconds
        self.spared = 0  # paths that the snapshot does not have because a rule of its backup left them out
        self.replaced: set[bytes] = set()  # what is of another kind, and removed for what is restored
        self.differing: list[
            Differing
        ] = []  # but for a file whose size and time are right: that is nobody's newer work

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look at."""
        return self._existing is None

    # --- directories

    def check_directory(self, entry: Entry) -> bool:
        """Whether a directory that is there keeps its metadata. Raises Unwritable when something else is in the way."""
        if self._root is None or (entry.path and self._existing is None):
            return False
        status = self._look(entry)
        if status is None:
            return False
        if not stat.S_ISDIR(status.st_mode):
            self._replace(entry, "something that is not a directory is in the way; --delete removes it")
            return False
        return self._keeps(entry, status)

    def _keeps(self, entry: Entry, status: os.stat_result) -> bool:
        """Whether a directory that was there before stays as it is.

        One that a killed restore made, and one that is right but for the time, which moves as files are made in it, are
        set right whatever the policy. One that only leads to what is restored keeps what it has; so does the directory
        that a source is restored into, if it holds other things.
        """
        assert self._root is not None
        request, others = self._request, self._root.has_others(entry.path, self._target.paths)
        unfinished = stat.S_IMODE(status.st_mode) == 0o700 and status.st_uid == os.geteuid() and not others
        if unfinished or (status.st_mtime_ns == entry.mtime_ns and self._root.described(entry, status)):
            return False
        if request.policy == "never" or entry.path in self._target.above:
            return True
        return entry.path in self._target.tops and others and not (request.policy == "always" or request.delete)

    # --- everything else

    def find(self, entry: Entry, lengths: Lengths = lambda: ()) -> Found:
        """What becomes of a file, given its chunks' lengths if they are asked for, or of a link, fifo or device.

        Raises Unwritable when a directory is in the way, or a name that the file system takes for this one.
        """
        if self._existing is None:
            return Found(Decision.WRITE)
        status = self._look(entry)
        if status is None:
            return Found(Decision.WRITE)
        try:
            right = self._is_right(entry, status, lengths)
        except OSError:
            right = False  # what cannot be looked at is written anew
        decided = decision(self._request.policy, entry, status, right)
        if decided is Decision.WRITE and stat.S_ISDIR(status.st_mode):
            self._replace(entry, "a directory is in the way; --delete removes it, with all that is in it")
        elif decided is Decision.WRITE and not right and not (entry.kind == Kind.FILE and is_right(entry, status)):
            self.differing.append(Differing(entry.path, status.st_mtime_ns > entry.mtime_ns))
        return Found(decided, status)

    def holds(self, entry: Entry, lengths: Lengths) -> bool:
        """Whether a file that is there has the entry's contents."""
        assert self._existing is not None
        try:
            return self._existing.holds(entry, lengths(), self._identify)
        except (OSError, Unwritable):
            return False

    def is_described(self, entry: Entry, status: os.stat_result) -> bool:
        """Whether what is there has the entry's mode, owner and attributes."""
        assert self._existing is not None
        try:
            return self._existing.described(entry, status)
        except (OSError, Unwritable):
            return True

    def _look(self, entry: Entry) -> os.stat_result | None:
        """What is there; None also below what is going to be replaced, and where writing will say what is wrong."""
        assert self._root is not None
        if self.replaced and any(entry.path.startswith(path + b"/") for path in self.replaced):
            return None
        try:
            return self._root.look(entry.path)
        except OSError:
            return None

    def _replace(self, entry: Entry, why: str) -> None:
        if not (self._request.delete or self._request.sets_aside):
            raise Unwritable(why)
        self.replaced.add(entry.path)

    def _is_right(self, entry: Entry, status: os.stat_result, lengths: Lengths) -> bool:
        """Whether kind, size, target and time are right, the time as far as it can be held there.

        A time that is coarse there says little: other contents have the same. Then a file's contents tell.
        """
        assert self._existing is not None
        exact = is_right(entry, status)
        if not exact:
            if not is_right(entry, status, any_time=True):
                return False
            held = self._existing.held_time(entry.path, entry.mtime_ns)
            if held is not None and held != status.st_mtime_ns and abs(held - entry.mtime_ns) <= _COARSEST_NS:
                return False
        if entry.kind == Kind.SYMLINK:
            return self._existing.target(entry.path) == entry.target
        if entry.kind != Kind.FILE:
            return True
        told = exact and not self._request.check_existing and not self._is_coarse(entry.path, status)
        return told or self.holds(entry, lengths)

    def _is_coarse(self, path: bytes, status: os.stat_result) -> bool:
        """Whether a time is one that the file system there gives to other moments as well."""
        assert self._existing is not None
        if status.st_mtime_ns % _SECOND_NS:
            return False
        if status.st_dev not in self._coarse:
            self._coarse[status.st_dev] = self._existing.held_time(path, _PROBE_NS) != _PROBE_NS
        return self._coarse[status.st_dev]

    # --- what the snapshot does not have

    def extras(self, entries: Iterable[Entry]) -> list[bytes]:
        """What stands in the restored part and is not in the snapshot, in path order."""
        if self._existing is None or not self._request.delete:
            return []
        found: list[bytes] = []
        top: bytes | None = None
        for entry in entries:
            if entry.kind != Kind.DIRECTORY or entry.path in self._target.above:
                continue
            if top is None or not (entry.path.startswith(top + b"/") or not top):
                top = entry.path
                found += self._extras_below(top)
        return found

    def _extras_below(self, top: bytes) -> list[bytes]:
        """Those below a directory. What the backup's rules left out is not among them, nor what leads there."""
        assert self._existing is not None
        prefix = self._target.prefix_of(top)
        spares = self._request.spares.get(prefix)
        found: list[bytes] = []
        spared: set[bytes] = set()
        unruled = _Unruled(self._target.paths, self._existing.look)
        for scanned in self._existing.below(prefix, spares() if spares is not None else None):
            path = scanned.path
            if not (_is_below(path, top) or _is_below(top, path)):
                scanned.skip = True
                continue
            entry = scanned.entry or Entry(path, int(Kind.FIFO))
            name = path.rpartition(b"/")[2]
            known = self._target.may_hold(path) or is_temporary(name) or is_kept(name)
            if known or path == top or not _is_below(path, top) or not self._target.means(path, entry.kind):
                continue
            if scanned.left_out or unruled.holds(path):
                self.spared += 1
                spared.update(_above(path))
            else:
                found.append(path)
        return [path for path in found if path not in spared]


class _Unruled:
    """Directories whose file of rules is in the snapshot and not here: what it left out cannot be told."""

    def __init__(self, paths: Container[bytes], look: Callable[[bytes], object]) -> None:
        self._paths = paths
        self._look = look
        self._known: dict[bytes, bool] = {}

    def holds(self, path: bytes) -> bool:
        """Whether one of them is above a path."""
        return any(self._lacks(directory) for directory in (*_above(path), b""))

    def _lacks(self, directory: bytes) -> bool:
        if directory not in self._known:
            rules = directory + b"/" + IGNORE_FILE if directory else IGNORE_FILE
            self._known[directory] = rules in self._paths and self._look(rules) is None
        return self._known[directory]


def _above(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]


def _is_below(path: bytes, directory: bytes) -> bool:
    return not directory or path == directory or path.startswith(directory + b"/")
