"""Round by round: what is online is restored whatever else goes wrong, and a wait outlives the network."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import cast

import pytest

from azbackup.commands.restore.fetcher import Fetcher, PutOff
from azbackup.commands.restore.files import DONE, READY, WAITING, Files
from azbackup.commands.restore.scheduler import Scheduler, Waiting
from azbackup.errors import Unavailable
from azbackup.format.model import Entry, Kind
from azbackup.packs.thaw.policy import ThawOptions
from azbackup.storage.protocols import BlobInfo
from tests.contract.memory import MemoryThaw
from tests.restore.unit.test_states import NOW, World

LOST = Unavailable("cannot reach Azure storage")
REFUSED = Unavailable("not allowed", code="AuthorizationPermissionMismatch")


class Lister(MemoryThaw):
    """A staging container whose listings and copies fail when told to."""

    failures: list[Unavailable | None]
    refusal: Unavailable | None = None

    def listed(self, prefix: str) -> Iterator[BlobInfo]:
        """The next failure, or the list."""
        if self.failures and (error := self.failures.pop(0)) is not None:
            raise error
        return super().listed(prefix)

    def thaw(self, name: str, priority: str) -> bool:
        """The refusal, or the copy."""
        if self.refusal is not None:
            raise self.refusal
        return super().thaw(name, priority)


class Run:
    """One restore of a file in each pack, and what became of it."""

    def __init__(self, *tiers: str) -> None:
        self.world = World(*(f"p{number}" for number in range(len(tiers))))
        for pack, tier in zip(self.world.packs, tiers, strict=True):
            self.world.blobs.blobs[f"user/packs/{pack.pack_id}"].tier = tier
        self.staging = Lister(self.world.blobs, slow=True)
        self.staging.failures = []
        self.world.staging = self.staging
        self.restored: list[bytes] = []
        self.notes: list[str] = []
        self.waits = 0
        self.todo = Files()
        for number in range(len(tiers)):
            self.todo.add(Entry(b"%d" % number, int(Kind.FILE)), array("I", [number, 0]))
        self.scheduler = Scheduler(
            self.world.thawing(), cast(Fetcher, self), self.world.packs, ThawOptions(), lambda: NOW
        )

    def run(self, files: Files, *_: object) -> PutOff:
        """Restores nothing, and notes it."""
        self.restored += [file.entry.path for file in files.having(READY)]
        files.turn(READY, DONE)
        return PutOff()

    def waiting(self) -> list[bytes]:
        """The paths of the files that wait."""
        return [file.entry.path for file in self.todo.having(WAITING)]

    def note(self, message: str) -> None:
        """Noted."""
        self.notes.append(message)

    def thaws(self, *_: object) -> None:
        """Not of interest here."""

    def failed(self, entry: Entry, why: str) -> None:
        """Not expected here."""
        raise AssertionError((entry, why))

    def wait(self, *_: object) -> None:
        """The packs come after the third look."""
        self.waits += 1
        if self.waits == 3:
            self.staging.release()


def test_waiting_outlives_the_network() -> None:
    """Looks that meet nobody are notes; nothing is asked for twice, and all comes in the end."""
    run = Run("archive")
    run.staging.failures = [LOST, LOST, None]
    assert run.scheduler.run(run.todo, run, run.wait) == Waiting()
    assert (run.restored, run.waits, len(run.notes)) == ([b"0"], 3, 2)


def test_waiting_ends_at_a_refusal() -> None:
    """A look that is refused will be refused again."""
    run = Run("archive")
    run.staging.failures = [None, REFUSED]
    with pytest.raises(Unavailable, match="not allowed"):
        run.scheduler.run(run.todo, run, run.wait)


@pytest.mark.parametrize("error", [LOST, REFUSED])
def test_what_is_online_is_restored_when_a_thaw_is_refused(error: Unavailable) -> None:
    """The refusal is kept for the end; what is online comes first. Nobody waits for what will not come."""
    run = Run("archive", "hot")
    run.staging.refusal = error
    waiting = run.scheduler.run(run.todo, run, None if error is LOST else run.wait)
    assert (waiting.files, run.waiting()) == (1, [b"0"])
    assert (run.restored, run.waits, waiting.refused) == ([b"1"], 0, error)


def test_refusal_that_does_not_matter() -> None:
    """A mark that cannot be left is no failure when all copies are there."""
    run = Run("archive")
    run.staging.thaw("user/packs/p0", "standard")
    run.staging.release()
    run.scheduler._thaw.states.look(run.world.packs)

    def refuse(_: str) -> None:
        raise REFUSED

    run.staging.mark = refuse  # type: ignore[method-assign]
    assert run.scheduler.run(run.todo, run, None) == Waiting()
    assert run.restored == [b"0"]


def test_first_come_first() -> None:
    """Files of a lower rank are asked for and restored before the others, whatever their place in the plan is."""
    run = Run("archive", "archive", "hot", "hot")
    run.todo.put_in_order(lambda entry: 1 - int(entry.path) % 2)
    asked: list[str] = []
    ask = run.staging.thaw
    run.staging.thaw = lambda name, priority: asked.append(name) or ask(name, priority)  # type: ignore[method-assign,func-returns-value]
    run.world.packs[0].record.size = run.world.packs[1].record.size = 10
    run.scheduler._options = ThawOptions("high", budget=10)
    assert run.scheduler.run(run.todo, run, None).files == 2
    assert (asked, run.restored) == (["user/packs/p1"], [b"3", b"2"])
