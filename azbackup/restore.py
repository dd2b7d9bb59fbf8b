"""One run of restore.py: a snapshot, or a part of it, becomes a directory.

    entries -> what is meant -> what is not there yet -> which packs -> the plan, its price
            -> thaw -> directories, each file whose packs can be read, links, devices -> metadata -> clean up

Promises: nothing is spent before the plan is known; every byte that appears under a file's name was opened, checked
and belongs there; a file that cannot be restored is named and leaves nothing behind; what is there already and right
is left alone, so the same command goes on where it stopped, from any host. Packs that still thaw are no error.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from azbackup.catalog import Catalog
from azbackup.crypto import Keys
from azbackup.destination import already_holds, open_destination
from azbackup.errors import AzbackupError, Damaged
from azbackup.estimate import Estimate, PackUse, estimate
from azbackup.fetch import Fetch, WantedFile
from azbackup.hasher import Hasher
from azbackup.model import Entry, Kind, Snapshot
from azbackup.overwrite import Decision, decide
from azbackup.plan import NeededPack, Places
from azbackup.prices import Prices
from azbackup.progress import Progress
from azbackup.selection import Selection
from azbackup.thawing import Pending, State, Thawing, ThawWish
from azbackup.writer import Destination, Unwritable, check_path, out_of_space


@dataclass(frozen=True)
class Wish:
    """What is restored where, and how. Each snapshot goes below its prefix, '' for the destination itself.

    `overwrite` is a policy, None for the default one in a directory that holds nothing else. `wait` is called between
    two looks at what is pending; None: do not wait. `tell` hears the plan before anything is done. `now` is the clock,
    Unix seconds.
    """

    snapshots: list[tuple[Snapshot, bytes]]
    destination: bytes | None
    selection: Selection
    thaw: ThawWish
    prices: Prices
    now: Callable[[], float]
    overwrite: str | None = None
    check_existing: bool = False
    max_cost: float | None = None
    plan_only: bool = False
    dry_run: bool = False
    tell: Callable[[Estimate], None] | None = None
    wait: Callable[[Pending | None], None] | None = None


@dataclass
class Outcome:
    """What a run did. `problems` counts paths that could not be restored; `pending` what is still thawing."""

    files: int = 0
    size: int = 0
    already: int = 0
    kept: int = 0
    problems: int = 0
    pending: Pending | None = None
    pending_files: int = 0
    later_packs: int = 0
    staged: tuple[int, int] = (0, 0)
    others: int = 0
    estimate: Estimate | None = None
    damage: list[str] = field(default_factory=list)


class Restore:
    """One run. Made once, run once."""

    def __init__(self, wish: Wish, catalog: Catalog, thawing: Thawing, keys: Keys, progress: Progress) -> None:
        self._wish = wish
        self._catalog = catalog
        self._thawing = thawing
        self._keys = keys
        self._progress = progress
        self._outcome = Outcome()
        self._places = Places(set())

    def run(self) -> Outcome:
        """Restores what can be. AzbackupError when the destination cannot be used, the plan costs too much, ..."""
        entries, everything = self._entries()
        destination = self._existing({entry.path for entry in everything})
        try:
            originals, followers = _links(entries)
            todo = self._todo(originals, destination)
            self._outcome.damage += self._thawing.look(self._places.packs)
            self._outcome.estimate = self._estimate(todo)
            if self._wish.tell is not None:
                self._wish.tell(self._outcome.estimate)
            self._check_cost(self._outcome.estimate)
            if self._wish.dry_run:
                for file in todo:
                    self._progress.note(f"would restore {os.fsdecode(file.entry.path)}")
            if not self._wish.plan_only:
                if destination is None:
                    destination = open_destination(self._wish.destination)
                self._restore(entries, todo, followers, destination)
        except OSError as error:
            raise out_of_space(error) or error from None
        finally:
            if destination is not None:
                destination.close()
        self._outcome.staged = self._thawing.staged()
        self._outcome.damage += self._catalog.records.damage
        return self._outcome

    # --- what is meant, and what is there

    def _entries(self) -> tuple[list[Entry], list[Entry]]:
        """(the entries that are meant, all entries), in path order, under their prefixes.

        Where two snapshots both have a path the newer one counts.
        """
        meant: dict[bytes, Entry] = {}
        everything: dict[bytes, Entry] = {}
        for snapshot, prefix in sorted(self._wish.snapshots, key=lambda pair: pair[0].number):
            entries = list(self._catalog.entries(snapshot))
            for entry in entries:
                check_path(entry.path)
            chosen = self._wish.selection.of(entries, snapshot.source)
            if prefix:
                for entry in entries:
                    entry.path = prefix + b"/" + entry.path if entry.path else prefix
            meant.update((entry.path, entry) for entry in chosen)
            everything.update((entry.path, entry) for entry in entries)
        return list(meant.values()), list(everything.values())

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

    def _todo(self, entries: list[Entry], destination: Destination | None) -> list[WantedFile]:
        """The files that are to be written, with their pieces; the others are counted."""
        self._places = Places({each for entry in entries for each in entry.chunk_ids()})
        self._places.add(self._catalog.packs())
        if self._places.missing:
            known = {pack.pack_id for pack in self._places.packs}
            self._places.add(self._catalog.packs_without_row(known))
        self._progress.stage("restoring", len(entries), sum(entry.size for entry in entries))
        found = (self._plan(entry, destination) for entry in entries)
        return [file for file in found if file is not None]

    def _plan(self, entry: Entry, destination: Destination | None) -> WantedFile | None:
        """The file with its pieces; None when it is there already, stays as it is, or cannot be restored."""
        try:
            pieces = self._places.pieces(entry)
        except Damaged as error:
            self.damaged(f"{os.fsdecode(entry.path)}: {error.message}")
            self.failed(entry, error.message)
            return None
        status = destination.look(entry.path) if destination is not None else None
        decision = decide(self._wish.overwrite or "if-changed", entry, status)
        if decision is Decision.RIGHT and self._wish.check_existing:
            assert destination is not None
            lengths = [self._places.packs[pack].record.plain[chunk] for pack, chunk, _ in pieces]
            if not destination.holds(entry, lengths, Hasher(self._keys)):
                decision = Decision.WRITE
        if decision is Decision.WRITE:
            return WantedFile(entry, pieces, len(pieces))
        if decision is Decision.RIGHT:
            self._outcome.already += 1
        else:
            self._outcome.kept += 1
        self._progress.advance(entry.path, 1, entry.size)
        return None

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
            uses.append(PackUse(pack, self._thawing.state(pack), tier, sorted(chunks[number])))
        sizes = [file.entry.size for file in todo]
        return estimate(sizes, self._outcome.already, uses, self._wish.thaw, self._wish.prices, self._wish.now())

    def _check_cost(self, plan: Estimate) -> None:
        limit = self._wish.max_cost
        if limit is not None and plan.price > limit and not self._wish.plan_only:
            raise AzbackupError(
                f"this restore would cost about {plan.price:.2f} {plan.currency}, more than --max-cost {limit:.2f}",
                "nothing was spent; --plan shows why, --include restores a part, --priority standard is cheapest",
            )

    # --- doing it

    def _restore(
        self, entries: list[Entry], todo: list[WantedFile], followers: list[tuple[Entry, bytes]], to: Destination
    ) -> None:
        directories = [entry for entry in entries if entry.kind == Kind.DIRECTORY]
        for entry in directories:
            self.attempt(entry, lambda each=entry: to.make_directory(each))  # type: ignore[misc]
        for entry in entries:
            if entry.kind not in (Kind.DIRECTORY, Kind.FILE):
                self.attempt(entry, lambda each=entry: self._special(each, to))  # type: ignore[misc]
        waiting = self._files(todo, to)
        for entry, leader in followers:
            self.attempt(entry, lambda each=entry, first=leader: self._link(each, first, to))  # type: ignore[misc]
        for entry in reversed(directories):
            self.attempt(entry, lambda each=entry: to.finish_directory(each))  # type: ignore[misc]
        for name in sorted(to.skipped_xattrs):
            self._progress.note(f"extended attribute {name} could not be set here")
        if not waiting:
            self._outcome.others = self._thawing.leave(self._wish.now())

    def _special(self, entry: Entry, destination: Destination) -> None:
        status = destination.look(entry.path)
        if status is not None:
            right = _is_special(entry, status) and (
                entry.kind != Kind.SYMLINK or destination.target(entry.path) == entry.target
            )
            policy = self._wish.overwrite or "if-changed"
            if right or decide(policy, entry, status) is Decision.KEEP:
                return
        destination.make_special(entry)

    def _link(self, entry: Entry, leader: bytes, destination: Destination) -> None:
        original, there = destination.look(leader), destination.look(entry.path)
        if original is None:
            return  # still thawing, or named as failed
        if there is None or (there.st_ino, there.st_dev) != (original.st_ino, original.st_dev):
            destination.make_link(entry.path, leader)

    def _files(self, todo: list[WantedFile], destination: Destination) -> list[WantedFile]:
        """Thaws and restores, as packs come; the files that still wait at the end."""
        fetch = Fetch(self._thawing.read, self._keys, destination, self)
        wish = self._wish
        claimed = False
        while todo:
            needed = self._needed(todo)
            asks, later = self._thawing.asks(needed, wish.thaw, wish.now())
            self._thawing.ask(asks, wish.thaw.in_place)
            pending = self._thawing.pending(needed)
            if pending is not None and not claimed and not wish.thaw.in_place:
                self._thawing.claim()
                claimed = True
            now, todo = self._sort(todo)
            fetch.run(now, self._places.packs)
            self._outcome.pending, self._outcome.later_packs = pending, len(later)
            if not todo or wish.wait is None:
                break
            wish.wait(pending)
            self._thawing.refresh(wish.thaw.in_place)
        self._outcome.pending_files = len(todo)
        if not todo:
            self._outcome.pending, self._outcome.later_packs = None, 0
        return todo

    def _needed(self, todo: list[WantedFile]) -> list[NeededPack]:
        """The packs of the files, in the order in which they are needed."""
        numbers = dict.fromkeys(pack for file in todo for pack, _, _ in file.pieces)
        return [self._places.packs[number] for number in numbers]

    def _sort(self, todo: list[WantedFile]) -> tuple[list[WantedFile], list[WantedFile]]:
        """(the files whose packs can all be read now, those that wait); one with a missing pack is named and gone."""
        states = [self._thawing.state(pack) for pack in self._places.packs]
        now, later = [], []
        for file in todo:
            met = {states[pack] for pack, _, _ in file.pieces}
            if State.MISSING in met:
                self.failed(file.entry, "a pack that holds its contents is missing")
            elif met <= {State.ONLINE, State.THAWED}:
                now.append(file)
            else:
                later.append(file)
        return now, later

    # --- what Fetch tells

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


def _links(entries: list[Entry]) -> tuple[list[Entry], list[tuple[Entry, bytes]]]:
    """(files to restore from chunks, further hard links to one of them, each with the path of the first)."""
    leaders: dict[object, bytes] = {}
    originals, followers = [], []
    for entry in entries:
        if entry.kind != Kind.FILE:
            continue
        if entry.links > 1:
            group = (entry.device, entry.inode, entry.size, entry.mtime_ns, entry.chunks)
            leader = leaders.setdefault(group, entry.path)
            if leader != entry.path:
                followers.append((entry, leader))
                continue
        originals.append(entry)
    return originals, followers


_FORMATS = {
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.CHARACTER_DEVICE: stat.S_IFCHR,
    Kind.BLOCK_DEVICE: stat.S_IFBLK,
}


def _is_special(entry: Entry, status: os.stat_result) -> bool:
    """Whether a link, fifo or device of the right kind, time and number is there."""
    if stat.S_IFMT(status.st_mode) != _FORMATS[Kind(entry.kind)] or status.st_mtime_ns != entry.mtime_ns:
        return False
    return entry.kind in (Kind.SYMLINK, Kind.FIFO) or status.st_rdev == entry.rdev
