"""What a restore will do, as a value, before anything is done: files to write, links, packs, and what it takes.

    entries -> groups of hard links -> where their chunks are -> what is not there yet -> which packs -> the estimate

Promises that planning changes nothing, at the destination or in the storage, and that what costs too much or could
never end is refused here. A file that cannot be planned is named; the others still are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from azbackup.commands.restore.estimate import Estimate, PackUse, estimate
from azbackup.commands.restore.fetcher import WantedFile
from azbackup.commands.restore.outcome import Recorder, RestoreRequest
from azbackup.errors import AzbackupError, Damaged, UsageError
from azbackup.filesystem.destination import Destination, Identify
from azbackup.filesystem.overwrite import Decision, decision, is_right
from azbackup.format.model import Entry, Kind, PackId, PackRecord
from azbackup.packs.index import ChunkIndex, Piece
from azbackup.packs.layout import PackLayout, spans
from azbackup.packs.thaw.policy import State
from azbackup.packs.thaw.states import PackStates
from azbackup.records.catalog import Catalog

Links = list[tuple[Entry, Entry]]  # a further hard link, and the file that it is one of


@dataclass(frozen=True)
class Plan:
    """What is to be done: `files` to write, from `packs` by number; `links` to make once their files are there."""

    files: list[WantedFile]
    links: Links
    packs: list[PackLayout]
    estimate: Estimate


class Planner:
    """Plans one restore. What is there already, or kept, or damaged goes to the recorder."""

    def __init__(
        self,
        request: RestoreRequest,
        catalog: Catalog,
        states: PackStates,
        identify: Identify,
        recorder: Recorder,
    ) -> None:
        """`identify` gives the chunk id of contents that are there already."""
        self._request = request
        self._catalog = catalog
        self._states = states
        self._identify = identify
        self._recorder = recorder
        self._index = ChunkIndex(set())

    def plan(self, entries: Sequence[Entry], destination: Destination | None) -> Plan:
        """The plan for these entries; `destination` None where nothing is there yet."""
        groups = hard_links(entries)
        self._find_chunks(groups)
        self._recorder.progress.stage("restoring", len(groups), sum(group[0].size for group in groups))
        if destination is not None and destination.is_empty():
            destination = None  # nothing to look at, file by file
        files, links = self._sort(groups, destination)
        self._index.forget()
        for complaint in self._states.look(self._index.packs):
            self._recorder.damaged(complaint)
        return Plan(files, links, self._index.packs, self._estimate(files))

    # --- which packs hold what

    def _find_chunks(self, groups: list[list[Entry]]) -> None:
        """Fills the index: from the packs' rows, and where that leaves chunks without a pack, from their copies."""
        self._index = ChunkIndex({each for group in groups for each in group[0].chunk_ids()})
        known: set[PackId] = set()
        if groups:
            self._tell_unfinished(self._states.list_packs())
            self._index.add(self._sound_first(known))
        if self._index.missing:
            self._index.add(self._catalog.packs_without_row(known))

    def _sound_first(self, known: set[PackId]) -> Iterator[tuple[PackId, PackRecord]]:
        """All pack records, noted in `known`; those whose pack was cut, replaced or removed come last.

        A chunk that was stored again after its pack was damaged is then read from where it is sound.
        """
        doubtful = []
        for pack_id, record in self._catalog.packs():
            known.add(pack_id)
            if self._states.agrees(pack_id, record):
                yield pack_id, record
            else:
                doubtful.append((pack_id, record))
        yield from doubtful

    def _tell_unfinished(self, copy: int) -> None:
        """Says when a snapshot's copy lies beyond the last row: a commit was killed, or a row was removed."""
        if copy > self._catalog.newest:
            self._recorder.note(
                f"snapshot {copy} has a copy but no row: its backup was killed at its very end, or its row removed; "
                "the next backup of this partition brings it back"
            )

    # --- which files

    def _sort(self, groups: list[list[Entry]], destination: Destination | None) -> tuple[list[WantedFile], Links]:
        """(the files to write, the links to make). A file that is kept is no model for its links: the next one is."""
        files: list[WantedFile] = []
        links: Links = []
        for group in groups:
            leader, *others = group
            decided = self._decide(leader, destination, files)
            while decided is Decision.KEEP and others:
                leader, *others = others
                decided = self._decide(leader, destination, files)
            links += [(entry, leader) for entry in others]
        return files, links

    def _decide(self, entry: Entry, destination: Destination | None, files: list[WantedFile]) -> Decision | None:
        """Puts the file on the list if it is to be written; None when it cannot be restored."""
        try:
            pieces = self._index.pieces(entry)
        except Damaged as error:
            self._recorder.damaged(f"{os.fsdecode(entry.path)}: {error.message}")
            self._recorder.failed(entry, error.message)
            return None
        decided = self._by_what_is_there(entry, pieces, destination)
        if decided is Decision.WRITE:
            files.append(WantedFile(entry, pieces))
        elif decided is Decision.RIGHT:
            self._recorder.already(entry)
        else:
            self._recorder.kept(entry)
        return decided

    def _by_what_is_there(self, entry: Entry, pieces: list[Piece], destination: Destination | None) -> Decision:
        """What happens to the file, from what stands at its path; what cannot be looked at is written anew."""
        if destination is None:
            return Decision.WRITE
        try:
            status = destination.look(entry.path)
            right = status is not None and is_right(entry, status)
            if right and self._request.check_existing:
                lengths = [self._index.packs[pack].record.plain[chunk] for pack, chunk, _ in pieces]
                right = destination.holds(entry, lengths, self._identify)
        except OSError:
            return Decision.WRITE
        return decision(self._request.policy, entry, status, right)

    # --- what it takes

    def _estimate(self, files: list[WantedFile]) -> Estimate:
        chunks: dict[int, set[int]] = {}
        for file in files:
            for pack_number, chunk, _ in file.pieces:
                chunks.setdefault(pack_number, set()).add(chunk)
        uses = [self._use(self._index.packs[number], sorted(chunks[number])) for number in sorted(chunks)]
        sizes = [file.entry.size for file in files]
        request = self._request
        return estimate(sizes, self._recorder.result.already, uses, request.thaw, request.prices, request.now())

    def _use(self, pack: PackLayout, chunks: list[int]) -> PackUse:
        info = self._states.info(pack)
        tier = info.tier if info is not None else pack.record.tier
        state = self._states.state(pack)
        reads = [] if state is State.MISSING else spans(pack, chunks)
        return PackUse(pack, state, tier, reads, self._states.priority(pack))


