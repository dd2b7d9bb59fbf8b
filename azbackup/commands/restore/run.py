"""One run of restore.py: a snapshot, or a part of it, becomes a directory.

    entries -> what is meant -> what is not there yet -> which packs -> the plan, its price
            -> thaw -> directories, each file whose packs can be read, links, devices -> metadata -> clean up

Promises: nothing is spent before the plan is known; every byte that appears under a file's name was opened, checked
and belongs there; a file that cannot be restored is named and leaves nothing behind; what is there already and right
is left alone, so the same command goes on where it stopped, from any host. Packs that still thaw are no error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from azbackup.commands.restore.estimate import Estimate, PackUse, estimate
from azbackup.commands.restore.fetcher import Fetcher, WantedFile
from azbackup.commands.restore.scheduler import Scheduler
from azbackup.commands.restore.tree import Chosen, gather, hard_links
from azbackup.crypto.sealing import Keys, chunk_id
from azbackup.errors import AzbackupError, Damaged, Unavailable, UsageError
from azbackup.filesystem.destination import Destination, Unwritable, out_of_space
from azbackup.filesystem.destination_check import already_holds, open_destination
from azbackup.filesystem.overwrite import Decision, decide, is_right
from azbackup.format.model import Entry, Kind, PackId, PackRecord
from azbackup.packs.index import ChunkIndex, Piece
from azbackup.packs.layout import spans
from azbackup.packs.reader import PackReader
from azbackup.packs.thaw.policy import State, ThawOptions
from azbackup.packs.thaw.states import Pending, Thawing
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog
from azbackup.records.selection import Selection
from azbackup.storage.prices import Prices


@dataclass(frozen=True)
class RestoreRequest:
    """What is restored where, and how. Each snapshot goes below its prefix, '' for the destination itself.

    `overwrite` is a policy, None for the default one in a directory that holds nothing else. `wait` is called between
    two looks, with what is pending and how many packs wait for the budget; None: do not stay. `tell` hears the plan
    before anything is done. `now` is the clock, Unix seconds.
    """

    snapshots: Chosen
    destination: bytes | None
    selection: Selection
    thaw: ThawOptions
    prices: Prices
    now: Callable[[], float]
    overwrite: str | None = None
    check_existing: bool = False
    max_cost: float | None = None
    plan_only: bool = False
    dry_run: bool = False
    tell: Callable[[Estimate], None] | None = None
    wait: Callable[[Pending | None, int], None] | None = None


@dataclass
class RestoreResult:
    """What a run did.

    `problems` counts paths that could not be restored; `pending` is what still thaws; `refused` why Azure would not
    thaw; `staged` is (copies, bytes) in the staging container, for which `others` restores wait too.
    """

    files: int = 0
    size: int = 0
    already: int = 0
    kept: int = 0
    problems: int = 0
    pending: Pending | None = None
    pending_files: int = 0
    later_packs: int = 0
    refused: Unavailable | None = None
    staged: tuple[int, int] = (0, 0)
    others: int = 0
    estimate: Estimate | None = None
    damage: list[str] = field(default_factory=list)


class Restore:
    """One run. Made once, run once."""

    def __init__(
        self, wish: RestoreRequest, catalog: Catalog, thawing: Thawing, keys: Keys, progress: Progress
    ) -> None:
        self._wish = wish
        self._catalog = catalog
        self._thawing = thawing
        self._keys = keys
        self._progress = progress
        self._outcome = RestoreResult()
        self._places = ChunkIndex(set())

    def run(self) -> RestoreResult:
        """Restores what can be. AzbackupError when the destination cannot be used, the plan costs too much, ..."""
        there = self._wish.destination is not None and os.path.lexists(self._wish.destination)
        entries, paths = gather(self._catalog, self._wish.snapshots, self._wish.selection, with_paths=there)
        destination = self._existing(paths)
        try:
            todo, links = self._todo(hard_links(entries), destination)
            self._outcome.damage += self._thawing.look(self._places.packs)
            self._tell_unfinished()
            self._outcome.estimate = self._estimate(todo)
            if self._wish.tell is not None:
                self._wish.tell(self._outcome.estimate)
            if not self._wish.plan_only:
                self._check_plan(self._outcome.estimate)
            if self._wish.dry_run:
                for file in todo:
                    self._progress.note(f"would restore {os.fsdecode(file.entry.path)}")
            if not self._wish.plan_only:
                if destination is None:
                    destination = open_destination(self._wish.destination)
                self._restore(entries, todo, links, destination)
        except OSError as error:
            raise out_of_space(error) or error from None
        finally:
            if destination is not None:
                destination.close()
        self._outcome.staged = self._thawing.staged()
        self._outcome.damage += self._catalog.records.damage
        return self._outcome

    # --- what is there, and what is to do

    def _existing(self, own: set[bytes]) -> Destination | None:
        """The destination if it is there already; AzbackupError when it may not be restored into."""
        path = self._wish.destination
        if path is None or not os.path.lexists(path):
            return None
        destination = open_destination(path)
        if self._wish.overwrite is None:
            foreign = already_holds(path, own)
            if foreign is not None:
                destination.close()
                raise AzbackupError(
                    f"the destination is not empty: {os.fsdecode(path)} holds {os.fsdecode(foreign)}, "
                    "which is not in the snapshot",
                    "give an empty directory, or say with --overwrite how to restore among other files",
                )
        return destination

    def _todo(
        self, groups: list[list[Entry]], destination: Destination | None
    ) -> tuple[list[WantedFile], list[tuple[Entry, Entry]]]:
        """(the files that are to be written, with their pieces; hard links, each with the file that it is one of).

        The others are counted. A file that is kept as it was is no model for its links: the next one is restored.
        """
        self._places = ChunkIndex({each for group in groups for each in group[0].chunk_ids()})
        known: set[PackId] = set()
        if groups:
            self._thawing.list_packs()
            self._places.add(self._sound_first(known))
        if self._places.missing:
            self._places.add(self._catalog.packs_without_row(known))
        self._progress.stage("restoring", len(groups), sum(group[0].size for group in groups))
        if destination is not None and destination.is_empty():
            destination = None  # nothing to look at, file by file
        todo: list[WantedFile] = []
        links: list[tuple[Entry, Entry]] = []
        for group in groups:
            leader, *others = group
            decision = self._plan(leader, destination, todo)
            while decision is Decision.KEEP and others:
                leader, *others = others
                decision = self._plan(leader, destination, todo)
            links += [(entry, leader) for entry in others]
        self._places.forget()
        return todo, links

    def _tell_unfinished(self) -> None:
        """A snapshot's copy beyond the last row: a commit that was killed, or a row that was removed."""
        copy = self._thawing.newest_copy
        if copy > self._catalog.newest:
            self.note(
                f"snapshot {copy} has a copy but no row: its backup was killed at its very end, or its row removed; "
                "the next backup of this partition brings it back"
            )

    def _sound_first(self, known: set[PackId]) -> Iterator[tuple[PackId, PackRecord]]:
        """All pack records, noted in `known`; those whose pack was cut, replaced or removed come last.

        A chunk that was stored again after its pack was damaged is then read from where it is sound.
        """
        doubtful = []
        for pack_id, record in self._catalog.packs():
            known.add(pack_id)
            if self._thawing.agrees(pack_id, record):
                yield pack_id, record
            else:
                doubtful.append((pack_id, record))
        yield from doubtful

    def _plan(self, entry: Entry, destination: Destination | None, todo: list[WantedFile]) -> Decision | None:
        """Puts the file on the list if it is to be written; None when it cannot be restored."""
        try:
            pieces = self._places.pieces(entry)
        except Damaged as error:
            self.damaged(f"{os.fsdecode(entry.path)}: {error.message}")
            self.failed(entry, error.message)
            return None
        decision = self._decide(entry, pieces, destination)
        if decision is Decision.WRITE:
            todo.append(WantedFile(entry, pieces))
            return decision
        if decision is Decision.RIGHT:
            self._outcome.already += 1
        else:
            self._outcome.kept += 1
        self._progress.advance(entry.path, 1, entry.size)
        return decision

    def _decide(self, entry: Entry, pieces: list[Piece], destination: Destination | None) -> Decision:
        """What happens to the file, from what stands at its path; what cannot be looked at is written anew."""
        if destination is None:
            return Decision.WRITE
        try:
            status = destination.look(entry.path)
            right = status is not None and is_right(entry, status)
            if right and self._wish.check_existing:
                lengths = [self._places.packs[pack].record.plain[chunk] for pack, chunk, _ in pieces]
                right = destination.holds(entry, lengths, partial(chunk_id, self._keys.id_key.reveal()))
        except OSError:
            return Decision.WRITE
        return decide(self._policy, entry, status, right)

    @property
    def _policy(self) -> str:
        return self._wish.overwrite or "if-changed"

    # --- the plan

    def _estimate(self, todo: list[WantedFile]) -> Estimate:
        chunks: dict[int, set[int]] = {}
        for file in todo:
            for pack_number, chunk, _ in file.pieces:
                chunks.setdefault(pack_number, set()).add(chunk)
        uses = []
        for number in sorted(chunks):
            pack = self._places.packs[number]
            info = self._thawing.info(pack)
            tier = info.tier if info is not None else pack.record.tier
            state = self._thawing.state(pack)
            reads = [] if state is State.MISSING else spans(pack, sorted(chunks[number]))
            uses.append(PackUse(pack, state, tier, reads, self._thawing.priority(pack)))
        sizes = [file.entry.size for file in todo]
        return estimate(sizes, self._outcome.already, uses, self._wish.thaw, self._wish.prices, self._wish.now())

    def _check_plan(self, plan: Estimate) -> None:
        """Stops, before anything is spent, what costs too much or could never end. AzbackupError, UsageError."""
        limit, wish = self._wish.max_cost, self._wish.thaw
        if limit is not None and plan.price > limit:
            raise AzbackupError(
                f"this restore would cost about {plan.price:.4f} {plan.currency}, more than --max-cost {limit:g}",
                "nothing was spent; --plan shows why, --include restores a part, --priority standard is cheapest",
            )
        largest = max((line.size for line in plan.packs if line.state == State.ARCHIVED.value), default=0)
        if wish.priority == "high" and largest > wish.budget:
            raise UsageError(
                f"--high-budget is less than one pack of {largest:,} bytes: nothing could ever be asked for",
                f"give at least {largest / 1024**3:.4f}, or --priority mixed",
            )

    # --- doing it

    def _restore(
        self, entries: list[Entry], todo: list[WantedFile], links: list[tuple[Entry, Entry]], to: Destination
    ) -> None:
        directories = [entry for entry in entries if entry.kind == Kind.DIRECTORY]
        for entry in directories:
            self.attempt(entry, partial(to.make_directory, entry))
        for entry in entries:
            if entry.kind not in (Kind.DIRECTORY, Kind.FILE):
                self.attempt(entry, partial(self._special, entry, to))
        waiting = self._files(todo, to)
        for entry, leader in links:
            if leader.path not in waiting:
                self.attempt(entry, partial(self._link, entry, leader, to))
        for entry in reversed(directories):
            self.attempt(entry, partial(to.finish_directory, entry))
        for name in sorted(to.skipped_xattrs):
            self._progress.note(f"extended attribute {name} could not be set here")
        if not waiting:
            self._leave()

    def _files(self, todo: list[WantedFile], destination: Destination) -> set[bytes]:
        """Restores files as their packs come; the paths of those that still wait at the end."""
        fetch = Fetcher(self._thawing.read, PackReader(self._keys), destination, self)
        arrivals = Scheduler(self._thawing, fetch, self._places.packs, self._wish.thaw, self._wish.now)
        waiting = arrivals.run(todo, self, self._wish.wait)
        self._outcome.pending, self._outcome.later_packs = arrivals.pending, arrivals.later_packs
        self._outcome.refused, self._outcome.pending_files = arrivals.refused, len(waiting)
        return {file.entry.path for file in waiting}

    def _special(self, entry: Entry, destination: Destination) -> None:
        """A link, fifo or device, unless it is there or the policy keeps what is."""
        status = destination.look(entry.path)
        right = status is not None and is_right(entry, status)
        if right and entry.kind == Kind.SYMLINK:
            right = destination.target(entry.path) == entry.target
        if decide(self._policy, entry, status, right) is Decision.WRITE:
            destination.make_special(entry)

    def _link(self, entry: Entry, leader: Entry, destination: Destination) -> None:
        """A further hard link to a file that is there, unless the policy keeps what stands at its path."""
        original, there = destination.look(leader.path), destination.look(entry.path)
        if original is None or not is_right(leader, original):
            raise Unwritable(f"it is a hard link to {os.fsdecode(leader.path)}, which could not be restored")
        if there is not None and (there.st_ino, there.st_dev) == (original.st_ino, original.st_dev):
            return
        if decide(self._policy, entry, there, right=False) is Decision.KEEP:
            self._outcome.kept += 1
        else:
            destination.make_link(entry.path, leader.path)

    def _leave(self) -> None:
        """Cleans up; credentials that cannot delete do not make a restore that is complete a failure."""
        try:
            self._outcome.others = self._thawing.leave(self._wish.now())
        except Unavailable as error:
            self.note(f"the thawed copies could not be removed: {error.message}; --discard-thawed removes them")

    # --- what Arrivals and Fetch tell

    def note(self, message: str) -> None:
        """Worth a line."""
        self._progress.note(message)

    def done(self, entry: Entry) -> None:
        """The file is there."""
        self._outcome.files += 1
        self._outcome.size += entry.size
        self._progress.advance(entry.path, 1, entry.size)

    def failed(self, entry: Entry, why: str) -> None:
        """The path could not be restored."""
        self._outcome.problems += 1
        self._progress.problem(entry.path, why)

    def damaged(self, what: str) -> None:
        """Stored data is not what it should be."""
        self._outcome.damage.append(what)

    def attempt(self, entry: Entry, action: Callable[[], None]) -> bool:
        """Whether the action worked; a failure is named and counted, a full disk ends the run."""
        try:
            action()
            return True
        except Unwritable as error:
            self.failed(entry, str(error))
        except OSError as error:
            if out_of_space(error):
                raise
            self.failed(entry, f"cannot be restored: {error.strerror}")
        return False
