"""One run of restore.py that makes a stream instead of a directory: a tar, or the contents of one file.

    entries -> the plan, its price -> thaw, until all of it can be read -> entry by entry, in path order

Promises: nothing is written while anything that is needed still thaws; every byte that is written was opened and
checked. An entry whose contents are lost or damaged is named and left out, as of a directory; what was begun when that
was found is taken back where the output can be cut, and ends the run where it cannot: a stream never holds filling.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

from azbackup.commands.restore.checks import check_estimate, check_room
from azbackup.commands.restore.estimate import Room
from azbackup.commands.restore.fetcher import PutOff
from azbackup.commands.restore.files import DONE, READY, WAITING, Files, WantedFile
from azbackup.commands.restore.links import Link
from azbackup.commands.restore.outcome import Recorder, RestoreRequest, RestoreResult
from azbackup.commands.restore.owners import Owners, owners_of_sources
from azbackup.commands.restore.planner import Plan, Planner
from azbackup.commands.restore.run import leave
from azbackup.commands.restore.scheduler import Scheduler
from azbackup.commands.restore.sequence import WINDOW_BYTES, OrderedReader
from azbackup.commands.restore.standing import Standing
from azbackup.commands.restore.tree import SOURCE_BITS, target_entries
from azbackup.commands.restore.writers import Writer
from azbackup.errors import AzbackupError, Damaged, Unavailable
from azbackup.filesystem.free_space import FreeSpace
from azbackup.filesystem.outputs import Closed
from azbackup.format.model import ChunkId, Entry, order
from azbackup.memory import give_back_memory, keep_freed_spans
from azbackup.packs.index import pairs
from azbackup.packs.layout import PackLayout
from azbackup.packs.reader import PackReader, Plain
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import NotOnline
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition

_HEADERS = 2048  # of a tar, for each entry: two with what pax adds, and what fills the last block
_END = 10240  # of a tar


class StreamRestore:
    """One run. Made once, run once."""

    def __init__(
        self, request: RestoreRequest, partition: Partition, catalog: Catalog, thaw: ThawRequests, progress: Progress
    ) -> None:
        self._request = request
        self._keys = partition.keys
        self._catalog = catalog
        self._thaw = thaw
        self._recorder = Recorder(progress, thaws=request.thaws)
        catalog.records.report = self._recorder.damaged

    def run(self, writer: Writer, where: str = "", free: FreeSpace | None = None) -> RestoreResult:
        """Writes what was asked for. Raises UsageError, Damaged, Unavailable, AzbackupError where it had to end.

        `free` is the room that the output has, `where` its name.
        """
        request, result = self._request, self._recorder.result
        target = target_entries(self._catalog, request.snapshots, request.selection, with_paths=False)
        writer.check(entry for entry in target.entries if entry.path not in target.above)
        standing = Standing(request, target, None, _nothing_stands)
        count = len(target.entries)
        plan = Planner(request, self._catalog, self._thaw.states, standing, self._recorder).plan(target.entries)
        if free is not None:
            size = plan.files.size + _HEADERS * count + _END
            plan.estimate = replace(plan.estimate, room=Room(where, size, free.size, 1, free.inodes))
        result.estimate = plan.estimate
        self._recorder.thaws(self._thaw.states.pending(plan.packs))
        if request.tell is not None:
            request.tell(plan.estimate)
        if not request.plan_only:
            if not request.force:
                check_room(plan.estimate.room)
            check_estimate(plan.estimate, request)
            self._write(plan, writer)
        result.staged = self._thaw.states.copies()
        return result

    def _write(self, plan: Plan, writer: Writer) -> None:
        """Waits for all packs, then writes the stream. Whoever closed the pipe may want the copies once more."""
        request, result = self._request, self._recorder.result
        self._recorder.progress.stage("restoring", len(plan.files), plan.estimate.size, plan.estimate.read_bytes)
        give_back_memory()  # of planning; spans take its place
        keep_freed_spans()
        reader = OrderedReader(self._thaw.states.read, PackReader(self._keys), self._thaw.reject)
        owners = owners_of_sources(snapshot for snapshot, _ in request.snapshots)
        sender = _Sender(writer, reader, self._recorder, owners)
        sender.expect(plan)
        scheduler = Scheduler(self._thaw, sender, plan.packs, request.thaw, request.now)
        try:
            waiting = scheduler.run(plan.files, self._recorder, request.wait, whole=True)
            if not waiting.files and not sender.done:
                sender.run(plan.files, plan.packs)
        except Closed:
            return
        result.pending, result.later_packs = waiting.pending, waiting.later_packs
        result.refused, result.pending_files = waiting.refused, waiting.files
        if not waiting.files:
            leave(self._thaw, self._recorder, request.now())


class _Sender:
    """Writes all entries in path order, once the packs of all files can be read."""

    def __init__(self, writer: Writer, reader: OrderedReader, recorder: Recorder, owners: list[Owners]) -> None:
        self._writer = writer
        self._reader = reader
        self._recorder = recorder
        self._owners = owners
        self._plan = Plan()
        self.done = False

    def expect(self, plan: Plan) -> None:
        """What is to be written, once it can be read."""
        self._plan = plan

    def run(self, files: Files, packs: list[PackLayout]) -> PutOff:
        """Writes everything. Files wait again if a pack cannot be read after all and nothing was written yet.

        Raises Unavailable if something was.
        """
        writer = self._writer
        places = (place for file in files.having(READY) for place in pairs(file.places))
        chunks = self._reader.chunks(places, packs)
        start = writer.output.place
        try:
            first = list(islice(chunks, 1))  # before anything is written
            self._write_all(files, chain(first, chunks))
        except NotOnline:
            if not writer.output.cut(start):
                raise Unavailable(
                    f"a thawed copy was removed while it was read; {writer.output.place:,} bytes were written",
                    "throw them away, and run the same command again",
                ) from None
            files.turn(READY, WAITING)
            return PutOff(some=True)
        files.turn(READY, DONE)
        self.done = True
        return PutOff()

    def _items(self, files: Files) -> Iterator[Entry | Link | WantedFile]:
        """All that is written, in path order."""
        plan = self._plan
        links = sorted(plan.links, key=_place)
        return heapq.merge(plan.directories, plan.specials, links, files.having(READY), key=_place)

    def _write_all(self, files: Files, chunks: Iterator[Plain | AzbackupError]) -> None:
        lost: dict[bytes, str] = {}
        for item in self._items(files):
            if isinstance(item, WantedFile):
                if why := self._write_file(item, chunks):
                    lost[item.entry.path] = why
                    self._recorder.failed(item.entry, why)
            elif isinstance(item, Link):
                if why := lost.get(item.leader.path, ""):
                    self._recorder.failed(item.entry, why)
                else:
                    self._begin(item.entry, item.leader.path)
            elif why := self._writer.takes(item):
                self._recorder.failed(item, why)
            else:
                self._begin(item)
                self._writer.end(item)
        self._writer.finish()
        for file in files.having(READY):
            if file.entry.path not in lost:
                self._recorder.done(file.entry)

    def _begin(self, entry: Entry, leader: bytes | None = None) -> None:
        self._writer.begin(entry, self._owners[entry.device >> SOURCE_BITS], leader)

    def _write_file(self, file: WantedFile, chunks: Iterator[Plain | AzbackupError]) -> str:
        """Why a file could not be written, '' if it was. Of one that is held at once all is known before it begins.

        Raises Damaged if some of it has left already.
        """
        own: Iterator[Plain | AzbackupError] = islice(chunks, len(file.places) // 2)
        if file.entry.size <= WINDOW_BYTES:
            held = list(own)
            if why := next((each for each in held if isinstance(each, AzbackupError)), None):
                return self._tell(why)
            own = iter(held)
        place, done = self._writer.output.place, 0
        self._begin(file.entry)
        for plain in own:
            if isinstance(plain, AzbackupError):
                for _ in own:
                    pass  # what is still to come of it
                if not self._writer.output.cut(place):
                    raise Damaged(
                        f"{_shown(file.entry)}: {plain.message}; the stream ends there, after "
                        f"{self._writer.output.place:,} bytes",
                        "what was written is not whole: throw it away; --exclude leaves the file out, an older "
                        "snapshot may have it",
                    )
                return self._tell(plain)
            self._writer.write(plain)
            done += len(plain)
            self._recorder.wrote(file.entry, len(plain), done)
        self._writer.end(file.entry)
        return ""

    def _tell(self, error: AzbackupError) -> str:
        if isinstance(error, Damaged):
            self._recorder.damaged(error.message)
        return error.message


def _place(item: Entry | Link | WantedFile) -> bytes:
    return order((item if isinstance(item, Entry) else item.entry).path)


def _shown(entry: Entry) -> str:
    return entry.path.decode("utf-8", "surrogateescape")


def _nothing_stands(_: bytes) -> ChunkId:
    raise AssertionError("there is no destination")
