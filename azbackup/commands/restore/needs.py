"""Which packs hold what a restore needs, and what it takes to have them.

Promises that a chunk is read from where it is sound, if any pack holds it so; of several such packs from one that can
be read at once, then from the fullest; and that nothing is asked for.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from azbackup.commands.restore.estimate import Estimate, Losses, PackUse, Share, estimate
from azbackup.commands.restore.files import Files
from azbackup.commands.restore.outcome import Recorder, RestoreRequest
from azbackup.commands.restore.shares import Wants, by_directory
from azbackup.format.held import HeldEntries
from azbackup.format.model import PackId, PackRecord
from azbackup.packs.index import ChunkIndex, pairs
from azbackup.packs.layout import PackLayout, spans
from azbackup.packs.thaw.policy import State
from azbackup.packs.thaw.states import PackStates
from azbackup.records.catalog import Catalog
from azbackup.records.past import PastCatalog
from azbackup.records.snapshots import latest_by_source

_SOON = {State.PENDING: 1, State.ARCHIVED: 2}
_CONDEMNED, _LATER, _DOUBTFUL, _COPIED, _LATER_DOUBTFUL = 4, 7, 8, 9, 10


class Needs:
    """The chunks of one restore's files, and their packs. `index` says where each chunk is, once `find` was called."""

    def __init__(self, catalog: Catalog, states: PackStates, recorder: Recorder) -> None:
        self._catalog = catalog
        self._states = states
        self._recorder = recorder
        self.index = ChunkIndex(())

    def find(self, files: HeldEntries) -> None:
        """Fills the index: from the packs' rows, and where that leaves chunks without a pack, from their copies."""
        self.index = ChunkIndex(entry.chunks for entry in files)
        known: set[PackId] = set()
        if len(files):
            self._tell_unfinished(self._states.list_packs())
            if self.index.missing:
                self._states.list_copies()
            self.index.add(_noted(self._catalog.packs(), known), self._rank)
        past = self._catalog if isinstance(self._catalog, PastCatalog) else None
        if self.index.missing:
            rank = self._rank if past else lambda *_: _COPIED
            self.index.add(_noted(self._catalog.packs_without_row(frozenset(known)), known), rank)
        if past and len(files):
            self.index.add(past.later_packs(known), self._later_rank)
        self.index.choose()
        if later := sum(pack.pack_id not in known for pack in self.index.packs):
            packs = f"{later:,} pack{'s' * (later > 1)}"
            self._recorder.note(
                f"{packs} stored later: read where no older one has what is needed, which older records prove"
            )

    def _later_rank(self, pack_id: PackId, record: PackRecord) -> int:
        """Behind all older ones that are sound: what these hold is proven by ids, and is still a stranger's."""
        return _LATER if self._states.agrees(pack_id, record) else _LATER_DOUBTFUL

    def _rank(self, pack_id: PackId, record: PackRecord) -> int:
        """Sound packs first, of these the ones that stay, of these the ones that can be read now or soon."""
        if not self._states.agrees(pack_id, record):
            return _DOUBTFUL  # a chunk that was stored again after its pack was damaged is read from where it is sound
        condemned = _CONDEMNED if pack_id in self._catalog.retired.condemned else 0
        return condemned + _SOON.get(self._states.state_of(pack_id), 0)

    def _tell_unfinished(self, copy: int) -> None:
        """Says when a snapshot's copy lies beyond the last row: a commit was killed, or a row was removed."""
        ended = isinstance(self._catalog, PastCatalog) or self._catalog.records.bounds.fence
        if copy > self._catalog.newest and not ended:
            self._recorder.note(
                f"snapshot {copy} has a copy but no row: its backup was killed at its very end, or its row removed; "
                "the next backup of this partition brings it back"
            )

    def estimate(self, files: Files, lost: Losses, request: RestoreRequest) -> Estimate:
        """What it takes to restore the files; the packs that are missing for those that are lost are named, too."""
        wants = Wants()
        for file in files:
            wants.add(file.entry.size, pairs(file.places))
        uses = list(self._uses(wants).values())
        uses += [self._use(pack, []) for pack in self.index.packs if pack.pack_id in lost.packs]
        already, rewritable = self._recorder.result.already, self._is_rewritable(request)
        plan = estimate(
            wants.files,
            wants.size,
            already,
            uses,
            request.thaw,
            request.prices,
            request.now(),
            rewritable=rewritable and not already,
        )
        return replace(plan, lost=lost, directories=self._shares(files, request) if request.by_directory else [])

    def _is_rewritable(self, request: RestoreRequest) -> bool:
        """Whether all of the newest snapshots is restored: what the next backups need too."""
        catalog = self._catalog
        if catalog.records.bounds.fence:
            return False  # backups store nothing there any more
        latest = latest_by_source([each for each in catalog.standing if not catalog.retired.has(each.number)])
        newest = {snapshot.number for snapshot in latest.values()}
        return request.selection.everything and all(each.number in newest for each, _ in request.snapshots)

    def _shares(self, files: Files, request: RestoreRequest) -> list[Share]:
        """What each top directory takes, the dearest first."""
        groups = by_directory(files)
        needed = Counter(number for wants in groups.values() for number in wants.chunks)
        shares = []
        for directory, wants in groups.items():
            uses = list(self._uses(wants).values())
            alone = estimate(wants.files, wants.size, 0, uses, request.thaw, request.prices, request.now())
            shared = sum(needed[number] > 1 for number in wants.chunks)
            figures = (alone.files, alone.size, len(uses), shared, alone.thaw_bytes, alone.longest, alone.price)
            shares.append(Share(os.fsdecode(directory), *figures))
        return sorted(shares, key=lambda share: (-share.price, share.directory))

    def _uses(self, wants: Wants) -> dict[int, PackUse]:
        """What is read of which packs, by their numbers."""
        return {
            number: self._use(self.index.packs[number], [chunk for chunk, wanted in enumerate(flags) if wanted])
            for number, flags in sorted(wants.chunks.items())
        }

    def _use(self, pack: PackLayout, chunks: list[int]) -> PackUse:
        info = self._states.info(pack)
        tier = info.tier if info is not None else pack.record.tier
        state = self._states.state(pack)
        missing = state is State.MISSING
        reads = [] if missing else [(span.start, span.end) for span in spans(pack, chunks)]
        wanted = 0 if missing else sum(pack.record.sealed[chunk] for chunk in chunks)
        return PackUse(pack, state, tier, reads, self._states.priority(pack), wanted)


def _noted(packs: Iterator[tuple[PackId, PackRecord]], known: set[PackId]) -> Iterator[tuple[PackId, PackRecord]]:
    """The same, their ids added to the known ones as they come."""
    for pack_id, record in packs:
        known.add(pack_id)
        yield pack_id, record
