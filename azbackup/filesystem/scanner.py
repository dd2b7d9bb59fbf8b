"""The first step of a backup: a directory as a stream of entries in path order.

Promises path order by components as bytes (`a/b` before `a.txt`); every step is opened relative to its parent's
descriptor and never through a symlink, so neither PATH_MAX nor a link swapped in meanwhile matters. Opens directories
only, and none that a filter leaves out. Refuses to fail for a part: what cannot be listed is yielded with its error,
and the caller decides.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from azbackup.errors import AzbackupError
from azbackup.filesystem.directories import DIRECTORY_FLAGS
from azbackup.filesystem.identity import handle_of
from azbackup.filesystem.metadata import KINDS
from azbackup.format.model import Entry, Kind

_FIRST_NS, _LAST_NS = -(2**63), 2**64 - 1  # what msgpack has room for
_LISTINGS = 4  # of one directory that goes on changing
_DOUBTS = 20  # names of one directory that are listed and not there: it is listed again, to tell who is right
_NO_SNAPSHOT = "no snapshot was made; the earlier ones are as they were"


class ScannedPath(msgspec.Struct):
    """One path as the scanner met it.

    `entry` has no chunks, target or xattrs yet, and is None for a socket or what could not be looked at. `parent` is
    the descriptor of the directory that holds `name`, valid until the next ScannedPath is asked for. `error` says why
    an entry, or what is below it, could not be read, `partly` that some of that follows all the same; `gone` that it
    vanished between the listing and the look;
    `twice` that its directory's listing names it more than once; `odd` what of it does not fit an entry, which has the
    nearest that does. Whoever sets `skip` does not get what is below it.

    `listed_as` is what its directory's listing says of a path that could not be looked at: "directory", "other", or ''.
    `left_out` says by which rule a path, with all that is below it, is left out, '' if it is not; `hollow` that it is
    kept itself, a mount point, and only what is below it is left out.
    """

    path: bytes
    name: str
    parent: int
    entry: Entry | None = None
    error: str = ""
    partly: bool = False
    gone: bool = False
    twice: bool = False
    odd: str = ""
    skip: bool = False
    listed_as: str = ""
    left_out: str = ""
    hollow: bool = False


class Filter(Protocol):
    """Says what is left out, by setting `left_out` of a path, before anybody opens what it leads to."""

    def judge(self, found: ScannedPath) -> None:
        """Hears of each path but the root, in path order."""

    def enter(self, found: ScannedPath, descriptor: int, names: Collection[bytes]) -> None:
        """Hears of each directory that is entered, the root first, once it is open and its names are known."""


def entry_of(path: bytes, status: os.stat_result) -> Entry | None:
    """The entry that a stat result describes, each field within its range; None for a socket.

    A ctime out of range is 0, which matches nothing: of two of them nothing could tell which is which.
    """
    kind = KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    is_file = kind is Kind.FILE
    mtime_ns, ctime_ns = status.st_mtime_ns, status.st_ctime_ns
    if not (_FIRST_NS <= mtime_ns <= _LAST_NS and _FIRST_NS <= ctime_ns <= _LAST_NS):
        mtime_ns = min(max(mtime_ns, _FIRST_NS), _LAST_NS)
        ctime_ns = ctime_ns if _FIRST_NS <= ctime_ns <= _LAST_NS else 0
    return Entry(
        path=path,
        kind=int(kind),
        size=status.st_size if is_file and status.st_size > 0 else 0,
        mtime_ns=mtime_ns,
        ctime_ns=ctime_ns,
        inode=status.st_ino,
        device=status.st_dev,
        links=status.st_nlink if kind is not Kind.DIRECTORY else 1,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        sparse=is_file and status.st_blocks * 512 < status.st_size,
        rdev=status.st_rdev if kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE) else 0,
    )


def _oddity(entry: Entry | None, status: os.stat_result) -> str:
    """What of a stat result does not fit the entry that was made of it, '' for nothing."""
    if entry is None or entry.mtime_ns not in (_FIRST_NS, _LAST_NS) or status.st_mtime_ns == entry.mtime_ns:
        return ""
    return "its modification time is before 1678 or after 2554: the nearest time that can be stored stands for it"


def same_moment(before: Entry, after: Entry) -> bool:
    """Whether a file's identity, size and times are the same in both looks."""
    return (
        before.ctime_ns == after.ctime_ns
        and before.mtime_ns == after.mtime_ns
        and before.size == after.size
        and before.inode == after.inode
    )


