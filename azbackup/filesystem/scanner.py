"""The first step of a backup: a directory as a stream of entries in path order.

Promises path order by components as bytes (`a/b` before `a.txt`); every step is opened relative to its parent's
descriptor and never through a symlink, so neither PATH_MAX nor a link swapped in meanwhile matters. Opens directories
only. Refuses to fail for a part: what cannot be listed is yielded with its error, and the caller decides.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from azbackup.errors import AzbackupError
from azbackup.filesystem.directories import DIRECTORY_FLAGS
from azbackup.filesystem.metadata import KINDS
from azbackup.format.model import Entry, Kind


@dataclass(slots=True)
class ScannedPath:
    """One path as the scanner met it.

    `entry` has no chunks, target or xattrs yet, and is None for a socket or what could not be looked at. `parent` is
    the descriptor of the directory that holds `name`, valid until the next ScannedPath is asked for. `error` says why
    an entry, or what is below it, could not be read; `gone` that it vanished between the listing and the look.
    """

    path: bytes
    name: str
    parent: int
    entry: Entry | None = None
    error: str = ""
    gone: bool = False


def entry_of(path: bytes, status: os.stat_result) -> Entry | None:
    """The entry that a stat result describes; None for a socket."""
    kind = KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    is_file = kind is Kind.FILE
    return Entry(
        path=path,
        kind=int(kind),
        size=status.st_size if is_file else 0,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        inode=status.st_ino,
        device=status.st_dev,
        links=status.st_nlink if kind is not Kind.DIRECTORY else 1,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        sparse=is_file and status.st_blocks * 512 < status.st_size,
        rdev=status.st_rdev if kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE) else 0,
    )


def same_moment(before: Entry, after: Entry) -> bool:
    """Whether a file's identity, size and times are the same in both looks."""
    return (
        before.ctime_ns == after.ctime_ns
        and before.mtime_ns == after.mtime_ns
        and before.size == after.size
        and before.inode == after.inode
    )


def open_source(source: bytes) -> int:
    """A descriptor of the source directory (a symlink to it is followed). AzbackupError says why it cannot be read."""
    shown = os.fsdecode(source)
    try:
        return os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise AzbackupError(f"no such directory: {shown}", "check the path") from None
    except NotADirectoryError:
        raise AzbackupError(f"not a directory: {shown}", "give the directory that holds it") from None
    except PermissionError:
        raise AzbackupError(f"cannot read directory: {shown}", "check its permissions, or run as its owner") from None
    except OSError as error:
        raise AzbackupError(f"cannot open directory {shown}: {error.strerror}") from None


@dataclass(slots=True)
class _Level:
    """A directory in hand: its descriptor, its path with a slash (bare for the source) and what is left of it."""

    descriptor: int
    prefix: bytes
    left: Iterator[tuple[bytes, os.DirEntry[str]]] = field(default_factory=lambda: iter(()))


def scan(root: int) -> Iterator[ScannedPath]:
    """Everything below the directory descriptor `root`, itself first with path ''. `root` stays open.

    The descriptors of the directories between the source and the entry in hand stay open: depth is bounded by
    RLIMIT_NOFILE, and a directory too deep for it is yielded with its error.
    """
    yield ScannedPath(b"", ".", root, entry_of(b"", os.fstat(root)))
    levels = [_Level(root, b"")]
    try:
        levels[0].left = _listing(root)
        while levels:
            level = levels[-1]
            item = next(level.left, None)
            if item is None:
                levels.pop()
                if levels:
                    os.close(level.descriptor)
                continue
            found = _look(level, *item)
            if found.entry is not None and found.entry.kind == Kind.DIRECTORY and (below := _descend(found)):
                levels.append(below)
            yield found
    finally:
        for level in levels[1:]:
            os.close(level.descriptor)


def _listing(descriptor: int) -> Iterator[tuple[bytes, os.DirEntry[str]]]:
    """(name as bytes, item) in the order of the names as bytes."""
    fsencode = os.fsencode
    with os.scandir(descriptor) as items:
        named = [(fsencode(item.name), item) for item in items]
    named.sort(key=lambda pair: pair[0])
    return iter(named)


def _look(level: _Level, name: bytes, item: os.DirEntry[str]) -> ScannedPath:
    found = ScannedPath(level.prefix + name, item.name, level.descriptor)
    try:
        found.entry = entry_of(found.path, item.stat(follow_symlinks=False))
    except FileNotFoundError:
        found.gone = True
    except OSError as error:
        found.error = f"cannot be looked at: {error.strerror}"
    return found


def _descend(found: ScannedPath) -> _Level | None:
    """The level below a directory; None, with the reason in `found`, when it cannot be listed."""
    descriptor = -1
    try:
        descriptor = os.open(found.name, DIRECTORY_FLAGS, dir_fd=found.parent)
        return _Level(descriptor, found.path + b"/", _listing(descriptor))
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, FileNotFoundError):
            found.gone = True
        else:
            found.error = f"cannot be listed: {error.strerror}"
        return None
