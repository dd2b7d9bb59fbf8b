"""Whether what a restore will write has room: bytes and inodes of each file system that it writes to.

    the plan -> file systems below the destination -> what each has to take -> what it has free, and what becomes free

Promises that room is never said to be missing for what need not be written: holes, files that are there, what an
earlier run has left of large ones, and the old contents of files that are replaced. Changes nothing.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from azbackup.commands.restore.estimate import Room
from azbackup.commands.restore.files import WantedFile
from azbackup.commands.restore.planner import Plan
from azbackup.filesystem.directories import Unwritable, join
from azbackup.filesystem.existing import Existing
from azbackup.filesystem.free_space import FreeSpace, free_space
from azbackup.filesystem.temporaries import is_temporary
from azbackup.format.model import Entry
from azbackup.packs.index import pairs

_STAT_BLOCK = 512  # of st_blocks
_HOLLOW = 1024  # a chunk of a sparse file that is sealed in fewer bytes is taken for a hole


def find_room(plan: Plan, destination: bytes, existing: Existing | None, *, keeps: bool = False) -> Room | None:
    """The room on the file system that lacks most, or else on the destination's; None where nobody knows.

    `existing` is None where the destination is not there yet. `keeps`: what is replaced stays, under another name.
    """
    places = _Places(destination, existing, keeps=keeps)
    for entry in plan.directories:
        if not places.is_there(entry.path):
            places.need(_parent(entry.path)).add(0)
    for entry in plan.specials:
        places.need(_parent(entry.path)).add(0)
    for file in plan.files:
        places.need(_parent(file.entry.path)).add(_data_bytes(file, plan))
    rooms = [room for need in places.needs.values() if (room := places.room(need, plan)) is not None]
    lacking = [room for room in rooms if room.is_lacking]
    return next(iter(lacking or rooms), None)


def _data_bytes(file: WantedFile, plan: Plan) -> int:
    """What a file takes. Of a sparse one nobody knows where in a chunk its holes are: it counts as compressed."""
    if not file.entry.sparse:
        return file.entry.size
    sealed = (plan.packs[pack].record.sealed[chunk] for pack, chunk in pairs(file.places))
    return sum(size for size in sealed if size >= _HOLLOW)


@dataclass
class _Need:
    """What is to be written to one file system, below the directory `top` of it, in whole blocks."""

    device: int
    top: bytes
    free: FreeSpace | None
    size: int = 0
    inodes: int = 0

    def add(self, size: int) -> None:
        """One more file, directory, link or device."""
        self.size += self.whole(size)
        self.inodes += 1

    def whole(self, size: int) -> int:
        """A size in whole blocks."""
        block = self.free.block if self.free is not None else 1
        return -(-size // block) * block


class _Places:
    """The file systems below the destination, and what each is to take."""

    def __init__(self, destination: bytes, existing: Existing | None, *, keeps: bool) -> None:
        self._destination = destination
        self._keeps = keeps
        self._root = existing
        self._existing = None if existing is None or existing.is_empty() else existing
        top = None if existing is None else existing.look(b"")
        self._devices = {b"": 0 if top is None else top.st_dev}  # of directories
        self.needs: dict[int, _Need] = {}
        self.need(b"")  # the destination's own comes first

    def is_there(self, path: bytes) -> bool:
        """Whether something stands at a path."""
        return self._look(path) is not None if path else self._root is not None

    def need(self, directory: bytes) -> _Need:
        """What the file system is to take that a directory is on, or is going to be."""
        device = self._device(directory)
        if device not in self.needs:
            self.needs[device] = _Need(device, directory, self._free(directory))
        return self.needs[device]

    def room(self, need: _Need, plan: Plan) -> Room | None:
        """The room on one file system; if it seems to lack, what will become free is counted, too."""
        if need.free is None:
            return None
        where = os.fsdecode(os.path.join(self._destination, need.top).rstrip(b"/") or b"/")
        room = Room(where, need.size, need.free.size, need.inodes, need.free.inodes)
        if not room.is_lacking or self._existing is None:
            return room
        size, inodes = self._left_to_find(need, plan)
        return Room(where, size, need.free.size, inodes, need.free.inodes)

    def _left_to_find(self, need: _Need, plan: Plan) -> tuple[int, int]:
        """(bytes, inodes) that a file system has to have for the plan beside those that become free on the way."""
        left = [status for entry in plan.directories for status in self._temporaries(entry.path, need.device)]
        if self._keeps:
            return max(0, need.size - _allocated(left)), max(0, need.inodes - len(left))
        gone = [entry for path in plan.replaced for entry in self._below(path)]
        old = [
            (need.whole(_data_bytes(file, plan)), status)
            for file in plan.files
            if (status := self._file(file.entry.path, need.device)) is not None
        ]
        specials = sum(self._file(entry.path, need.device) is not None for entry in plan.specials)
        # A file and the one that it replaces are there at once: the largest has to fit, when all others are done.
        shrunk = sum(max(0, _allocated([status]) - size) for size, status in old)
        largest = max((size for size, _ in old), default=0)
        size = max(need.size - _allocated([status for _, status in old]), largest - shrunk)
        size -= _allocated(left) + sum(entry.size for entry in gone)
        return max(0, size), max(0, need.inodes - len(left) - len(gone) - len(old) - specials)

    def _device(self, directory: bytes) -> int:
        """The device of a directory, or of the next one above that is there."""
        at = directory
        while at not in self._devices:
            status = self._look(at)
            if status is not None and stat.S_ISDIR(status.st_mode):
                self._devices[at] = status.st_dev
            else:
                at = _parent(at)
        self._devices[directory] = self._devices[at]
        return self._devices[at]

    def _free(self, directory: bytes) -> FreeSpace | None:
        try:
            root = self._root
            status = root.space(directory) if root is not None else os.statvfs(_nearest(self._destination))
        except (OSError, Unwritable):
            return None
        return free_space(status, privileged=os.geteuid() == 0)

    def _look(self, path: bytes) -> os.stat_result | None:
        try:
            return None if self._existing is None else self._existing.look(path)
        except (OSError, Unwritable):
            return None

    def _file(self, path: bytes, device: int) -> os.stat_result | None:
        """What is there and is going to be replaced, if it is on that device."""
        status = self._look(path)
        return status if status is not None and status.st_dev == device else None

    def _temporaries(self, directory: bytes, device: int) -> list[os.stat_result]:
        """What earlier runs have left in a directory: it is gone on with, or removed."""
        if self._existing is None or self._device(directory) != device:
            return []
        try:
            names = [name for name in self._existing.names(directory) if is_temporary(name)]
        except (OSError, Unwritable):
            return []
        return [status for name in names if (status := self._look(join(directory, name))) is not None]

    def _below(self, path: bytes) -> list[Entry]:
        """What is removed for something of another kind, wherever it is."""
        if self._existing is None:
            return []
        return [found.entry for found in self._existing.below(path) if found.entry is not None]


def _allocated(found: list[os.stat_result]) -> int:
    """The bytes that become free with them; not those of files that have other names, too."""
    return sum(status.st_blocks * _STAT_BLOCK for status in found if status.st_nlink == 1)


def _parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def _nearest(path: bytes) -> bytes:
    """The directory itself, or the next one above that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path
