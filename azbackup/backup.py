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

from azbackup import codec
from azbackup.catalog import Catalog, decode_pack
from azbackup.changes import pair, unchanged, wants_full
from azbackup.crypto import Keys, seal_chunk
from azbackup.entries import EntryWriter
from azbackup.errors import AzbackupError, Damaged
from azbackup.formats import PACK_PREFIX, PATH_BYTES, files_name, pack_blob
from azbackup.hasher import Hasher
from azbackup.journal import Journal
from azbackup.model import ChunkId, Entry, Kind, Layer, PackId, RunId, Snapshot, Totals
from azbackup.packer import Packer
from azbackup.progress import Progress
from azbackup.reader import Replaced, open_file, read_target, read_xattrs, same_moment
from azbackup.records import Records, RunCopies, fits
from azbackup.scanner import Found, entry_of, open_source, scan
from azbackup.stores import BlobStore, Row
from azbackup.uploads import Uploads

_NAMED_UNREADABLE = 1000
# A file that was written this shortly before it was read may be written again within the same tick of its clock.
_UNSETTLED_NS = 50_000_000


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


class _Unreadable(Exception):
    """An entry could not be read; its last stored version is kept."""


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
        self._blobs = blobs
        self._catalog = catalog
        self._records: Records = catalog.records
        self._clock = clock
        self._progress = progress
        self._hasher = Hasher(keys)
        self._chunk_key = keys.chunk_key.reveal()
        self._packer = Packer(lambda: PackId(clock.new_stamp()))
        self._known: set[ChunkId] | None = set() if job.fresh else None
        self._run = RunId(clock.new_stamp())
        self._journal = journal
        self._copies = RunCopies(self._records, self._run)
        self._uploads = Uploads(
            blobs,
            self._records,
            self._copies,
            job.partition,
            job.tier,
            journal,
            clock.now_ns,
            self._packer.recycle,
        )
        self._totals = Totals()
        self._unreadable: list[bytes] = []
        self._links: dict[tuple[int, int], Entry] = {}
        self._owners: set[int] = set()
        self._groups: set[int] = set()
        self._writer = EntryWriter(fits)
        self._payloads: list[Row] = []

    def run(self) -> Snapshot:
        """The snapshot that was committed. AzbackupError when there is none."""
        started = self._clock.now_ns()
        root = open_source(self._job.source)
        try:
            snapshots = [] if self._job.fresh else self._catalog.snapshots()
            parent = _parent(snapshots, self._job)
            size = parent.totals.size if parent else 0
            self._progress.stage("backing up", parent.totals.files if parent else 0, size)
            full = wants_full(parent.layers if parent else [])
            base = self._catalog.entries(parent) if parent else iter(())
            if self._journal is not None and not self._job.fresh and self._journal.rows():
                self._chunks()  # before the journal is forgotten, even if nothing has changed
            for entry in self._entries(root, base, full):
                self._keep(self._writer.add(entry))
            self._keep(self._writer.finish())
            if os.fstat(root).st_nlink == 0:
                raise AzbackupError(
                    f"the directory vanished while it was read: {os.fsdecode(self._job.source)}",
                    "no snapshot was made; the earlier ones are as they were",
                )
        finally:
            os.close(root)
        layers = [] if full or parent is None else parent.layers
        return self._commit(started, parent, layers, after=snapshots[-1].number if snapshots else 0)

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

    def _entry(self, found: Found, old: Entry | None) -> tuple[Entry | None, bool]:
        """(the entry to keep, whether it is the old one); None when there is nothing at this path any more."""
        now = found.entry
        if now is None:
            if found.error:
                return old, True
            why = "vanished while it was backed up" if found.gone else "skipped: it is a socket"
            self._progress.note(f"{os.fsdecode(found.path)}: {why}")
            return None, False
        if old is not None and unchanged(now, old):
            return old, True
        try:
            if len(found.path) > PATH_BYTES:
                raise _Unreadable(f"its path is longer than {PATH_BYTES} bytes")
            return self._read(found, now), False
        except FileNotFoundError:
            self._progress.note(f"{os.fsdecode(found.path)}: vanished while it was backed up")
            return None, False
        except _Unreadable as error:
            self._problem(found.path, str(error))
        except OSError as error:
            self._problem(found.path, f"cannot be read: {error.strerror}")
        return old, True

    def _read(self, found: Found, now: Entry) -> Entry:
        """The entry with its chunks, target and attributes. OSError, _Unreadable."""
        if now.kind == Kind.FILE:
            return self._read_file(found, now)
        if now.kind == Kind.SYMLINK:
            now.target = read_target(found.name, found.parent)
        now.xattrs = read_xattrs(found.name, found.parent)
        return now

    # --- contents

    def _read_file(self, found: Found, now: Entry) -> Entry:
        """A file read whole. One that changes meanwhile is read again, then kept as it was read, with a warning."""
        twin = self._links.get((now.device, now.inode)) if now.links > 1 else None
        if twin is not None and same_moment(twin, now):
            now.chunks, now.size, now.xattrs = twin.chunks, twin.size, twin.xattrs
            return now
        entry, settled = self._read_once(found, now)
        if not settled:
            entry, settled = self._read_once(found, now)
        if not settled:
            self._progress.note(f"{os.fsdecode(found.path)}: changed while it was read; stored as it was read")
            entry.ctime_ns = 0
        if entry.links > 1:
            self._links[(entry.device, entry.inode)] = entry
        return entry

    def _read_once(self, found: Found, now: Entry) -> tuple[Entry, bool]:
        """(the file as it was read, whether it stayed the same meanwhile). OSError, _Unreadable."""
        try:
            descriptor, before = open_file(found.name, found.parent, now)
        except Replaced as error:
            raise _Unreadable(str(error.strerror)) from None
        try:
            before.chunks, size = self._store(descriptor, before.size)
            before.xattrs = read_xattrs(found.name, found.parent, descriptor)
            after = entry_of(found.path, os.fstat(descriptor))
        finally:
            os.close(descriptor)
        settled = after is not None and same_moment(before, after) and size == before.size
        before.size = size
        if self._clock.now_ns() - max(before.mtime_ns, before.ctime_ns) < _UNSETTLED_NS:
            before.ctime_ns = 0
        return before, settled

    def _store(self, descriptor: int, size_hint: int) -> tuple[bytes, int]:
        """(chunk ids, bytes read) of a file, whose unknown chunks are sealed and packed."""
        ids = []
        size = 0
        for chunk_id, plain in self._hasher.split(descriptor, size_hint):
            ids.append(chunk_id)
            size += len(plain)
            if chunk_id not in self._chunks():
                self._add(chunk_id, plain)
        self._totals.read += size
        return b"".join(ids), size

    def _chunks(self) -> set[ChunkId]:
        """The ids of all chunks that some pack is known to hold, read when the first one is asked for."""
        if self._known is None:
            packs = set()
            self._known = set()
            for pack_id, record in self._catalog.packs():
                packs.add(PACK_PREFIX + pack_id)
                self._known.update(record.chunk_ids())
            self._adopt([row for row in self._journal.rows() if row.name not in packs] if self._journal else [])
        return self._known

    def _adopt(self, rows: list[Row]) -> None:
        """Makes the packs known that a killed run had uploaded but not recorded, if they are there as it said."""
        adopted = []
        for row in rows:
            try:
                pack_id, record = decode_pack(row.name, self._records.open_sealed(row))
            except Damaged:
                continue  # of another partition, or from before its table was lost
            name = pack_blob(self._job.partition, pack_id)
            if any(info.size == record.size and info.md5 == record.md5 for info in self._blobs.listed(name)):
                adopted.append(row)
                self._chunks().update(record.chunk_ids())
        self._uploads.adopt(adopted)

    def _add(self, chunk_id: ChunkId, plain: bytes | memoryview) -> None:
        sealed = seal_chunk(self._chunk_key, chunk_id, codec.encode_body(plain))
        if not self._packer.has_room(len(sealed)):
            full = self._packer.finish()
            assert full is not None, "an empty pack has room for any chunk"
            self._uploads.send(full)
        self._packer.add(chunk_id, sealed, len(plain))
        self._chunks().add(chunk_id)

    # --- accounts

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
            name = files_name(self._run, len(self._payloads) + 1)
            self._payloads.append(self._records.seal(name, payload))

    def _commit(self, started: int, parent: Snapshot | None, layers: list[Layer], after: int) -> Snapshot:
        last = self._packer.finish()
        pack_rows = self._uploads.finish(last)
        self._totals.packs, self._totals.stored = self._uploads.packs, self._uploads.size
        if self._payloads:
            layers = [*layers, Layer(self._run, len(self._payloads), self._writer.count)]
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
        snapshot.number = self._catalog.commit([*pack_rows, *self._payloads], self._copies, snapshot, after)
        if self._journal is not None:
            self._journal.clear()
        return snapshot


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
