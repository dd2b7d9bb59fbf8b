"""The files of a restore on their way: under temporary names, complete, on the disk, named.

    put, or write and prepare -> complete -> a batch on the disk -> settle: the name

Promises that a file gets its name only when it is on the disk as a whole, and that what becomes of each is told once,
by `settle`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator

from azbackup.filesystem.batches import Batches
from azbackup.filesystem.directories import Directories, Unwritable
from azbackup.filesystem.hands import Hands
from azbackup.filesystem.metadata import MetadataWriter
from azbackup.filesystem.naming import Naming
from azbackup.filesystem.pieces import write_piece
from azbackup.filesystem.syncing import FileSystems
from azbackup.filesystem.temporaries import Temporaries, Temporary
from azbackup.filesystem.whole_files import WholeFile, WholeFiles
from azbackup.format.model import Entry

_NOBODY = (0, 0)  # the device and inode of what has not appeared


class Underway:
    """Those of one run."""

    def __init__(
        self,
        directories: Directories,
        temporaries: Temporaries,
        metadata: MetadataWriter,
        make_room: Callable[[bytes], None],
        is_plain: Callable[[bytes], bool],
    ) -> None:
        """`make_room` is called just before a file gets its name; where `is_plain`, it would have nothing to do."""
        self._directories = directories
        self._temporaries = temporaries
        self._metadata = metadata
        self._make_room = make_room
        self.file_systems = FileSystems(directories.root)
        self._batches = Batches(self.file_systems.sync)
        self._hands = Hands()
        self._whole = WholeFiles(directories, temporaries, metadata, self._hands)
        self._naming = Naming(directories, temporaries, self._hands, is_plain)
        self._failed: deque[tuple[bytes, Exception]] = deque()
        self._leaders: dict[bytes, tuple[int, int]] = {}  # files that appeared and may get more names

    def close(self) -> None:
        """Ends all threads, lets what is complete appear, and removes other temporary files.

        What was written of large files stays for the next run, unless the disk has failed.
        """
        self._hands.end()
        try:
            for file in self._whole.taken(wait=False):
                if file.made:
                    self._complete(file.entry, file.temporary)
            for _ in self.settle():
                pass
        except (OSError, Unwritable):
            pass  # a disk that is full or broken: what is not on it does not appear
        for path in list(self._temporaries.all):
            if self._batches.failed:
                self._temporaries.discard(path)
            else:
                self._temporaries.leave(path)
        self.file_systems.close()

    def put(self, entry: Entry, data: bytes | memoryview) -> None:
        """A file of which this is all."""
        file = self._whole.put(entry, data)
        if file is not None:
            self._take(file)
        else:
            for each in self._whole.taken(wait=False):
                self._take(each)

    def write(self, entry: Entry, offset: int, data: bytes | memoryview) -> None:
        """A piece of a file. Raises OSError, Unwritable."""
        write_piece(entry, self._temporaries.file(entry.path).descriptor, data, offset)

    def prepare(self, entry: Entry) -> None:
        """Size and metadata of a file whose pieces are all written. Raises OSError, Unwritable."""
        temporary = self._temporaries.file(entry.path)
        if entry.sparse:
            os.ftruncate(temporary.descriptor, entry.size)
        # Nothing is inherited from a directory that this run has made.
        self._metadata.describe(entry, temporary.descriptor, bare=self._directories.is_bare(temporary.parent))
        self._complete(entry, self._temporaries.seal(entry.path))

    @property
    def is_due(self) -> bool:
        """Whether `settle` has something to say without waiting."""
        return self._batches.is_due or bool(self._failed)

    def settle(self, *, wait: bool = True) -> Iterator[tuple[bytes, Exception | None]]:
        """Names for what is on the disk: each path, with the error if it got none. Raises OSError when a sync fails."""
        for file in self._whole.taken(wait=wait):
            self._take(file)
        while self._failed:
            yield self._failed[0]
            self._failed.popleft()
        for path in self._naming.ready(self._batches.landed(wait=wait), wait=wait):
            try:
                self._make_room(path)
                identity = self._naming.appear(path)
            except (OSError, Unwritable) as error:
                yield path, error
            else:
                if path in self._leaders:
                    self._leaders[path] = identity
                yield path, None

    def discard(self, path: bytes) -> None:
        """A file will not be finished."""
        self._batches.remove(path)
        self._temporaries.discard(path)

    def identity(self, path: bytes, before: tuple[int, int] | None) -> tuple[int, int] | None:
        """Device and inode of a file that gets more names, which it had `before` or has from here; None if neither."""
        identity = self._leaders.get(path, before)
        return None if identity == _NOBODY else identity

    def _take(self, file: WholeFile) -> None:
        entry = file.entry
        try:
            if file.made:
                self._complete(entry, file.temporary)
            else:  # the long way knows what to do about directories, and what to say
                self.discard(entry.path)
                self.write(entry, 0, file.data)
                self.prepare(entry)
        except (OSError, Unwritable) as error:
            self.discard(entry.path)
            self._failed.append((entry.path, error))

    def _complete(self, entry: Entry, temporary: Temporary) -> None:
        device, _ = temporary.identity
        if device not in self.file_systems:
            self.file_systems.add(device, self._directories.at(temporary.parent))
        self._batches.add(entry.path, entry.size)
        if entry.links > 1:
            self._leaders[entry.path] = _NOBODY
