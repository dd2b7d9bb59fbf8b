"""One run of backup.py: a directory becomes packs, records, and at the end a snapshot.

    scan -> unchanged? keep its chunks, read nothing
         -> split -> (known chunk? stop here) -> seal -> pack -> upload
    last pack, file records, snapshot: the commit

Files go through one at a time, in path order. What cannot be read is named and keeps its last stored version. Until
the commit nothing is visible; whatever had its record written by then is used by the next run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from azbackup.commands.backup.changes import Comparison, Tree
from azbackup.commands.backup.compaction import compacted
from azbackup.commands.backup.emptied import check_not_emptied
from azbackup.commands.backup.entry_reader import EntryReader
from azbackup.commands.backup.exclusions import Exclusions
from azbackup.commands.backup.forecast import count_ahead
from azbackup.commands.backup.limits import TimeLimit, is_skipped, out_of_time
from azbackup.commands.backup.notices import Notices
from azbackup.commands.backup.own_files import OwnFiles
from azbackup.commands.backup.owners import group_names, user_names
from azbackup.commands.backup.rules import Rules
from azbackup.commands.backup.settled import Mapped
from azbackup.commands.backup.stream import Stream, StreamReading
from azbackup.commands.backup.tally import Tally
from azbackup.commands.backup.unmounted import Unmounted
from azbackup.errors import AzbackupError, Damaged, OutOfTime, Overtaken
from azbackup.filesystem.mappings import mapped_for_writing
from azbackup.filesystem.scanner import is_same_directory, scan
from azbackup.filesystem.source import open_source
from azbackup.format.entries import EntryWriter
from azbackup.format.labels import files_name
from azbackup.format.model import Entry, Layer, SealedRecord, Snapshot, Totals
from azbackup.format.patches import Patch
from azbackup.packs.chunk_store import ChunkStore, not_condemned
from azbackup.packs.known import is_due
from azbackup.packs.run import TRUSTED_NS, Run
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog
from azbackup.records.commit import commit
from azbackup.records.partition import Partition
from azbackup.records.record_store import compressed
from azbackup.records.snapshots import Source, latest_by_source, source_of
from azbackup.workers import beside

if TYPE_CHECKING:
    from azbackup.commands.backup.rewriting import Rewrite
    from azbackup.packs.rewriting import Rewriting

_NONE = "no snapshot was made; the earlier ones are as they were"
_AGAIN = "run it again: it uses what was stored"


def _no_snapshot() -> Snapshot | None:
    return None


class Job(msgspec.Struct, frozen=True):
    """What is backed up, by whom: `source` absolute; `fresh` when the partition was made by this very run.

    `rereads`: every file is read, whatever the last snapshot says of it. `cache` is azbackup's own directory. `rules`
    say what is left out. `stream`: what is read instead of a directory, under a path that no directory has.
    `allow_empty`: no files where there were some is meant. `tags`, `note`: words that the snapshot is to have.
    `is_over`: whether the time that it may take is over. `skips`: no snapshot is wanted where nothing has changed.
    `rewrite`: which stored contents are stored anew, None for none.
    `seen`: the number of the last snapshot that this machine made of it, 0 for none. `before`: the last one under
    an earlier data key, with which nothing is compared but whether the source is empty now.
    """

    source: bytes
    host: str
    fresh: bool
    rereads: bool = False
    cache: bytes = b""
    rules: Rules = Rules()
    stream: Stream | None = None
    allow_empty: bool = False
    tags: tuple[str, ...] = ()
    note: str = ""
    is_over: Callable[[], bool] | None = None
    skips: bool = False
    rewrite: Rewrite | None = None
    seen: int = 0
    before: Callable[[], Snapshot | None] = _no_snapshot


class _Read(msgspec.Struct, frozen=True):
    """What a pass over the whole tree gave: all layers of the snapshot to be, and the records of its own one.

    `alone`: nothing that the last snapshot says could be used.
    """

    layers: list[Layer]
    rows: list[SealedRecord]
    tally: Tally
    elsewhere: bool = False
    alone: bool = False


class Backup:
    """One run. Made once, run once."""

    def __init__(self, job: Job, partition: Partition, catalog: Catalog, run: Run, progress: Progress) -> None:
        self._job = job
        self._catalog = catalog
        self._records = partition.records
        self._run = run
        self._progress = progress
        self._looked_ns = run.clock.now_ns()
        self._limit = TimeLimit(job.is_over)
        self._store = ChunkStore(partition, catalog, run, self._limit.telling(progress.count), fresh=job.fresh)
        self._notices = Notices(progress)
        mapped = Mapped(run.clock.now_ns(), beside(mapped_for_writing))
        self._reader = EntryReader(self._store, run.clock.now_ns, mapped, self._notices, rereads=job.rereads)

    def run(self) -> Snapshot:
        """The snapshot that was committed. Raises AzbackupError if there is none, OutOfTime for want of time.

        Where nothing has changed, and none is wanted then, it is the last one, with what this run counted.
        """
        started = self._run.clock.now_ns()
        stream = self._job.stream
        root = open_source(self._job.source) if stream is None else stream.open()
        try:
            parent, snapshots = (
                (None, []) if self._job.fresh else _find_parent(self._catalog, self._job, self._run, self._progress)
            )
            if stream is None and parent is not None and self._job.rewrite is not None and snapshots:
                self._plan_rewriting(self._job.rewrite, parent, snapshots)
            try:
                read = self._read_source(root, parent) if stream is None else self._read_stream(root, parent, stream)
            except OutOfTime:
                self._progress.stage("sending the last packs")
                raise out_of_time(self._job.source, self._store, self._run, self._records) from None
            self._notices.finish()
            if not self._job.allow_empty and (known := parent or self._job.before()) is not None:
                check_not_emptied(known, read.tally.totals, elsewhere=read.elsewhere)
            self._progress.stage("sending the last packs")
            pack_rows = self._store.finish()
            if why := self._overtaken(parent, pack_rows):
                raise self._given_up(why, pack_rows)
            if stream is None:
                _check_still_there(root, self._job.source)
        finally:
            if stream is None:
                os.close(root)
            else:
                stream.close()
        mended = bool(pack_rows) and self.rewriting is None  # what was lost was stored again
        if parent is not None and not mended and _is_skipped(self._job, parent, read, self._run.clock.now_ns()):
            self._record(pack_rows)
            return msgspec.structs.replace(parent, totals=self._totals(read))
        return self._commit(started, parent, read, pack_rows)

    def _overtaken(self, parent: Snapshot | None, pack_rows: list[SealedRecord], number: int = 0) -> str:
        """Why this run may not count on what it counted on, '' if it may. Overtaken if its `number` is no more.

        Retention waits days before it deletes what it condemned: a run that is shorter than that need not look. Whether
        it is, the clock tells, which goes on while a machine sleeps. After weeks the number behind the newest that it
        knew may have been given, and be free again: it goes on from the newest there was since.
        """
        before, self._looked_ns = self._looked_ns, self._run.clock.now_ns()
        if 0 <= self._looked_ns - before < TRUSTED_NS:
            return ""
        catalog = Catalog(self._records)
        there = {snapshot.number for snapshot in catalog.snapshots()}
        self._catalog = catalog
        if catalog.retired.has(number):
            raise Overtaken("no snapshot was made: its number was given and removed while it was committed", _AGAIN)
        if parent is not None and parent.number not in there:
            return f"snapshot {parent.number}, which it was compared with, was removed"
        lost = self._store.lost(catalog, pack_rows)
        return f"packs with {lost:,} chunks that it needs were removed, or are going to be" if lost else ""

    def _given_up(self, why: str, pack_rows: list[SealedRecord]) -> Overtaken:
        """The error of a run that was overtaken by retention; what it stored is recorded, for the next run."""
        self._record(not_condemned(self._catalog, pack_rows))
        return Overtaken(f"no snapshot was made: while this backup ran {why}", _AGAIN)

    def _record(self, pack_rows: list[SealedRecord]) -> None:
        """Records what was stored, without a snapshot."""
        if pack_rows:
            self._run.copies.put(pack_rows)
            self._records.insert(pack_rows)
        self._store.committed()

    @property
    def rewriting(self) -> Rewriting | None:
        """What was stored anew though it was stored, None where nothing was to be."""
        return self._reader.rewriting

    def _plan_rewriting(self, wish: Rewrite, parent: Snapshot, snapshots: list[Snapshot]) -> None:
        """Decides what of the last snapshot's contents is stored anew in this run."""
        from azbackup.commands.backup.rewriting import Base, planned  # where a rule of retention asks for it

        self._progress.stage("looking for packs to rewrite")
        base = Base(parent, snapshots)
        if rewriting := planned(wish, self._catalog, base, self._store.sound(), self._run.clock.now_ns() / 1e9):
            self._reader.rewriting = rewriting
            self._store.rewrite(rewriting)

    def _read_source(self, root: int, parent: Snapshot | None) -> _Read:
        """Stores what is new, beside the parent's entries where they can be read."""
        if parent is not None:
            try:
                return self._compare(root, parent, self._catalog.entries(parent, whole=True), parent.layers)
            except Damaged:  # what the last snapshot held is lost in part: this one stands on its own
                return self._compare(root, parent, self._catalog.entries(parent), [])
        return self._compare(root, parent, (), [])

    def _read_stream(self, descriptor: int, parent: Snapshot | None, stream: Stream) -> _Read:
        """Stores what comes out of a descriptor, as one file. Raises AzbackupError if it is not whole."""
        self._progress.stage("backing up", 1, parent.totals.size if parent else 0)
        self._progress.hold(stream.name, 0)
        reading = StreamReading(stream.name, self._run.clock.now_ns())
        self._notices.hold(stream.name, 0)
        try:
            chunks, size = self._store.store(descriptor, 0, sys.maxsize)
        except OSError as error:
            shown = os.fsdecode(stream.name)
            raise AzbackupError(f"{shown} cannot be read to its end: {error.strerror}", _NONE) from None
        self._progress.advance(stream.name, 1, size)
        stream.finish()
        entries = reading.entries(chunks, size, self._sound_entries(parent))
        self._reader.read = size
        own, rows = self._written(entries)
        return _Read([own], rows, reading.tally)

    def _sound_entries(self, parent: Snapshot | None) -> list[Entry]:
        """The few entries of the last snapshot of a stream, as far as they are known."""
        return list(self._catalog.entries(parent)) if parent is not None else []

    def _compare(self, root: int, parent: Snapshot | None, base: Iterable[Entry], below: list[Layer]) -> _Read:
        """One pass over the tree; `below` are the layers that the snapshot's own one goes on top of."""
        expected = parent.totals if parent else Totals()
        self._progress.stage("backing up", expected.files, expected.size)
        since_ns = parent.started_ns if parent and not self._job.rereads else 0
        job = self._job
        self._progress.expect(partial(count_ahead, job.source, job.rules, job.cache, since_ns))
        exclusions, own_files = Exclusions(self._job.rules), OwnFiles(self._job.cache)
        tree = Tree(
            own_files.left_out_of(self._limit.scanned(scan(root, exclusions))), partial(own_files.look_for, root)
        )
        if not job.allow_empty:
            tree = tree._replace(is_unmounted=Unmounted().holds)
        comparison = Comparison(tree, iter(base), self._reader, self._notices, full=not below)
        own, rows = self._written(comparison.entries())
        self._notices.left_behind(comparison.tally.dropped, exclusions.mounts)
        layers = below
        if rows:
            layers, rows = compacted(self._catalog, below, own, rows, self._written)
        return _Read(layers, rows, comparison.tally, comparison.elsewhere, alone=not below)

    def _written(self, entries: Iterable[Entry | Patch]) -> tuple[Layer, list[SealedRecord]]:
        """A layer of this run, and its records, sealed; nothing is stored yet."""
        writer = EntryWriter(compressed)
        rows: list[SealedRecord] = []

        def seal(payloads: Iterator[bytes]) -> None:
            for payload in payloads:
                rows.append(self._records.seal_compressed(files_name(self._run.id, len(rows) + 1), payload))

        for entry in entries:
            seal(writer.add(entry))
        seal(writer.finish())
        return Layer(self._run.id, len(rows), writer.count), rows

    def _commit(self, started: int, parent: Snapshot | None, read: _Read, pack_rows: list[SealedRecord]) -> Snapshot:
        self._progress.stage("committing")
        snapshot = Snapshot(
            source=self._job.source,
            host=self._job.host,
            run=self._run.id,
            started_ns=started,
            finished_ns=self._run.clock.now_ns(),
            layers=read.layers,
            totals=self._totals(read),
            parent=parent.number if parent else 0,
            users=user_names(read.tally.owners),
            groups=group_names(read.tally.groups),
            unreadable=read.tally.unreadable,
            rules=list(self._job.rules.lines),
            tags=list(self._job.tags),
            note=self._job.note,
        )
        after, pause = self._catalog.newest, self._run.clock.pause
        finished = commit(self._records, [*pack_rows, *read.rows], self._run.copies, snapshot, after, pause)
        self._store.committed()
        if why := self._overtaken(parent, pack_rows, finished.number):
            self._records.report(f"while snapshot {finished.number} was committed {why}: the next backup mends it")
        return finished

    def _totals(self, read: _Read) -> Totals:
        totals = read.tally.totals
        totals.read = self._reader.read
        totals.packs, totals.stored = self._store.packs, self._store.size
        return totals


