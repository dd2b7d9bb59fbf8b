"""A backup that is only looked at: what it would store and why, what it would leave out, and how much that is.

Goes the way of a backup (the same scan, the same rules, the same comparison), and opens no file: sizes are those that
files say, so that what would be stored is at most that. Contents that are stored already, and compression, make it
less. Writes nothing, here or there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from azbackup.commands.backup.changes import Comparison, Tree
from azbackup.commands.backup.entry_reader import Reading
from azbackup.commands.backup.exclusions import Exclusions
from azbackup.commands.backup.notices import Notices
from azbackup.commands.backup.own_files import OwnFiles
from azbackup.commands.backup.rewriting import Base, planned
from azbackup.commands.backup.run import Job, parent_of
from azbackup.commands.backup.tally import Tally
from azbackup.commands.backup.unmounted import Unmounted
from azbackup.filesystem.reader import read_target
from azbackup.filesystem.scanner import ScannedPath, scan
from azbackup.filesystem.source import open_source
from azbackup.format.labels import CHUNK_NORMAL, PACK_BYTES, PACK_CHUNKS
from azbackup.format.model import Entry, Kind, Totals, split_ids
from azbackup.packs.ids import Scratch, no_scratch
from azbackup.packs.known import KnownChunks
from azbackup.packs.padding import forecast_size
from azbackup.packs.rewriting import Rewriting
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition

_FIELDS = (
    *(("kind", "kind"), ("size", "size"), ("mtime_ns", "time"), ("mode", "mode"), ("uid", "owner"), ("gid", "group")),
    *(("target", "target"), ("inode", "another file of this name")),
)
_ENTRY_BYTES = 110  # of a new file in the records, at most in measured trees
_COPY_BYTES = 16 * 1024 * 1024


class Planned(NamedTuple):
    """What would become of one path, and why: new, changed, read again, rewritten, removed, left out."""

    what: str
    path: bytes
    size: int = 0
    why: str = ""


@dataclass
class Forecast:
    """How much a backup would do. Bytes unless it is a count; `to_store` is the most that it can be."""

    totals: Totals
    to_store: int = 0
    to_reread: int = 0
    read_again: int = 0
    rewritten: int = 0  # files that did not change, and are read again to be stored anew
    to_rewrite: int = 0
    files: int = 0  # that are read
    first: bool = False

    @property
    def packs(self) -> int:
        """The packs that hold it, if nothing of it is stored yet."""
        size = self.to_store + self.to_rewrite
        return max(-(-size // PACK_BYTES), -(-self.files // PACK_CHUNKS)) if size else 0

    @property
    def padded(self) -> int:
        """The bytes of these packs, with their padding."""
        size = self.to_store + self.to_rewrite
        return forecast_size(size, self.files + size // CHUNK_NORMAL)

    @property
    def requests(self) -> dict[str, int]:
        """About the requests of the run, by billing class, as tests/guard measures them."""
        copies = 1 + (self.files * _ENTRY_BYTES) // _COPY_BYTES
        writes = self.packs + 1 + (copies if self.files else 0) + (2 if self.first else 0)
        return {"write": writes, "list": 1, "table": 5}

    @property
    def records(self) -> int:
        """About the bytes of the records."""
        return self.files * _ENTRY_BYTES


Tell = Callable[[Planned], None]


class _Told(Notices):
    """Tells what would become of each path, and counts it."""

    def __init__(self, progress: Progress, tell: Tell, looking: _Looking) -> None:
        super().__init__(progress)
        self._tell = tell
        self._looking = looking
        self.forecast = Forecast(Totals())

    def done(self, entry: Entry, old: Entry | None, *, same: bool) -> None:
        """Tells of an entry that would be stored or read."""
        if same:
            return
        forecast = self.forecast
        size = entry.size if entry.kind == Kind.FILE else 0
        what, why = ("new", "") if old is None else self._difference(entry, old)
        forecast.files += 1
        if what == "read again":
            forecast.read_again += 1
            forecast.to_reread += size
        elif what == "rewritten":
            size = self._looking.rewritten_size
            forecast.rewritten += 1
            forecast.to_rewrite += size
        else:
            forecast.to_store += size
        self._tell(Planned(what, entry.path, size, why))

    def excluded(self, path: bytes, size: int, rule: str) -> None:
        """Tells by which rule a path is left out."""
        self._tell(Planned("left out", path, size, rule))

    def removed(self, old: Entry) -> None:
        """Tells that a path of the last snapshot is gone."""
        if old.kind != Kind.DIRECTORY:
            self._tell(Planned("removed", old.path, old.size))

    def _difference(self, entry: Entry, old: Entry) -> tuple[str, str]:
        found = [name for field, name in _FIELDS if getattr(entry, field) != getattr(old, field)]
        if found:
            return "changed", ", ".join(found)
        if entry.path == self._looking.rewritten:
            return "rewritten", "its packs are hardly needed, or small"
        if self._looking.lost(old):
            return "changed", "its contents are in no sound pack"
        if entry.ctime_ns != old.ctime_ns and old.ctime_ns:
            return "changed", "attributes, or a time that was set back"
        return "read again", "it may have changed unseen"


class _Looking:
    """Stands where a backup reads: nothing is opened."""

    def __init__(
        self, partition: Partition | None, catalog: Catalog | None, *, rereads: bool, scratch: Scratch
    ) -> None:
        self.rereads = rereads
        self._scratch = scratch
        self.rewriting: Rewriting | None = None
        self.rewritten = b"\0"  # the path that was to be read last for that; no path is so called
        self.rewritten_size = 0  # bytes of it
        self._partition = partition
        self._catalog = catalog
        self._known: KnownChunks | None = None

    def doubts(self, _: Entry) -> bool:
        """Whether an entry is to be read although nothing says that it changed."""
        return self.rereads

    def lost(self, old: Entry) -> bool:
        """Whether some of a stored file's contents are in no pack any more."""
        if not old.chunks or self._partition is None or self._catalog is None:
            return False
        return not self.known(self._partition, self._catalog).holds(split_ids(old.chunks))

    def known(self, partition: Partition, catalog: Catalog) -> KnownChunks:
        """The chunks that are stored, and the packs."""
        if self._known is None:
            self._known = KnownChunks(partition, catalog, whole=True, scratch=self._scratch)
        return self._known

    def rewrites(self, _found: ScannedPath, _now: Entry, old: Entry) -> bool:
        """Whether parts of an unchanged file would be stored anew."""
        parts = self.rewriting.parts(old) if self.rewriting is not None else []
        if self.rewriting is None or not parts:
            return False
        self.rewriting.due.difference_update(part.chunk_id for part in parts)
        self.rewritten, self.rewritten_size = old.path, sum(part.size for part in parts)
        return True

    def entry(self, found: ScannedPath, now: Entry) -> Reading:
        """The entry as it was scanned. Raises PermissionError for a file that could not be read."""
        if now.kind == Kind.SYMLINK:
            now.target = read_target(found.name, found.parent)
        if now.kind == Kind.FILE and not os.access(found.name, os.R_OK, dir_fd=found.parent, effective_ids=_EFFECTIVE):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return Reading(now)


