"""What is in the way of a restore: removed, or kept beside it as NAME.before-restore where it is not to be lost.

Promises that what is kept is never replaced or removed, and that a name is never without a file: a file gets its second
name before what is restored takes the first one, by rename. Where a file system has no hard links it is renamed.
"""

from __future__ import annotations

import os
import re
import stat

from azbackup.filesystem.directories import Directories, Unwritable, split
from azbackup.filesystem.temporaries import Temporary

_SUFFIX = b".before-restore"
_KEPT = re.compile(rb".*\.before-restore(\.\d+)?", re.DOTALL)
_NAME_BYTES = 255


def is_kept(name: bytes) -> bool:
    """Whether a name is one that something was kept under."""
    return _KEPT.fullmatch(name) is not None


class Aside:
    """What one run keeps. `paths` are those that it has kept, under their new names."""

    def __init__(self, directories: Directories) -> None:
        self._directories = directories
        self.paths: list[bytes] = []

    def keep(self, path: bytes, new: Temporary | None) -> None:
        """Keeps what stands at a path, unless it is what the `new` file is: of that kind, size and time.

        Without a new one it is moved away. Raises OSError, Unwritable if it cannot be kept.
        """
        parent, name = split(path)
        directory = self._directories.at(parent, make=False)
        try:
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        if new is not None:
            status = os.stat(new.temporary, dir_fd=directory, follow_symlinks=False)
            if _is_alike(there, status):
                return
        kept = self._second_name(name, directory, there)
        if kept is None:
            kept = _free_name(name, directory)
            os.rename(name, kept, src_dir_fd=directory, dst_dir_fd=directory)
        elif new is None:
            os.unlink(name, dir_fd=directory)
        if stat.S_ISDIR(there.st_mode):
            self._directories.forget(path)
        self.paths.append(parent + b"/" + kept if parent else kept)

    def _second_name(self, name: bytes, directory: int, there: os.stat_result) -> bytes | None:
        """A second name for a file, None for what cannot have one."""
        if stat.S_ISDIR(there.st_mode):
            return None
        for kept in _names(name):
            try:
                os.link(name, kept, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
            except FileExistsError:
                if os.path.samestat(os.stat(kept, dir_fd=directory, follow_symlinks=False), there):
                    return kept  # of a run that was killed
            except OSError:
                return None
            else:
                return kept
        return None


def _names(name: bytes) -> list[bytes]:
    """NAME.before-restore, NAME.before-restore.2 and on."""
    endings = [_SUFFIX, *(_SUFFIX + b".%d" % number for number in range(2, 1000))]
    return [name[: _NAME_BYTES - len(ending)] + ending for ending in endings]


def _free_name(name: bytes, directory: int) -> bytes:
    for kept in _names(name):
        try:
            os.stat(kept, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return kept
    raise Unwritable("it differs, and 999 earlier ones were kept beside it: remove some")


def _is_alike(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two are of one kind, size and time, or are the same."""
    same = stat.S_IFMT(one.st_mode) == stat.S_IFMT(other.st_mode) and not stat.S_ISDIR(one.st_mode)
    return same and (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def remove(directories: Directories, path: bytes) -> bool:
    """Removes a file or an empty directory; whether it was there, and could be removed."""
    parent, name = split(path)
    try:
        directory = directories.at(parent, make=False)
        if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            directories.forget(path)
            os.rmdir(name, dir_fd=directory)
        else:
            os.unlink(name, dir_fd=directory)
    except (OSError, Unwritable):
        return False
    return True