def _find_parent(catalog: Catalog, job: Job, run: Run, progress: Progress) -> tuple[Snapshot | None, list[Snapshot]]:
    """The snapshot to compare with, and all snapshots; none of them in a large partition, but for once a week."""
    shown = Source(job.source, job.host)
    due = run.looks is not None and is_due(run.looks.last(), run.clock.now_ns() // 10**9)
    if not due and (head := catalog.newest_of(shown, job.seen)) is not None:
        return head, []
    snapshots = catalog.snapshots()
    parent = parent_of(snapshots, job)
    if parent is None and (hint := _same_place(snapshots, job)):
        progress.note(f"this is the first backup of {shown}; {hint}")
    return parent, snapshots


def parent_of(snapshots: list[Snapshot], job: Job) -> Snapshot | None:
    """The newest snapshot of this source: of this path on this host."""
    same = [snapshot for snapshot in snapshots if source_of(snapshot) == Source(job.source, job.host)]
    return same[-1] if same else None


def _is_skipped(job: Job, parent: Snapshot, read: _Read, now_ns: int) -> bool:
    wanted = not job.skips or bool(job.tags or job.note)
    return not read.alone and not wanted and is_skipped(parent, read.tally, list(job.rules.lines), now_ns)


def _check_still_there(root: int, source: bytes) -> None:
    """AzbackupError when the source was removed or replaced: what was read of it is not what it looked like."""
    shown = os.fsdecode(source)
    try:
        same = is_same_directory(root, source)
    except (FileNotFoundError, NotADirectoryError):
        same = False
    except OSError as error:
        raise AzbackupError(f"the directory cannot be read any more: {shown}: {error.strerror}", _NONE) from None
    if not same:
        raise AzbackupError(f"the directory vanished while it was read: {shown}", _NONE)


def _same_place(snapshots: list[Snapshot], job: Job) -> str:
    """What the first backup of a source may be in truth: a machine or a directory under another name. '' for neither.

    A directory has another name behind a symbolic link.
    """
    sources = latest_by_source(snapshots)
    if others := [each for each in sources if each.path == job.source]:
        return (
            f"if this machine was called {others[-1].host} before, --host {others[-1].host} goes on with {others[-1]}"
        )
    real = os.path.realpath(job.source)
    if others := [each for each in sources if each.host == job.host and os.path.realpath(each.path) == real]:
        return f"it is the same directory as {os.fsdecode(others[-1].path)}, which is a source already"
    return ""
