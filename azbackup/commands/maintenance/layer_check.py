"""The file records of all layers that snapshots stand on, and whether the chunks of each entry are in sound packs.

A layer is read as its rows come, one record after the other. Only where these are not as they should be it is read once
more, with all of its records and their copies, so that what is wrong can be said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple, Protocol

from azbackup.commands.maintenance.findings import Findings, What
from azbackup.commands.maintenance.touched import LostEntry, users_text
from azbackup.errors import Damaged
from azbackup.format.labels import FILES_PREFIX, files_name
from azbackup.format.layers import Hole, Item, read_entries
from azbackup.format.model import Entry, Kind, Layer, SealedRecord, Snapshot
from azbackup.format.patches import Patch
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog
from azbackup.records.layer_rows import layer_payloads, layer_rows
from azbackup.records.record_store import RecordStore
from azbackup.records.settlements import subject
from azbackup.records.uses import by_full_layer, shown_patches

_LOST_ENTRIES = 100_000  # that are named


class Holds(Protocol):
    """A set of chunk ids."""

    def has_all(self, ids: bytes) -> bool:
        """Whether all ids of a concatenation are in it."""


class _Used(NamedTuple):
    """A layer that snapshots stand on, and whether it is a full one."""

    layer: Layer
    full: bool


class _Patched(NamedTuple):
    """A file that is stored as a patch, the digest of its chunks, and whether those that are new are in sound packs."""

    path: bytes
    size: int
    digest: bytes
    is_sound: bool


class LayerCheck:
    """The layers of one partition. `lost` are files with chunks that no sound pack holds, `more_lost` how many more."""

    def __init__(
        self,
        records: RecordStore,
        findings: Findings,
        seen: Callable[[SealedRecord], None],
        sound: Holds,
        progress: Progress,
    ) -> None:
        """`seen` hears each row; `sound` has the chunks of all sound packs."""
        self._records = records
        self._findings = findings
        self._seen = seen
        self._sound = sound
        self._progress = progress
        self._snapshots: list[Snapshot] = []
        self.entries = self.more_lost = 0
        self.lost: list[LostEntry] = []
        self._patches: dict[str, list[_Patched]] = {}  # by run
        self._odd: set[str] = set()  # runs that are not as they should be

    def run(self, snapshots: list[Snapshot]) -> None:
        """Goes through the file records of all runs, in the order of their names."""
        self._snapshots = snapshots
        layers = _layers(snapshots)
        rows = self._records.rows(FILES_PREFIX, FILES_PREFIX[:-1] + ".")
        for run, its in groupby(rows, _run_of):
            watched = self._watched(its)
            if run in layers:
                self._check_layer(layers.pop(run), watched)
                deque(watched, maxlen=0)
            for row in watched:  # of a run that was killed, or of nobody
                self._check_unused(row)
        for layer in layers.values():  # no row at all
            self._check_layer(layer, iter(()))
        for together in by_full_layer(snapshots):
            if any(layer.run in self._patches for snapshot in together for layer in snapshot.layers):
                self._check_patches(together)

    def _check_unused(self, row: SealedRecord) -> None:
        try:
            self._records.open_sealed(row)
        except Damaged:
            self._findings.add(What.PLANTED, subject(row.name), f"row {row.name} does not open")

    def _watched(self, rows: Iterator[SealedRecord]) -> Iterator[SealedRecord]:
        for row in rows:
            self._seen(row)
            yield row

    def _check_layer(self, used: _Used, rows: Iterator[SealedRecord]) -> None:
        """One run's entries as its rows come; where these are not as they should be, once more with all of them."""
        lost, entries = len(self.lost), self.entries
        more = self.more_lost
        try:
            self._check_entries(used.layer.run, read_entries(self._payloads(used.layer, rows), full=used.full))
        except Damaged:
            del self.lost[lost:]
            self.entries, self.more_lost = entries, more
            deque(rows, maxlen=0)
            self._patches.pop(used.layer.run, None)
            self._odd.add(used.layer.run)
            self._check_odd_layer(used)

    def _payloads(self, layer: Layer, rows: Iterator[SealedRecord]) -> Iterator[bytes]:
        """The records of a layer, all there and in order, or Damaged."""
        for number in range(1, layer.records + 1):
            row = next(rows, None)
            if row is None or row.name != files_name(layer.run, number):
                raise Damaged("not in order")
            yield self._records.open_sealed(row)

    def _check_odd_layer(self, used: _Used) -> None:
        where = f"{users_text(self._snapshots, used.layer.run)}: "

        def hear(text: str) -> None:
            self._findings.hear(What.ENTRIES, text, where if text.startswith("run ") else "")

        self._records.report = hear
        payloads = layer_payloads(self._records, used.layer, layer_rows(self._records, [used.layer]))
        run = used.layer.run
        self._check_entries(run, read_entries(payloads, full=used.full, report=lambda text: hear(f"run {run}: {text}")))

    def _check_entries(self, run: str, items: Iterator[Item]) -> None:
        """Each file's chunks are in packs that are sound, or it is lost."""
        for item in items:
            if isinstance(item, Hole):
                continue
            self.entries += 1
            if isinstance(item, Patch):
                self._progress.advance(item.path, 1, item.entry.size)
                is_sound = self._sound.has_all(item.new_chunks())
                self._patches.setdefault(run, []).append(_Patched(item.path, item.entry.size, item.digest, is_sound))
            elif item.kind == Kind.FILE:
                self._progress.advance(item.path, 1, item.size)
                if item.chunks and not self._sound.has_all(item.chunks):
                    self._lose(LostEntry(run, item.path, item.size, item.chunks))

    def _check_patches(self, snapshots: list[Snapshot]) -> None:
        """The same of files that keep chunks of an earlier version: as all layers together say."""
        clear = [each for each in snapshots if self._odd.isdisjoint(layer.run for layer in each.layers)]
        decided: set[tuple[str, bytes]] = set()
        try:
            for run, path, put_together in shown_patches(Catalog(self._records), clear):
                decided.add((run, path))
                self._check_patch(run, path, put_together)
        except Damaged as error:
            self._findings.hear(What.ENTRIES, error.message, "")
            clear = []
        if len(clear) < len(snapshots):
            self._doubt_patches({layer.run for each in snapshots for layer in each.layers}, decided)

    def _check_patch(self, run: str, path: bytes, put_together: Callable[[], Entry]) -> None:
        try:
            file = put_together()
        except Damaged as error:
            self._findings.hear(What.ENTRIES, error.message, f"{users_text(self._snapshots, run)}: ")
        else:
            if not self._sound.has_all(file.chunks):
                self._lose(LostEntry(run, path, file.size, file.chunks))

    def _doubt_patches(self, runs: set[str], decided: set[tuple[str, bytes]]) -> None:
        """Where nobody can say what patches keep, those are lost that may keep what is."""
        touched = {lost.path for lost in self.lost if lost.run in runs}
        for run in sorted(runs & self._patches.keys()):  # older ones first: what is lost there may be kept above
            for patch in self._patches[run]:
                if (run, patch.path) not in decided and (patch.path in touched or not patch.is_sound):
                    self._lose(LostEntry(run, patch.path, patch.size, patch.digest))
                    touched.add(patch.path)

    def _lose(self, entry: LostEntry) -> None:
        if len(self.lost) < _LOST_ENTRIES:
            self.lost.append(entry)
        else:
            self.more_lost += 1


def _run_of(row: SealedRecord) -> str:
    """The run of a file record, by its name."""
    return row.name.removeprefix(FILES_PREFIX).rpartition("-")[0]


def _layers(snapshots: list[Snapshot]) -> dict[str, _Used]:
    """All layers that snapshots stand on, by run."""
    found: dict[str, _Used] = {}
    for snapshot in snapshots:
        for place, layer in enumerate(snapshot.layers):
            before = found.get(layer.run)
            if before is None or before.layer.records < layer.records:
                found[layer.run] = _Used(layer, place == 0)
    return found