def is_same_directory(descriptor: int, path: bytes) -> bool:
    """Whether a path still leads to the directory that is open. Raises OSError if that cannot be told.

    By the kernel's handle too: some file systems have another inode number each time.
    """
    before, now = os.fstat(descriptor), os.stat(path)
    if os.path.samestat(before, now):
        return True
    again = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        handle = handle_of(".", again)
        return before.st_dev == now.st_dev and handle != b"" and handle == handle_of(".", descriptor)
    finally:
        os.close(again)


class _Level(msgspec.Struct):
    """A directory in hand: its descriptor, its path with a slash (bare for the source) and what is left of it."""

    descriptor: int
    prefix: bytes
    left: Iterator[tuple[bytes, os.DirEntry[str]]]
    names: Collection[bytes]
    twice: frozenset[bytes]
    error: str  # why there may be more
    doubts: int = 0

    def lists(self, name: bytes) -> bool:
        """Whether the directory has a name still, which leads nowhere: then that is no answer."""
        self.doubts += 1
        try:
            return self.doubts <= _DOUBTS and name in dict(_names(self.descriptor)[0])
        except OSError:
            return False


def scan(root: int, filter_: Filter | None = None) -> Iterator[ScannedPath]:
    """Everything below the directory descriptor `root`, itself first with path ''. `root` stays open.

    What the filter leaves out is yielded, and nothing that is below it; the root itself is never left out.

    The descriptors of the directories between the source and the entry in hand stay open: depth is bounded by
    RLIMIT_NOFILE, and a directory too deep for it is yielded with its error. Raises AzbackupError if nothing of the
    source can be listed: then nothing is known of it.
    """
    status = os.fstat(root)
    try:
        levels = [_listing(root, b"")]
    except OSError as error:
        raise AzbackupError(f"cannot list the directory to back up: {error.strerror}", _NO_SNAPSHOT) from None
    found = ScannedPath(b"", ".", root, entry_of(b"", status), error=levels[0].error, partly=True)
    found.odd = _oddity(found.entry, status)
    if filter_ is not None:
        filter_.enter(found, root, levels[0].names)
    yield found
    try:
        while levels:
            level = levels[-1]
            item = next(level.left, None)
            if item is None:
                levels.pop()
                if levels:
                    os.close(level.descriptor)
                continue
            found = _look(level, *item)
            if filter_ is not None:
                filter_.judge(found)
            is_directory = found.entry is not None and found.entry.kind == Kind.DIRECTORY
            below = _descend(found, filter_) if is_directory and not found.left_out else None
            if below:
                levels.append(below)
            yield found
            if below and found.skip:
                os.close(levels.pop().descriptor)
    finally:
        for level in levels[1:]:
            os.close(level.descriptor)


def _listing(descriptor: int, prefix: bytes) -> _Level:
    """A directory's names, in their order as bytes and each of them once, whatever the file system says.

    A listing that breaks off is used as far as it goes: one name that no system can have ends it. OSError at its start.
    While a directory changes, a listing may leave out names that were there all the time (POSIX, readdir; tmpfs one in
    twenty): then it is listed again, a few times at most, and what any listing has is looked at.
    """
    once: dict[bytes, os.DirEntry[str]] = {}
    twice: frozenset[bytes] = frozenset()
    error = ""
    for _ in range(_LISTINGS):
        before = os.fstat(descriptor).st_mtime_ns
        listed, error = _names(descriptor)
        fresh = dict(listed)
        if len(fresh) < len(listed):
            twice |= {name for name, count in Counter(name for name, _ in listed).items() if count > 1}
        once = {**once, **fresh} if once else fresh
        if error or os.fstat(descriptor).st_mtime_ns == before:
            break
    return _Level(descriptor, prefix, iter(sorted(once.items(), key=lambda pair: pair[0])), once.keys(), twice, error)