_EFFECTIVE = os.access in os.supports_effective_ids


def preview(
    job: Job,
    partition: Partition | None,
    catalog: Catalog | None,
    show: Progress,
    tell: Tell,
    time: float = 0.0,
    scratch: Scratch = no_scratch,
) -> Forecast:
    """What a backup would do now, by Unix time; without a catalog it is the first one of its partition.

    Raises AzbackupError if the source cannot be read.
    """
    root = open_source(job.source)
    try:
        snapshots = catalog.snapshots() if catalog is not None else []
        parent = parent_of(snapshots, job)
        looking = _Looking(partition, catalog, rereads=job.rereads, scratch=scratch)
        told = _Told(show, tell, looking)
        if job.rewrite is not None and partition is not None and catalog is not None and parent is not None:
            last, packs = Base(parent, snapshots), looking.known(partition, catalog).sound
            looking.rewriting = planned(job.rewrite, catalog, last, packs, time)
        base = iter(catalog.entries(parent)) if catalog is not None and parent is not None else iter(())
        tally = _pass(root, job, looking, told, base)  # what is lost of it would be stored as new
    finally:
        os.close(root)
    told.finish()
    forecast = told.forecast
    forecast.totals, forecast.first = tally.totals, catalog is None
    return forecast


def _pass(root: int, job: Job, looking: _Looking, told: _Told, base: Iterator[Entry]) -> Tally:
    exclusions, own = Exclusions(job.rules), OwnFiles(job.cache)
    tree = Tree(own.left_out_of(scan(root, exclusions)), partial(own.look_for, root))
    if not job.allow_empty:
        tree = tree._replace(is_unmounted=Unmounted().holds)
    comparison = Comparison(tree, base, looking, told, full=True)
    for _ in comparison.entries():
        pass
    told.left_behind(comparison.tally.dropped, exclusions.mounts)
    return comparison.tally
