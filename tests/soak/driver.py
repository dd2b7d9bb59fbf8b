"""Plays histories one after the other: each in a world of its own; a failure is made smaller and told."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from emulator.archive import ArchiveSimulator
from emulator.azurite import Azurite
from tests.soak import backups, listings, losses, passwords, restores, upkeep  # noqa: F401  they register their steps
from tests.soak.history import Step, play, shrink
from tests.soak.world import Mismatch, new_world


@dataclass
class Failure:
    """A history that failed: what was wrong, and what had been played."""

    steps: list[Step]
    message: str
    log: list[str]

    @property
    def kind(self) -> str:
        """What failed, roughly: the step, and how the message begins. A smaller history has to fail the same way."""
        return f"{self.steps[-1].name}: {re.split(r'[0-9:({[]', self.message.partition(': ')[2])[0]}"


@dataclass
class Driver:
    """Plays histories on one Azurite, and counts."""

    azurite: Azurite
    archive: ArchiveSimulator
    histories: int = 0
    played: int = 0
    ran: int = 0
    tried: int = field(default=0, init=False)

    def play(self, steps: Sequence[Step]) -> Failure | None:
        """Plays one; its failure if it fails."""
        with new_world(self.azurite, self.archive) as world:
            self.histories += 1
            try:
                play(steps, world)
            except (Mismatch, AssertionError, OSError) as error:
                return Failure(list(steps[: world.played + 1]), f"{type(error).__name__}: {error}", world.log)
            finally:
                self.played += world.played
                self.ran += world.ran
        return None

    def shrink(self, failure: Failure, seconds: float, tell: Callable[[str], None]) -> Failure:
        """Makes a failing history smaller until the time is over. Its beginning stays."""
        best, end = failure, time.monotonic() + seconds
        first = failure.steps[0]

        def fails(steps: Sequence[Step]) -> bool:
            nonlocal best
            if time.monotonic() > end:
                return False
            found = self.play([first, *steps])
            if found is not None and found.kind == failure.kind:
                best = found
                tell(f"{len(found.steps)} steps still fail: {found.message.splitlines()[0][:150]}")
                return True
            return False

        shrink(failure.steps[1:], fails)
        return best
