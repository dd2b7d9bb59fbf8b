"""One run of restore.py that makes a stream instead of a directory: a tar, or the contents of one file.

    entries -> the plan, its price -> thaw, until all of it can be read -> entry by entry, in path order

Promises: nothing is written while anything that is needed still thaws; every byte that is written was opened and
checked. An entry whose contents are lost or damaged is named and left out, as of a directory; what was begun when that
was found is taken back where the output can be cut, and ends the run where it cannot: a stream never holds filling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice

from azbackup.commands.restore.checks import check_estimate, check_room
from azbackup.commands.restore.estimate import Room
from azbackup.commands.restore.fetcher import WantedFile
from azbackup.commands.restore.links import Link
from azbackup.commands.restore.outcome import Recorder, RestoreRequest, RestoreResult
from azbackup.commands.restore.owners import Owners, owners_of_sources
from azbackup.commands.restore.planner import Plan, Planner
from azbackup.commands.restore.run import leave
from azbackup.commands.restore.scheduler import Scheduler
from azbackup.commands.restore.sequence import WINDOW_BYTES, OrderedReader
from azbackup.commands.restore.standing import Standing
from azbackup.commands.restore.tree import SOURCE_BITS, Target, target_entries
from azbackup.commands.restore.writers import Writer
from azbackup.errors import AzbackupError, Damaged, Unavailable
from azbackup.filesystem.free_space import FreeSpace
from azbackup.filesystem.outputs import Closed
from azbackup.format.model import ChunkId, Entry
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
        writer.check([entry for entry in target.entries if entry.path not in target.above])
        standing = Standing(request, target, None, _nothing_stands)
        plan = Planner(request, self._catalog, self._thaw.states, standing, self._recorder).plan(target.entries)
        if free is not None:
            size = sum(file.entry.size for file in plan.files) + _HEADERS * len(target.entries) + _END
            plan.estimate = replace(plan.estimate, room=Room(where, size, free.size, 1, free.inodes))
        result.estimate = plan.estimate
        self._recorder.thaws(self._thaw.states.pending(plan.packs))
        if request.tell is not None:
            request.tell(plan.estimate)
        if not request.plan_only:
            if not request.force:
                check_room(plan.estimate.room)
            check_estimate(plan.estimate, request)
            self._write(plan, target, writer)
        result.staged = self._thaw.states.copies()
        return result

    def _write(self, plan: Plan, target: Target, writer: Writer) -> None:
        """Waits for all packs, then writes the stream. Whoever closed the pipe may want the copies once more."""
        request, result = self._request, self._recorder.result
        self._recorder.progress.stage("restoring", len(plan.files), plan.estimate.size, plan.estimate.read_bytes)
        reader = OrderedReader(self._thaw.states.read, PackReader(self._keys), self._thaw.reject)
        owners = owners_of_sources(snapshot for snapshot, _ in request.snapshots)
        sender = _Sender(writer, reader, self._recorder, owners)
        sender.expect(target.entries, plan)
        scheduler = Scheduler(self._thaw, sender, plan.packs, request.thaw, request.now)
        try:
            waiting = scheduler.run(plan.files, self._recorder, request.wait, whole=True)
            if not waiting.files and not sender.done:
                sender.run([], plan.packs)
        except Closed:
            return
        result.pending, result.later_packs = waiting.pending, waiting.later_packs
        result.refused, result.pending_files = waiting.refused, len(waiting.files)
        if not waiting.files:
            leave(self._thaw, self._recorder, request.now())


class _Sender:
    """Writes all entries in path order, once the packs of all files can be read."""

    def __init__(self, writer: Writer, reader: OrderedReader, recorder: Recorder, owners: list[Owners]) -> None:
        self._writer = writer
        self._reader = reader
        self._recorder = recorder
        self._owners = owners
        self._entries: list[Entry] = []
        self._links: Mapping[bytes, Link] = {}
        self._planned: set[bytes] = set()
        self.done = False

    def expect(self, entries: list[Entry], plan: Plan) -> None:
        """These are the entries; the plan says which of them can be had."""
        self._entries = entries
        self._links = {link.entry.path: link for link in plan.links}
        self._planned = {entry.path for entry in (*plan.directories, *plan.specials)}

    def run(self, files: list[WantedFile], packs: list[PackLayout]) -> list[WantedFile]:
        """Writes everything; gives the files back if a pack cannot be read after all and nothing was written yet.

        Raises Unavailable if something was.
        """
        writer = self._writer
        by_path = {file.entry.path: file for file in files}
        ordered = [by_path[entry.path] for entry in self._entries if entry.path in by_path]
        chunks = self._reader.chunks([piece for file in ordered for piece in file.pieces], packs)
        start = writer.output.place
        try:
            first = list(islice(chunks, 1))  # before anything is written
            self._write_all(by_path, chain(first, chunks))
        except NotOnline:
            if not writer.output.cut(start):
                raise Unavailable(
                    f"a thawed copy was removed while it was read; {writer.output.place:,} bytes were written",
                    "throw them away, and run the same command again",
                ) from None
            for file in files:
                file.put_off = True
            return files
        self.done = True
        return []

    def _write_all(self, files: Mapping[bytes, WantedFile], chunks: Iterator[Plain | AzbackupError]) -> None:
        lost: dict[bytes, str] = {}
        for entry in self._entries:
            if entry.path in files:
                if why := self._write_file(files[entry.path], chunks):
                    lost[entry.path] = why
                    self._recorder.failed(entry, why)
            elif link := self._links.get(entry.path):
                if why := lost.get(link.leader.path, ""):
                    self._recorder.failed(entry, why)
                else:
                    self._begin(entry, link.leader.path)
            elif entry.path in self._planned:
                if why := self._writer.takes(entry):
                    self._recorder.failed(entry, why)
                else:
                    self._begin(entry)
                    self._writer.end(entry)
        self._writer.finish()
        for file in files.values():
            if file.entry.path not in lost:
                self._recorder.done(file.entry)

    def _begin(self, entry: Entry, leader: bytes | None = None) -> None:
        self._writer.begin(entry, self._owners[entry.device >> SOURCE_BITS], leader)

    def _write_file(self, file: WantedFile, chunks: Iterator[Plain | AzbackupError]) -> str:
        """Why a file could not be written, '' if it was. Of one that is held at once all is known before it begins.

        Raises Damaged if some of it has left already.
        """
        own: Iterator[Plain | AzbackupError] = islice(chunks, len(file.pieces))
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


def _shown(entry: Entry) -> str:
    return entry.path.decode("utf-8", "surrogateescape")


def _nothing_stands(_: bytes) -> ChunkId:
    raise AssertionError("there is no destination")
