"""Lives of a partition that are drawn from a seed, each of whose snapshots is read twice: by restore and by reader.py.

The two share no code. Three sources, two directories and a stream, see edits, links, holes, attributes, owners, kinds
that change; runs are killed anywhere; snapshots are retired and recalled; layers are merged.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from azbackup.commands.backup.rules import kept_rules
from azbackup.commands.backup.stream import STREAMS, Stream
from azbackup.commands.maintenance.keeping import Rules
from azbackup.errors import NothingStored, OutOfTime
from tests.cli.trees import differences
from tests.conftest import REPOSITORY
from tests.faults.world import PARTITION, PASSWORD, Fuse, Killed, World, make_small
from tests.soak.mutations import mutate
from tests.vectors.in_memory import dump


def load_reader() -> ModuleType:
    """Return docs/reader.py as a module."""
    spec = importlib.util.spec_from_file_location("independent_reader", REPOSITORY / "docs" / "reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_tiny(patch: pytest.MonkeyPatch) -> None:
    """Make packs, file records and items so small that a few files have several of each."""
    make_small(patch)
    patch.setattr("azbackup.format.entries.MORE_CHUNKS", 2)


class Life:
    """A partition in memory, its sources, and chance. `played` says what was done."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.rng = random.Random(seed)
        self.sources = [root / "one", root / "two"]
        for source in self.sources:
            source.mkdir(parents=True)
            mutate(source, self.rng, 12, growing=True)
        self.world = World(self.sources[0])
        self.played: list[str] = []
        self.compared = 0

    def play(self, steps: int) -> None:
        """Back up each source once, then do what chance says."""
        for source in self.sources:
            self._back_up(source)
        kinds: list[tuple[Callable[[], None], int]] = [
            *((self.change, 10), (self.stream, 2), (self.kill, 3), (self.leave_out, 1), (self.run_out_of_time, 1)),
            *((self.retire, 2), (self.recall, 2), (self.weeks, 1)),
        ]
        actions, weights = zip(*kinds, strict=True)
        for action in self.rng.choices(actions, weights, k=steps):
            self.played.append(action.__name__)
            action()
        self._back_up(self.sources[0])  # finishes what was killed

    # --- what happens

    def change(self) -> None:
        """One source changes and is backed up."""
        source = self.rng.choice(self.sources)
        self.played += mutate(source, self.rng, self.rng.choice([0, 1, 4, 15]))
        self._back_up(source)

    def stream(self) -> None:
        """What a program prints is backed up."""
        reading, writing = os.pipe()
        os.write(writing, self.rng.randbytes(self.rng.choice([1, 5000, 60_000])))
        os.close(writing)
        stream = Stream(b"dump.sql", lambda: reading, lambda: None, lambda: os.close(reading))
        self._back_up(Path(os.fsdecode(STREAMS + b"dump.sql")), stream=stream)

    def kill(self) -> None:
        """A backup is killed before or after one of its calls; or is whole, where it makes fewer."""
        source = self.rng.choice(self.sources)
        mutate(source, self.rng, 4)
        with contextlib.suppress(Killed):
            self._back_up(source, Fuse(self.rng.randrange(1, 25), late=self.rng.random() < 0.5))

    def leave_out(self) -> None:
        """A rule leaves something out, and is kept with the snapshot."""
        self._back_up(self.rng.choice(self.sources), rules=kept_rules([b"--exclude *.txt"]), tags=("odd",), note="why")

    def run_out_of_time(self) -> None:
        """The time is over after a few files: what was stored belongs to no snapshot."""
        left = iter(range(self.rng.randrange(1, 30)))
        source = self.rng.choice(self.sources)
        mutate(source, self.rng, 4, growing=True)
        with contextlib.suppress(OutOfTime):
            self._back_up(source, is_over=lambda: next(left, None) is None)

    def retire(self) -> None:
        """Some snapshots go, by number or by a rule."""
        if self.rng.random() < 0.5:
            self.world.retain(rules=Rules(last=self.rng.choice([1, 2, 5])), early=True)
        else:
            with contextlib.suppress(NothingStored):
                self.world.retain(forget=[self.rng.choice(self.world.numbers())], early=True)

    def recall(self) -> None:
        """One that was retired is wanted again, if that can be."""
        numbers = self.world.numbers()
        gone = sorted({*range(1, max(numbers))} - {*numbers})
        if gone:
            with contextlib.suppress(NothingStored):
                self.world.retain(recall=[self.rng.choice(gone)])

    def weeks(self) -> None:
        """What was retired is deleted."""
        for _ in range(2):
            self.world.pass_days(8)
            self.world.retain(rules=Rules(last=3), early=True)

    def _back_up(self, source: Path, fuse: Fuse | None = None, **limits: Any) -> None:
        self.world.limits = {"allow_empty": True, **limits}
        self.world.backup(fuse, source)
        self.world.limits = {}

    # --- what has to come of it

    def compare(self, reader: ModuleType) -> None:
        """Read every snapshot that is listed both ways; the trees are the same in every respect."""
        dump(self.world.blobs, self.world.table, PARTITION, self.root / "dump")
        snapshots = self.world.opened()[0].snapshots()
        latest = {each.source: each.number for each in snapshots}
        for each in snapshots:
            restored, read = self.root / "restored", self.root / "read"
            outcome = self.world.restore(restored, each.number)
            assert (outcome.damage, outcome.problems) == ([], 0)
            number = 0 if each.number == latest[each.source] else each.number
            reader.main(self.root / "dump", PARTITION, each.source, read, number, PASSWORD.reveal())
            assert differences(restored, read) == [], f"snapshot {each.number} after {self.played}"
            shutil.rmtree(restored)
            shutil.rmtree(read)
            self.compared += 1
