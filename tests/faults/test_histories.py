"""Histories of two machines with one partition, drawn by seed: all that can happen to it, in any order.

Backups, kills, runs beside each other, retention, repairs, a table that is lost, weeks in between. After each step
every snapshot that is listed is what its source held then, and verification finds nothing; a backup of nothing new
stores nothing but its snapshot; at the end quiet runs of retention leave nothing over.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from azbackup.commands.maintenance.keeping import Rules
from azbackup.errors import NothingStored, Overtaken, Unavailable
from azbackup.format.labels import FILES_PREFIX, PACK_PREFIX, RETIRED_PREFIX, SNAPSHOT_PREFIX
from azbackup.format.model import Snapshot
from tests.faults.test_retention import names, packs
from tests.faults.test_verify import repair, verify
from tests.faults.world import Fuse, Killed, World, make_small
from tests.listener import Silent

Tree = dict[str, int]  # contents by path
FILES = [f"{directory}{name}" for directory in ("", "d/") for name in "abc"]
CONTENTS = [random.Random(number).randbytes(20_000) for number in range(8)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make packs and records small: two files fill a pack."""
    make_small(monkeypatch, pack_bytes=45_000)
    monkeypatch.setattr("tests.faults.world._stamps", count(1))  # the same names for a seed, whatever ran before