def _names(descriptor: int) -> tuple[list[tuple[bytes, os.DirEntry[str]]], str]:
    """One listing, and why it is not whole. Raises OSError if there is nothing of it."""
    fsencode, listed, error = os.fsencode, [], ""
    try:
        with os.scandir(descriptor) as items:
            for item in items:
                listed.append((fsencode(item.name), item))  # noqa: PERF401  what comes before an error is kept
    except OSError as failure:
        if not listed:
            raise
        error = f"cannot be listed to its end: {failure.strerror}"
    return listed, error


def _look(level: _Level, name: bytes, item: os.DirEntry[str]) -> ScannedPath:
    found = ScannedPath(level.prefix + name, item.name, level.descriptor, twice=name in level.twice)
    try:
        status = item.stat(follow_symlinks=False)
        found.entry = entry_of(found.path, status)
        found.odd = _oddity(found.entry, status)
    except FileNotFoundError as error:
        found.gone = not level.lists(name)
        found.error = "" if found.gone else f"is listed, but cannot be looked at: {error.strerror}"
    except OSError as error:
        found.error = f"cannot be looked at: {error.strerror}"
    if found.error:
        found.listed_as = _listed_as(item)
    return found


def _listed_as(item: os.DirEntry[str]) -> str:
    """What kind a listing gives an entry; '' where it gives none."""
    try:
        if item.is_dir(follow_symlinks=False):
            return "directory"
        return "other" if item.is_symlink() or item.is_file(follow_symlinks=False) else ""
    except OSError:
        return ""


def is_there(found: ScannedPath) -> bool:
    """Whether something is at a path still, of which the file system has just said that it is not."""
    try:
        os.stat(found.name, dir_fd=found.parent, follow_symlinks=False)
    except OSError:
        return False
    return True


def is_empty(found: ScannedPath) -> bool:
    """Whether a directory can be listed, and has no names."""
    try:
        descriptor = os.open(found.name, DIRECTORY_FLAGS, dir_fd=found.parent)
    except OSError:
        return False
    try:
        return not os.listdir(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)


@contextmanager
def look_for(root: int, path: bytes) -> Iterator[ScannedPath | None]:
    """What stands at a path below the directory `root`, whatever listings say; None where nothing does.

    A file that is saved by rename while its directory is listed may be in no listing, with some file systems (btrfs,
    tmpfs, network shares); there are others whose listings break off and do not say so.
    """
    parent, opened = root, -1
    *above, name = path.split(b"/")
    found = None
    try:
        try:
            for each in above:
                parent = os.open(each, DIRECTORY_FLAGS, dir_fd=parent)
                opened, before = parent, opened
                if before >= 0:
                    os.close(before)
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            found = ScannedPath(path, os.fsdecode(name), parent, entry_of(path, status))
            found.odd = _oddity(found.entry, status)
        except OSError:
            pass
        yield found
    finally:
        if opened >= 0:
            os.close(opened)


def _descend(found: ScannedPath, filter_: Filter | None) -> _Level | None:
    """The level below a directory; None, with the reason in `found`, when it is left out or cannot be listed."""
    descriptor = -1
    try:
        descriptor = os.open(found.name, DIRECTORY_FLAGS, dir_fd=found.parent)
        below = _listing(descriptor, found.path + b"/")
        if filter_ is not None:
            filter_.enter(found, descriptor, below.names)
            below.names = ()
            if found.left_out:
                os.close(descriptor)
                return None
        found.error, found.partly = below.error, True
        return below
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        found.gone = isinstance(error, FileNotFoundError) and not is_there(found)
        if not found.gone:
            found.error = f"cannot be listed: {error.strerror}"
        return None
