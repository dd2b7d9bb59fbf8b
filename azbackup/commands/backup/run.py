"""One run of backup.py: a directory becomes packs, records, and at the end a snapshot.

    scan -> unchanged? keep its chunks, read nothing
         -> split -> (known chunk? stop here) -> seal -> pack -> upload
    last pack, file records, snapshot: the commit

Files go through one at a time, in path order. What cannot be read is named and keeps its last stored version. Until
the commit nothing is visible; whatever had its record written by then is used by the next run.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from azbackup.commands.backup.changes import pair, unchanged, wants_full
from azbackup.commands.backup.entry_reader import EntryReader, Unreadable
from azbackup.crypto.sealing import Keys
from azbackup.errors import AzbackupError, Damaged
from azbackup.filesystem.destination import is_temporary
from azbackup.filesystem.scanner import ScannedPath, open_source, scan
from azbackup.format.entries import EntryWriter
from azbackup.format.labels import files_name
from azbackup.format.model import Entry, Kind, Layer, RunId, SealedRecord, Snapshot, Totals
from azbackup.packs.chunk_store import ChunkStore
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog
from azbackup.records.record_store import RecordStore, RunCopies, compressed
from azbackup.storage.local.journal import Journal
from azbackup.storage.protocols import BlobStore

_NAMED_UNREADABLE = 1000
_NAMED_LEFT_OUT = 50
_VANISHED = "vanished while it was backed up"


@dataclass(frozen=True)
class Job:
    """What is backed up, by whom: `source` absolute; `fresh` when the partition was made by this very run."""

    source: bytes
    host: str
    partition: str
    tier: str
    fresh: bool


@dataclass(frozen=True)
class Clock:
    """Where time and names come from: Unix nanoseconds, and fresh ids of packs and runs."""

    now_ns: Callable[[], int]
    new_stamp: Callable[[], str]


class Backup:
    """One run. Made once, run once."""

    def __init__(
        self,
        job: Job,
        catalog: Catalog,
        blobs: BlobStore,
        keys: Keys,
        clock: Clock,
        progress: Progress,
        journal: Journal | None = None,
    ) -> None:
        self._job = job
        self._catalog = catalog
        self._records: RecordStore = catalog.records
        self._clock = clock
        self._progress = progress
        self._run = RunId(clock.new_stamp())
        self._copies = RunCopies(self._records, self._run)
        self._store = ChunkStore(
            catalog,
            blobs,
            keys,
            self._copies,
            job.partition,
            job.tier,
            job.fresh,
            journal,
            clock.new_stamp,
            clock.now_ns,
        )
        self._begin()

    def _begin(self) -> None:
        self._left_out = 0
        self._totals = Totals()
        self._unreadable: list[bytes] = []
        self._capture = EntryReader(self._store, self._clock.now_ns, self._progress)
        self._owners: set[int] = set()
        self._groups: set[int] = set()
        self._writer = EntryWriter(compressed)
        self._file_rows: list[SealedRecord] = []

    def run(self) -> Snapshot:
        """The snapshot that was committed. AzbackupError when there is none."""
        started = self._clock.now_ns()
        root = open_source(self._job.source)
        try:
            snapshots = [] if self._job.fresh else self._catalog.snapshots()
            parent = _parent(snapshots, self._job)
            layers = self._read_source(root, parent)
            if self._left_out > _NAMED_LEFT_OUT:
                self._progress.note(f"and {self._left_out - _NAMED_LEFT_OUT:,} more vanished or were skipped")
            pack_rows = self._store.finish()
            self._check_still_there(root)
        finally:
            os.close(root)
        return self._commit(started, parent, layers, pack_rows, after=snapshots[-1].number if snapshots else 0)

    def _check_still_there(self, root: int) -> None:
        """AzbackupError when the source was removed or replaced: what was read of it is not what it looked like."""
        try:
            same = os.path.samestat(os.fstat(root), os.stat(self._job.source))
        except FileNotFoundError:
            same = False
        if not same:
            raise AzbackupError(
                f"the directory vanished while it was read: {os.fsdecode(self._job.source)}",
                "no snapshot was made; the earlier ones are as they were",
            )

    def _read_source(self, root: int, parent: Snapshot | None) -> list[Layer]:
        """Stores what is new; the layers that the snapshot's own one goes on top of, none when that one is full."""
        totals = parent.totals if parent else Totals()
        self._progress.stage("backing up", totals.files, totals.size)
        if parent is not None:
            full = wants_full(parent.layers)
            try:
                self._write_entries(root, self._catalog.entries(parent), full)
                return [] if full else parent.layers
            except Damaged as error:  # what the last snapshot held is lost in part: this one stands on its own
                self._records.damage.append(error.message)
                self._begin()
        self._write_entries(root, iter(()), full=True)
        return []

    def _write_entries(self, root: int, base: Iterator[Entry], full: bool) -> None:
        for entry in self._entries(root, base, full):
            self._keep(self._writer.add(entry))
        self._keep(self._writer.finish())

    # --- the stream of entries

    def _entries(self, root: int, base: Iterator[Entry], full: bool) -> Iterator[Entry]:
        """What goes into the file records: every entry when `full`, else the changes against the parent."""
        kept = b"\0"  # below which nothing could be looked at, so that the last stored version stays
        for found, old in pair(scan(root), base):
            if found is None:
                assert old is not None
                if old.path.startswith(kept):
                    if full:
                        yield old
                else:
                    yield from self._removed(old, full)
                continue
            if found.error:
                self._problem(found.path, found.error)
                kept = found.path + b"/"
            entry, same = self._entry(found, old)
            if entry is None:
                if old is not None:
                    yield from self._removed(old, full)
                continue
            self._count(entry, old, same)
            if full or not same:
                yield entry

    def _removed(self, old: Entry, full: bool) -> Iterator[Entry]:
        self._totals.removed += old.kind != Kind.DIRECTORY
        if not full:
            yield Entry(old.path, int(Kind.REMOVED))

    def _entry(self, found: ScannedPath, old: Entry | None) -> tuple[Entry | None, bool]:
        """(the entry to keep, whether it is the old one); None when there is nothing at this path any more."""
        now = found.entry
        if now is None and found.error:
            return old, True
        why = _left_out(found)
        if why or now is None:
            self._leave_out(found, why)
            return None, False
        if old is not None and unchanged(now, old):
            return old, True
        try:
            return self._capture.entry(found, now), False
        except FileNotFoundError:
            self._leave_out(found, _VANISHED)
            return None, False
        except Unreadable as error:
            self._problem(found.path, str(error))
        except OSError as error:
            self._problem(found.path, f"cannot be read: {error.strerror}")
        return old, True

    # --- accounts

    def _leave_out(self, found: ScannedPath, why: str) -> None:
        """A line for each of the first that are left out; the others are counted at the end."""
        self._left_out += 1
        if self._left_out <= _NAMED_LEFT_OUT:
            self._progress.note(f"{os.fsdecode(found.path)}: {why}")

    def _problem(self, path: bytes, message: str) -> None:
        self._totals.unreadable += 1
        if len(self._unreadable) < _NAMED_UNREADABLE:
            self._unreadable.append(path)
        self._progress.problem(path, message)

    def _count(self, entry: Entry, old: Entry | None, same: bool) -> None:
        totals = self._totals
        self._owners.add(entry.uid)
        self._groups.add(entry.gid)
        if entry.kind == Kind.DIRECTORY:
            totals.directories += 1
            return
        totals.files += 1
        totals.size += entry.size
        if same:
            totals.unchanged += 1
        elif old is None:
            totals.new += 1
        else:
            totals.changed += 1
        self._progress.advance(entry.path, 1, entry.size)

    # --- the commit

    def _keep(self, payloads: Iterator[bytes]) -> None:
        for payload in payloads:
            name = files_name(self._run, len(self._file_rows) + 1)
            self._file_rows.append(self._records.seal_compressed(name, payload))

    def _commit(
        self, started: int, parent: Snapshot | None, layers: list[Layer], pack_rows: list[SealedRecord], after: int
    ) -> Snapshot:
        self._totals.read = self._capture.read
        self._totals.packs, self._totals.stored = self._store.packs, self._store.size
        if self._file_rows:
            layers = [*layers, Layer(self._run, len(self._file_rows), self._writer.count)]
        snapshot = Snapshot(
            source=self._job.source,
            host=self._job.host,
            run=self._run,
            started_ns=started,
            finished_ns=self._clock.now_ns(),
            layers=layers,
            totals=self._totals,
            parent=parent.number if parent else 0,
            users=_names(self._owners, "passwd"),
            groups=_names(self._groups, "group"),
            unreadable=self._unreadable,
        )
        snapshot.number = self._catalog.commit([*pack_rows, *self._file_rows], self._copies, snapshot, after)
        self._store.committed()
        return snapshot


def _left_out(found: ScannedPath) -> str:
    """Why nothing is stored of what was found, '' when something is."""
    if found.gone and found.entry is None:
        return _VANISHED
    if found.entry is None:
        return "skipped: it is a socket"
    if found.entry.kind == Kind.FILE and is_temporary(found.path.rpartition(b"/")[2]):
        return "skipped: an unfinished file of a restore"
    return ""


def _parent(snapshots: list[Snapshot], job: Job) -> Snapshot | None:
    """The newest snapshot of this source, of this host if there is one."""
    same_source = [snapshot for snapshot in snapshots if snapshot.source == job.source]
    same_host = [snapshot for snapshot in same_source if snapshot.host == job.host]
    newest = same_host or same_source
    return newest[-1] if newest else None


def _names(ids: set[int], database: str) -> dict[int, str]:
    """The names of users ('passwd') or groups ('group') that this machine knows."""
    found = {}
    for each in sorted(ids):
        try:
            found[each] = pwd.getpwuid(each).pw_name if database == "passwd" else grp.getgrgid(each).gr_name
        except KeyError:
            continue
    return found