class History:
    """A world, what each run of a backup met, and so what each snapshot has to hold."""

    def __init__(self, root: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.sources = [root / "one", root / "two"]
        for source in self.sources:
            (source / "d").mkdir(parents=True)
        self.world = World(self.sources[0])
        self.trees: list[Tree] = [{}, {}]
        self.met: dict[tuple[bytes, int], Tree] = {}  # by source and the time when the run began
        self.chunks: dict[bytes, int] = {}  # what a file's chunks are
        self.out = root / "out"

    # --- what happens

    def change(self) -> None:
        """Some files of a source come, change or go."""
        which = self.draw.randrange(2)
        for file in self.draw.sample(FILES, self.draw.randint(1, 3)):
            path, tree = self.sources[which] / file, self.trees[which]
            if self.draw.random() < 0.25:
                path.unlink(missing_ok=True)
                tree.pop(file, None)
            else:
                tree[file] = self.draw.randrange(len(CONTENTS))
                path.write_bytes(CONTENTS[tree[file]])

    def backup(self, fuse: Fuse | None = None, which: int | None = None) -> None:
        """A backup of one of the sources. One that is overtaken begins again, as the command line has it."""
        which = self.draw.randrange(2) if which is None else which
        source = self.sources[which]
        self.world.limits = {"allow_empty": True}
        for _ in range(2):
            self.world.now_ns += 10**9
            self.met[bytes(source), self.world.now_ns] = dict(self.trees[which])
            with contextlib.suppress(Overtaken):
                self.world.backup(fuse, source)
                return

    def retain(self, fuse: Fuse | None = None) -> None:
        """Retention, by a rule or by number."""
        wish = {"rules": Rules(last=self.draw.randint(1, 3)), "early": self.draw.random() < 0.7}
        if self.draw.random() < 0.2 and (there := self.world.numbers()):
            wish = {"forget": [self.draw.choice(there)], "early": True}
        with contextlib.suppress(NothingStored, Unavailable):
            self.world.retain(fuse, **wish)

    def killed(self) -> None:
        """A run that is killed before or after one of its calls."""
        with contextlib.suppress(Killed):
            self.run()(Fuse(self.draw.randint(1, 30), late=self.draw.random() < 0.5))

    def beside(self) -> None:
        """A run during which another one runs whole."""
        other = self.run()
        self.run()(Fuse(self.draw.randint(1, 30), strike=other))

    def weeks(self) -> None:
        """A backup during which weeks go by, with runs of others."""

        def strike() -> None:
            for _ in range(3):
                self.run()()
                self.world.pass_days(8)

        self.backup(Fuse(self.draw.randint(1, 12), strike=strike))

    def days(self) -> None:
        """Time goes by."""
        self.world.pass_days(self.draw.choice([1, 8, 40]))

    def lost(self) -> None:
        """The table is lost, and rebuilt by the next backup."""
        self.world.table.rows.clear()
        self.backup()

    def repaired(self) -> None:
        """Rows of some records are lost, and put back."""
        rows = [key for key in self.world.table.rows if key[1] != "key"]
        for key in self.draw.sample(sorted(rows), min(2, len(rows))):
            del self.world.table.rows[key]
        repair(self.world)

    def run(self) -> Callable[..., None]:
        """A backup of one of the sources, or retention."""
        return self.draw.choice([self.backup, self.backup, self.retain])

    def step(self) -> None:
        """Anything."""
        happens = {self.change: 5, self.backup: 4, self.retain: 4, self.killed: 3, self.beside: 3}
        happens |= {self.days: 3, self.weeks: 1, self.lost: 1, self.repaired: 1}
        self.draw.choices(list(happens), list(happens.values()))[0]()

    # --- what has to be true

    def tree_of(self, snapshot: Snapshot) -> Tree:
        """What its source held when it was made."""
        times = [began for source, began in self.met if source == snapshot.source and began <= snapshot.started_ns]
        return self.met[snapshot.source, max(times)]

    def check(self, *, verified: bool = False) -> None:
        """What is listed is whole and as it was; nothing is damaged."""
        show = Silent()
        catalog, _ = self.world.opened(show=show)
        there = packs(self.world)
        snapshots = catalog.snapshots()
        held = {each for pack, record in catalog.packs() if pack in there for each in record.chunk_ids()}
        for snapshot in snapshots:
            tree = self.tree_of(snapshot)
            found = {}
            for entry in catalog.entries(snapshot, whole=True):
                assert held.issuperset(entry.chunk_ids()), (snapshot.number, entry.path)
                if entry.chunks:
                    found[entry.path.decode()] = entry.chunks
            assert found.keys() == tree.keys()
            assert all(self.chunks.setdefault(found[path], content) == content for path, content in tree.items())
        assert show.damaged == []
        if not verified:
            return
        findings = verify(self.world).findings
        assert findings.damages == 0, findings.groups

    def check_restores(self) -> None:
        """Each snapshot restores exactly."""
        for snapshot in self.world.opened()[0].snapshots():
            to = self.out / str(snapshot.number)
            outcome = self.world.restore(to, snapshot.number)
            assert (outcome.damage, outcome.problems) == ([], 0)
            tree = self.tree_of(snapshot)
            stored = {str(path.relative_to(to)): path.read_bytes() for path in to.rglob("*") if path.is_file()}
            assert stored == {path: CONTENTS[content] for path, content in tree.items()}

    def check_unchanged(self) -> None:
        """A backup of what did not change stores no pack and no file record."""
        for which in range(2):
            self.backup(which=which)
            before = (packs(self.world), names(self.world, FILES_PREFIX))
            self.backup(which=which)
            assert (packs(self.world), names(self.world, FILES_PREFIX)) == before

    def check_nothing_over(self) -> None:
        """Four quiet runs of retention leave what the last two snapshots need."""
        for _ in range(4):
            self.world.pass_days(8)
            self.world.retain(rules=Rules(last=1), early=True)
        catalog, _ = self.world.opened()
        snapshots = catalog.snapshots()
        assert len(snapshots) == 2
        used = {each for snapshot in snapshots for entry in catalog.entries(snapshot) for each in entry.chunk_ids()}
        holders = [used & set(record.chunk_ids()) for _, record in catalog.packs()]
        assert all(holders)
        runs = {layer.run for snapshot in snapshots for layer in snapshot.layers}
        rows = names(self.world, FILES_PREFIX)
        assert {name.removeprefix(FILES_PREFIX).rpartition("-")[0] for name in rows} <= runs
        assert len(names(self.world, SNAPSHOT_PREFIX)) == 2
        assert len(names(self.world, RETIRED_PREFIX)) <= 3
        assert {PACK_PREFIX + pack for pack in packs(self.world)} >= set(names(self.world, PACK_PREFIX))


@pytest.mark.parametrize("seed", [*range(12, 24), 115, 129, 142])
def test_history(tmp_path: Path, seed: int) -> None:
    """Whatever happens, what is kept is whole."""
    history = History(tmp_path, seed)
    history.change()
    history.backup()
    for number in range(15):
        history.step()
        history.check(verified=number % 5 == 4)
    history.check_unchanged()
    history.check_nothing_over()
    history.check(verified=True)
    history.check_restores()
