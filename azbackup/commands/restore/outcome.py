"""What a restore was asked for, and what it did: the request, the result, and the one listener that keeps count.

Promises that every path which could not be restored is counted once and named, and that a full disk ends the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from azbackup.commands.restore.estimate import Estimate
from azbackup.commands.restore.slip import Slip
from azbackup.commands.restore.tree import Chosen
from azbackup.errors import Unavailable
from azbackup.filesystem.directories import Unwritable, out_of_space
from azbackup.filesystem.scanner import Filter
from azbackup.format.model import Entry
from azbackup.packs.thaw.policy import ThawOptions
from azbackup.packs.thaw.states import Pending, Staged, Thawing
from azbackup.progress import Progress
from azbackup.records.selection import Matcher, Selection
from azbackup.storage.prices import Prices

_NAMED = 10


@dataclass(frozen=True)
class RestoreRequest:
    """What is restored where, and how. Each snapshot goes below its prefix, '' for the destination itself.

    `overwrite` is a policy, None for the default one in a directory that holds nothing else. `delete`: what the
    restored part has and the snapshot has not is removed, but for what the rules of its backup left out: that is stored
    nowhere. `spares` makes a filter of those rules for each prefix. `privileges`: setuid bits, devices and the like
    come back. `owners`: by their number here, their name, or none. `sets_aside`: what differs is kept beside what is
    restored. `first`: files that match the first of these are thawed and written first, then the next, then the others.
    `force`: even where there seems to be too little room.
    `wait` is called between two looks, with what is pending and how far it is; None: do not stay.
    `slip`: the destination as it was typed, which may be a path that was meant.
    `tell` hears the plan before anything is done, `by_directory` with what each top directory takes; `would` hears what
    a dry run would do; `agree` hears the plan before anything is thawed or written: it may raise AzbackupError.
    `thaws` hears what is on its way whenever that changes, and how many packs are being asked for.
    `now` is the clock, Unix seconds.
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
    delete: bool = False
    spares: Mapping[bytes, Callable[[], Filter]] = field(default_factory=dict)
    privileges: bool = True
    owners: str = "number"
    sets_aside: bool = False
    first: Sequence[Matcher] = ()
    plan_only: bool = False
    dry_run: bool = False
    force: bool = False
    by_directory: bool = False
    tell: Callable[[Estimate], None] | None = None
    would: Callable[[str], None] | None = None
    agree: Callable[[Estimate], None] | None = None
    thaws: Callable[[Pending | None, int], None] | None = None
    slip: Slip | None = None
    wait: Callable[[Pending | None, Thawing], None] | None = None

    @property
    def cautious(self) -> bool:
        """Whether what is in the way stops the run."""
        return self.overwrite is None and not self.delete and not self.sets_aside

    @property
    def policy(self) -> str:
        """What happens to a file that is in the way."""
        return self.overwrite or "if-changed"


@dataclass
class RestoreResult:
    """What a run did.

    `set_aside` counts what was kept beside what was restored.
    `already` counts files that were there and right, `kept` those that the policy left as they were, `problems` paths
    that could not be restored. `pending` is what still thaws; `refused` why Azure would not thaw; `staged` the copies
    that lie in the staging container, for which `others` restores wait too.
    """

    files: int = 0
    size: int = 0
    already: int = 0
    kept: int = 0
    set_aside: int = 0
    problems: int = 0
    pending: Pending | None = None
    pending_files: int = 0
    later_packs: int = 0
    refused: Unavailable | None = None
    staged: Staged = field(default_factory=Staged)
    others: int = 0
    estimate: Estimate | None = None


class Recorder:
    """Counts for the result what becomes of each path, and tells the progress. Called from the run's own thread."""

    def __init__(
        self, progress: Progress, policy: str = "", thaws: Callable[[Pending | None, int], None] | None = None
    ) -> None:
        """`policy` is what happens to what is in the way: with `never` each path that was kept is a problem.

        `thaws` hears what is on its way, and how many packs are being asked for.
        """
        self.progress = progress
        self.result = RestoreResult()
        self.damages = 0
        self._names_kept = policy == "never"
        self._thaws = thaws

    def note(self, message: str) -> None:
        """Tells the user something that changes nothing."""
        self.progress.note(message)

    def thaws(self, pending: Pending | None, asking: int = 0) -> None:
        """This is on its way now, and so many more packs are being asked for."""
        if self._thaws is not None:
            self._thaws(pending, asking)

    def already(self, entry: Entry) -> None:
        """The file was there, and right."""
        self.result.already += 1
        self.progress.advance(entry.path, 1, entry.size)

    def kept(self, entry: Entry) -> None:
        """Something else was there, and the policy left it."""
        self.kept_special(entry)
        self.progress.advance(entry.path, 1, entry.size)

    def kept_special(self, entry: Entry) -> None:
        """The same for a link, fifo or device, which the progress does not count."""
        self.result.kept += 1
        if self._names_kept:
            self.failed(entry, "differs from the snapshot, and was left as it is (--overwrite never)")

    def set_aside(self, paths: Sequence[bytes]) -> None:
        """These were kept, under new names, beside what was restored."""
        self.result.set_aside += len(paths)
        if paths:
            more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
            names = ", ".join(map(os.fsdecode, paths[:_NAMED]))
            self.note(f"what differed is kept beside what was restored: {names}{more}")

    def done(self, entry: Entry) -> None:
        """The file is there."""
        self.result.files += 1
        self.result.size += entry.size
        self.progress.advance(entry.path, 1, entry.size)

    def wrote(self, entry: Entry, size: int, done: int) -> None:
        """More of the file is there."""
        self.progress.hold(entry.path, entry.size, done)
        self.progress.count("written", size)

    def failed(self, entry: Entry, why: str) -> None:
        """The path could not be restored."""
        self.result.problems += 1
        self.progress.problem(entry.path, why)

    def damaged(self, what: str) -> None:
        """Stored data is not what it should be."""
        self.damages += 1
        self.progress.damage(what)

    def attempt(self, entry: Entry, action: Callable[[], None]) -> bool:
        """Whether the action worked; a failure is named and counted. Raises OSError when the disk is full."""
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
