"""Is everything there that the snapshots need? By listings and records alone: no pack is read or thawed.

    snapshots -> pack records beside the list of packs -> ids of the chunks that sound packs hold
              -> file records, each entry's chunks among them? -> copies: has every record one, and the same?
              -> what is missing: which files of which snapshots

Rows are read before their copies, packs listed after their records: what a backup adds meanwhile is no damage. Memory:
eight bytes a chunk, two times eight a record, and the first findings of each kind; where file records are not in order,
also the records of that run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from azbackup.commands.maintenance.findings import Findings, What
from azbackup.commands.maintenance.head_check import check_heads
from azbackup.commands.maintenance.layer_check import LayerCheck
from azbackup.commands.maintenance.packs import PackCheck
from azbackup.commands.maintenance.sieve import FINGERPRINT_BYTES, Sieve, fingerprint
from azbackup.commands.maintenance.touched import LostEntry, TouchedFile, touched_files
from azbackup.commands.maintenance.verdict_check import PREFIXES, VerdictCheck
from azbackup.errors import Damaged
from azbackup.format.checksum import md5_of
from azbackup.format.framing import frame
from azbackup.format.labels import (
    FILES_PREFIX,
    KEY_COPY_PREFIX,
    PACK_PREFIX,
    SNAPSHOT_PREFIX,
    is_snapshot,
    number_of,
    snapshot_name,
)
from azbackup.format.model import SealedRecord, Snapshot
from azbackup.format.payloads import Fence, decode_numbered
from azbackup.packs.run import Clock
from azbackup.progress import Progress
from azbackup.records.bounds import planted_text
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition
from azbackup.records.past import PastCatalog
from azbackup.storage.protocols import BlobInfo

_COMMIT_SECONDS = 3600.0  # within which a backup that has put its snapshot's copy puts the row, by far
_LOST_ENTRIES = 100_000  # that are named


@dataclass
class Verification:
    """What was looked at, and what was found. Bytes and counts."""

    findings: Findings
    snapshots: list[Snapshot] = field(default_factory=list)
    packs: int = 0
    size: int = 0
    chunks: int = 0
    entries: int = 0
    records: int = 0
    touched: list[TouchedFile] = field(default_factory=list)
    without_copy: list[str] = field(default_factory=list)  # names of rows
    from_copies: list[str] = field(default_factory=list)  # names of records whose row is to be put back
    unfinished: list[int] = field(default_factory=list)  # numbers of snapshots whose copy lies beyond the last row
    headless: list[Snapshot] = field(default_factory=list)  # whose heads are to be made anew


def together(found: Sequence[Verification]) -> Verification:
    """What was found in all eras of a partition."""
    if len(found) == 1:
        return found[0]
    whole = Verification(Findings(found[-1].findings.settled))
    for each in found:
        whole.findings.take(each.findings)
        for name in ("packs", "size", "chunks", "entries", "records"):
            setattr(whole, name, getattr(whole, name) + getattr(each, name))
        for name in ("snapshots", "touched", "without_copy", "from_copies", "unfinished", "headless"):
            getattr(whole, name).extend(getattr(each, name))
    return whole


class Verify:
    """One verification. Made once, run once."""

    def __init__(
        self, partition: Partition, catalog: Catalog, findings: Findings, progress: Progress, clock: Clock
    ) -> None:
        self._partition = partition
        self._records = partition.records
        self._catalog = catalog
        self._progress = progress
        self._found = Verification(findings)
        self._findings = findings
        self._rows = Sieve(FINGERPRINT_BYTES)
        self._now = clock.now_ns() / 1e9
        self._packs = PackCheck(partition, findings, self._seen, self._now)
        self._verdicts = VerdictCheck(partition.records, findings, self._now)
        self._layers = LayerCheck(self._records, findings, self._seen, self._packs.sound, progress)

    def run(self) -> Verification:
        """Looks at everything. Nothing but what Azure refuses ends it before its time."""
        found = self._found
        self._progress.stage("snapshots")
        self._records.report = partial(self._findings.hear, What.SNAPSHOT)
        found.snapshots = self._catalog.snapshots(every_copy=True)
        found.headless = check_heads(self._records, found.snapshots, self._findings)
        self._progress.stage("packs and their records")
        self._records.report = partial(self._findings.hear, What.PACK_RECORD)
        self._packs.run(self._progress)
        if not isinstance(self._catalog, PastCatalog):
            self._packs.tell_faulty()
        self._progress.stage("file records", files=sum(snapshot.totals.files for snapshot in found.snapshots[-1:]))
        self._layers.run(found.snapshots)
        self._progress.stage("copies of records")
        self._records.report = partial(self._findings.hear, What.OTHER)
        if isinstance(self._catalog, PastCatalog):
            self._look_elsewhere(self._catalog)
        else:
            self._check_copies()
        self._tell_lost()
        found.packs, found.size, found.chunks = self._packs.count, self._packs.size, len(self._packs.sound)
        found.entries = self._layers.entries
        found.from_copies += [*self._packs.from_copies, *self._verdicts.from_copies]
        return found

    def _is_row(self, row: SealedRecord) -> bool:
        """Whether a row was seen that is the same."""
        return self._rows.has_all(fingerprint(row))

    def _seen(self, row: SealedRecord) -> None:
        """A row that its copy has to agree with."""
        self._rows.add(fingerprint(row))
        self._found.records += 1

    # --- copies

    def _check_copies(self) -> None:
        """Every row of a run's records and of a snapshot has a copy that says the same."""
        for row in self._verdicts.rows():
            self._seen(row)
        copies = Sieve(FINGERPRINT_BYTES)
        snapshots: dict[int, BlobInfo] = {}
        self._verdicts.check_names()
        runs = {layer.run for each in self._found.snapshots for layer in each.layers}
        runs.update(each.run for each in self._found.snapshots)
        for name, rows in self._records.copies.contents(self._run_copies(snapshots)):
            if name.rpartition("-")[0] not in runs:  # whose records are missed where they need be
                self._verdicts.check_copy(name, rows, self._is_row)
            for row in rows:
                copies.add(fingerprint(row))
                self._packs.offer(row)
                self._verdicts.offer(row)
        self._check_snapshot_copies(snapshots)
        self._verdicts.finish(self._catalog.retired)
        if copies.common(self._rows) < len(self._rows):
            self._name_uncopied(copies)

    def _run_copies(self, snapshots: dict[int, BlobInfo]) -> Iterator[BlobInfo]:
        """The copies of runs; those of snapshots are put aside, by number."""
        for info in self._records.copies.listed():
            if is_snapshot(info.name):
                snapshots[number_of(info.name, SNAPSHOT_PREFIX)] = info
            elif not info.name.startswith(KEY_COPY_PREFIX):
                self._verdicts.listed(info)
                self._progress.advance(os.fsencode(info.name), 0, info.size)
                yield info

    def _check_snapshot_copies(self, copies: dict[int, BlobInfo]) -> None:
        """A snapshot's copy has a blob of its own, whose MD5 is in the listing: none is read where that agrees."""
        for row in self._records.rows(SNAPSHOT_PREFIX, SNAPSHOT_PREFIX[:-1] + "."):
            self._found.records += 1
            if not is_snapshot(row.name):
                continue
            info = copies.pop(number_of(row.name, SNAPSHOT_PREFIX), None)
            data = frame([row])
            same = info is not None and info.size == len(data) and info.md5 == md5_of(data)
            if not same and not self._opens_to(row):
                self._uncopied(row)
        for number in sorted(copies):
            if number > self._catalog.newest and not self._catalog.retired.has(number):
                self._check_unfinished(number, copies[number])

    def _check_unfinished(self, number: int, copy: BlobInfo) -> None:
        """A snapshot's copy beyond the last row: between the two a backup takes seconds."""
        name = snapshot_name(number)
        try:
            numbered = decode_numbered(name, self._records.open_sealed(self._records.copied(name)))
        except Damaged:
            self._findings.add(What.UNFINISHED, name, f"copy {name} is none of a snapshot: somebody put it there")
            return
        if isinstance(numbered, Fence):
            return  # of a data key that was to be renewed: no commit needs its number
        if not self._records.bounds.has(number):
            self._findings.add(What.SNAPSHOT, name, planted_text(number))
            return
        self._found.unfinished.append(number)
        text = f"snapshot {number} has a copy and no row: its backup was killed at its very end, or the row removed"
        what = What.ROW_MISSING if self._now - copy.created > _COMMIT_SECONDS else What.UNFINISHED
        self._findings.add(what, name, text)

    def _opens_to(self, row: SealedRecord) -> bool:
        """Whether a snapshot's copy is the row, or the row is the one that was altered: that was reported."""
        try:
            same = self._records.copied(row.name) == row
        except Damaged:
            same = False
        return same or not self._opens(row)

    def _opens(self, row: SealedRecord) -> bool:
        try:
            self._records.open_sealed(row)
        except Damaged:
            return False
        return True

    def _name_uncopied(self, copies: Sieve) -> None:
        """Names the rows that open and have no copy like them: one more pass, only where there are some."""
        for prefix in (PACK_PREFIX, FILES_PREFIX, *PREFIXES):
            for row in self._records.rows(prefix, prefix[:-1] + "."):
                if not copies.has_all(fingerprint(row)) and self._opens(row) and not self._is_new(row):
                    self._uncopied(row)

    def _is_new(self, row: SealedRecord) -> bool:
        """Whether a row came after the copies were read."""
        return not self._rows.has_all(fingerprint(row))

    def _uncopied(self, row: SealedRecord) -> None:
        self._found.without_copy.append(row.name)
        self._findings.add(What.COPY_MISSING, row.name, f"record {row.name} has no copy that is the same")

    def _look_elsewhere(self, past: PastCatalog) -> None:
        """Of a past rows and copies may be later, each by itself: what either has, or later packs, is not lost."""
        for _, rows in self._records.copies.contents(self._run_copies({})):
            for row in rows:
                self._packs.offer(row)
        for row in past.later_rows():
            self._packs.offer(row)
        self._packs.tell_faulty()

    # --- what is missing

    def _tell_lost(self) -> None:
        """Names the files whose chunks are nowhere; those that a lost row would have told of are not among them."""
        spared: list[LostEntry] = []
        lost: list[LostEntry] = []
        for entry in self._layers.lost:
            (spared if self._packs.has_spare(entry.chunks) else lost).append(entry)
        self._records.report = lambda _: None  # said before
        # Of what a layer says no snapshot may show any more, and then retention took its packs.
        shown = bool(spared) and bool(touched_files(self._catalog, self._found.snapshots, spared))
        self._packs.finish(needed=shown)
        if not lost and not self._layers.more_lost:
            return
        self._found.touched = touched_files(self._catalog, self._found.snapshots, lost)
        for file in self._found.touched:
            self._findings.add(What.CHUNKS, file.subject, str(file), file.size)
        if self._layers.more_lost:
            text = f"and {self._layers.more_lost:,} more files"
            self._findings.add(What.CHUNKS, "", text)