def check_plan(plan: Estimate, request: RestoreRequest) -> None:
    """Stops, before anything is spent, what costs too much or could never end. Raises AzbackupError, UsageError."""
    limit, thaw = request.max_cost, request.thaw
    if limit is not None and plan.price > limit:
        raise AzbackupError(
            f"this restore would cost about {plan.price:.4f} {plan.currency}, more than --max-cost {limit:g}",
            "nothing was spent; --plan shows why, --include restores a part, --priority standard is cheapest",
        )
    largest = max((line.size for line in plan.packs if line.state == State.ARCHIVED.value), default=0)
    if thaw.priority == "high" and largest > thaw.budget:
        raise UsageError(
            f"--high-budget is smaller than the largest pack ({largest:,} bytes), so that pack could never be thawed",
            f"give at least {largest / 1024**3:.4f}, or --priority mixed",
        )


def hard_links(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The files; those that are hard links to one of them stand with it: of one device, and alike in all they have."""
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        if entry.kind == Kind.FILE:
            groups.setdefault(_file_of(entry) if entry.links > 1 else entry.path, []).append(entry)
    return list(groups.values())


def _file_of(entry: Entry) -> object:
    """What is the same for all names of a file."""
    metadata = (entry.mode, entry.uid, entry.gid, entry.mtime_ns, tuple(entry.xattrs))
    return entry.device, entry.inode, entry.size, entry.chunks, metadata
