"""Files whose bytes are all at hand: each is made, written and described in one step, under a temporary name.

    put -> made at once, or by hands, some files of one directory at a time -> taken

Promises that every temporary is known before it is made, and that few files wait; a file that could not be made is
given back with its bytes: whoever takes it goes the long way, piece by piece, and meets what is wrong by itself. Hands
act on a descriptor of their own; which directory that is, only the run's own thread says.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from functools import partial

import msgspec

from azbackup.filesystem.directories import Directories, Unwritable
from azbackup.filesystem.hands import Hands, Pace
from azbackup.filesystem.metadata import MetadataWriter
from azbackup.filesystem.pieces import write_piece
from azbackup.filesystem.temporaries import Temporaries, Temporary, create, sealed
from azbackup.format.model import Entry

SMALL_BYTES = 256 << 10  # larger files are written piece by piece: making them is the least of it
_FILES, _BYTES = 16, 256 << 10  # of a job


class WholeFile(msgspec.Struct):
    """A file on its way, and whether it has been made."""

    entry: Entry
    data: bytes | memoryview
    temporary: Temporary
    made: bool = False


class _Job(msgspec.Struct):
    """Files of one directory, by a descriptor that is the job's; `bare`: nothing is inherited from it."""

    files: list[WholeFile]
    directory: int
    bare: bool
    over: bool = False


class WholeFiles:
    """Those of one run."""

    def __init__(
        self, directories: Directories, temporaries: Temporaries, metadata: MetadataWriter, hands: Hands
    ) -> None:
        self._directories = directories
        self._temporaries = temporaries
        self._metadata = metadata
        self._hands = hands
        self.pace = Pace()
        self._over: deque[WholeFile] = deque()
        self._gathered: list[WholeFile] = []  # of one directory, for the next job
        self._bytes = 0
        self._jobs: deque[_Job] = deque()

    def put(self, entry: Entry, data: bytes | memoryview) -> WholeFile | None:
        """A file with all of its bytes is to be made: the file, made or not, None if it is among those to be taken."""
        temporary = self._temporaries.all[entry.path] = self._temporaries.begin(entry.path)
        file = WholeFile(entry, data, temporary)
        if self.pace.is_slow and self._hands.any:
            self._gather(file)
            return None
        self._make_here(file)
        return file

    def taken(self, *, wait: bool) -> Iterator[WholeFile]:
        """The files that were put, as they are made or not; with `wait` all of them, but for an end. Each once."""
        if wait and not self._hands.ended:
            self._hand_over()
            self._hands.join()
        while self._jobs and (self._jobs[0].over or self._hands.ended):
            self._over.extend(self._jobs[0].files)
            self._jobs.popleft()
        while self._over:
            yield self._over[0]
            self._over.popleft()

    def _make_here(self, file: WholeFile) -> None:
        looks = self.pace.begin()
        try:
            parent = file.temporary.parent
            directory, bare = self._directories.at(parent), self._directories.is_bare(parent)
            try:
                create(file.temporary, directory)
                if looks:
                    self.pace.made()
                _fill(file, self._metadata, bare=bare)
            finally:
                _close(file.temporary)
        except (OSError, Unwritable):
            return
        if looks:
            self.pace.end()

    # --- with hands

    def _gather(self, file: WholeFile) -> None:
        self._gathered.append(file)
        self._bytes += len(file.data)
        first = self._gathered[0]
        if file.temporary.parent != first.temporary.parent:
            self._gathered.pop()
            self._hand_over()
            self._gathered.append(file)
            self._bytes = len(file.data)
        if len(self._gathered) == _FILES or self._bytes >= _BYTES:
            self._hand_over()

    def _hand_over(self) -> None:
        files, self._gathered, self._bytes = self._gathered, [], 0
        if not files:
            return
        parent = files[0].temporary.parent
        try:
            directory = os.dup(self._directories.at(parent))
        except (OSError, Unwritable):
            self._over.extend(files)
            return
        job = _Job(files, directory, self._directories.is_bare(parent))
        self._jobs.append(job)
        self._hands.do(partial(self._work, job), self.pace)

    def _work(self, job: _Job) -> None:
        try:
            for file in job.files:
                if self._hands.ended:
                    break
                try:
                    create(file.temporary, job.directory)
                    _fill(file, self._metadata, bare=job.bare)
                except (OSError, Unwritable):
                    pass  # the long way says what is wrong
                finally:
                    _close(file.temporary)
        finally:
            os.close(job.directory)
            job.over = True


def _fill(file: WholeFile, metadata: MetadataWriter, *, bare: bool) -> None:
    entry, descriptor = file.entry, file.temporary.descriptor
    write_piece(entry, descriptor, file.data, 0)
    if entry.sparse:
        os.ftruncate(descriptor, entry.size)
    metadata.describe(entry, descriptor, bare=bare)
    sealed(file.temporary)
    file.made = True


def _close(temporary: Temporary) -> None:
    if temporary.descriptor >= 0:
        os.close(temporary.descriptor)
        temporary.descriptor = -1
