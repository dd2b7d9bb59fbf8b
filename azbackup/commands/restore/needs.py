"""Which packs hold what a restore needs, and what it takes to have them.

Promises that a chunk is read from where it is sound, if any pack holds it so; of several such packs from one that can
be read at once, then from the fullest; and that nothing is asked for.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from azbackup.commands.restore.estimate import Estimate, Losses, PackUse, Share, estimate
from azbackup.commands.restore.fetcher import WantedFile
from azbackup.commands.restore.outcome import Recorder, RestoreRequest
from azbackup.commands.restore.shares import by_directory
from azbackup.format.model import Entry, PackId, PackRecord
from azbackup.packs.index import ChunkIndex
from azbackup.packs.layout import PackLayout, spans
from azbackup.packs.thaw.policy import State
from azbackup.packs.thaw.states import PackStates
from azbackup.records.catalog import Catalog
from azbackup.records.snapshots import latest_by_source

_SOON = {State.PENDING: 1, State.ARCHIVED: 2}
_CONDEMNED, _DOUBTFUL, _COPIED = 4, 8, 9


class Needs:
    """The chunks of one restore's files, and their packs. `index` says where each chunk is, once `find` was called."""

    def __init__(self, catalog: Catalog, states: PackStates, recorder: Recorder) -> None:
        self._catalog = catalog
        self._states = states
        self._recorder = recorder
        self.index = ChunkIndex(set())

    def find(self, groups: list[list[Entry]]) -> None:
        """Fills the index: from the packs' rows, and where that leaves chunks without a pack, from their copies."""
        self.index = ChunkIndex({each for group in groups for each in group[0].chunk_ids()})
        known: set[PackId] = set()
        if groups:
            self._tell_unfinished(self._states.list_packs())
            if self.index.missing:
                self._states.list_copies()
            self.index.add(self._noted(known), self._rank)
        if self.index.missing:
            self.index.add(self._catalog.packs_without_row(known), lambda *_: _COPIED)
        self.index.choose()

    def _noted(self, known: set[PackId]) -> Iterator[tuple[PackId, PackRecord]]:
        for pack_id, record in self._catalog.packs():
            known.add(pack_id)
            yield pack_id, record

    def _rank(self, pack_id: PackId, record: PackRecord) -> int:
        """Sound packs first, of these the ones that stay, of these the ones that can be read now or soon."""
        if not self._states.agrees(pack_id, record):
            return _DOUBTFUL  # a chunk that was stored again after its pack was damaged is read from where it is sound
        condemned = _CONDEMNED if pack_id in self._catalog.retired.condemned else 0
        return condemned + _SOON.get(self._states.state_of(pack_id), 0)

    def _tell_unfinished(self, copy: int) -> None:
        """Says when a snapshot's copy lies beyond the last row: a commit was killed, or a row was removed."""
        if copy > self._catalog.newest:
            self._recorder.note(
                f"snapshot {copy} has a copy but no row: its backup was killed at its very end, or its row removed; "
                "the next backup of this partition brings it back"
            )

    def estimate(self, files: Sequence[WantedFile], lost: Losses, request: RestoreRequest) -> Estimate:
        """What it takes to restore the files; the packs that are missing for those that are lost are named, too."""
        uses = list(self._uses(files).values())
        uses += [self._use(pack, []) for pack in self.index.packs if pack.pack_id in lost.packs]
        sizes = [file.entry.size for file in files]
        already, rewritable = self._recorder.result.already, self._is_rewritable(request)
        plan = estimate(
            sizes, already, uses, request.thaw, request.prices, request.now(), rewritable=rewritable and not already
        )
        return replace(plan, lost=lost, directories=self._shares(files, request) if request.by_directory else [])

    def _is_rewritable(self, request: RestoreRequest) -> bool:
        """Whether all of the newest snapshots is restored: what the next backups need too."""
        catalog = self._catalog
        latest = latest_by_source([each for each in catalog.standing if not catalog.retired.has(each.number)])
        newest = {snapshot.number for snapshot in latest.values()}
        return request.selection.everything and all(each.number in newest for each, _ in request.snapshots)

    def _shares(self, files: Sequence[WantedFile], request: RestoreRequest) -> list[Share]:
        """What each top directory takes, the dearest first."""
        uses = {directory: (its, self._uses(its)) for directory, its in by_directory(files).items()}
        needed = Counter(number for _, packs in uses.values() for number in packs)
        shares = []
        for directory, (its, packs) in uses.items():
            sizes = [file.entry.size for file in its]
            alone = estimate(sizes, 0, list(packs.values()), request.thaw, request.prices, request.now())
            shared = sum(needed[number] > 1 for number in packs)
            figures = (alone.files, alone.size, len(packs), shared, alone.thaw_bytes, alone.longest, alone.price)
            shares.append(Share(os.fsdecode(directory), *figures))
        return sorted(shares, key=lambda share: (-share.price, share.directory))

    def _uses(self, files: Sequence[WantedFile]) -> dict[int, PackUse]:
        """What is read of which packs, by their numbers."""
        chunks: dict[int, set[int]] = {}
        for file in files:
            for pack_number, chunk, _ in file.pieces:
                chunks.setdefault(pack_number, set()).add(chunk)
        return {number: self._use(self.index.packs[number], sorted(chunks[number])) for number in sorted(chunks)}

    def _use(self, pack: PackLayout, chunks: list[int]) -> PackUse:
        info = self._states.info(pack)
        tier = info.tier if info is not None else pack.record.tier
        state = self._states.state(pack)
        reads = [] if state is State.MISSING else spans(pack, chunks)
        return PackUse(pack, state, tier, reads, self._states.priority(pack))
