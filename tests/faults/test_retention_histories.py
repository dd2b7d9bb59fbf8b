"""Retention in histories that are drawn: trees, backups, rules, passwords, kills, runs at once, weeks in between.

After each step every snapshot that is listed has exactly the files of its day, each in a pack that is there, nothing is
told as damage, and the newest snapshot is listed.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azbackup.commands.backup.rewriting import Rewrite
from azbackup.commands.maintenance.keeping import Rules
from azbackup.crypto.secret import Secret
from azbackup.errors import Emptied, NothingStored, Overtaken, Unavailable
from azbackup.packs import rewriting
from azbackup.packs.known import KnownChunks
from tests.faults.world import Fuse, Killed, World, make_small
from tests.listener import Silent

FILES = [f"{directory}{name}" for directory in ("", "d/") for name in "abc"]
CONTENTS = [random.Random(number).randbytes(30_000) for number in range(6)]


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Make packs and records small: two files fill a pack."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch, pack_bytes=60_300)
        patch.setattr(rewriting, "SMALL_BYTES", 40_000)
        patch.setattr(rewriting, "SMALL_PACKS", 2)
        yield


class Life:
    """A world, and what each of its snapshots has to hold: contents by path."""

    def __init__(self, root: Path, rewrite: Rewrite | None) -> None:
        (root / "d").mkdir(parents=True)
        self.world = World(root, limits={"rewrite": rewrite})
        self._root = root
        self._held: dict[int, dict[str, int]] = {}
        self._tree: dict[str, int] = {}
        self._chunks: dict[bytes, int] = {}

    def write(self, file: str, content: int) -> None:
        """A file has other contents, none for -1."""
        if content < 0:
            (self._root / file).unlink(missing_ok=True)
            self._tree.pop(file, None)
        else:
            (self._root / file).write_bytes(CONTENTS[content])
            self._tree[file] = content

    def run(self, what: str, last: int, fuse: Fuse | None = None) -> None:
        """A backup, or retention: one that is overtaken, or empty, makes none; one of two may give way."""
        if what == "backup":
            with contextlib.suppress(Overtaken, Emptied):
                self.world.backup(fuse)
        elif self._held:
            with contextlib.suppress(Unavailable):
                self.world.retain(fuse, rules=Rules(last=last), early=last > 1)

    def strike(self, what: str, last: int, at: int, other: str) -> None:
        """A run that is killed at a call, or beside which another one runs whole, or weeks of retention go by."""
        if other == "kill":
            with contextlib.suppress(Killed):
                self.run(what, last, Fuse(at))
        else:
            meanwhile = self.weeks if other == "weeks" else self.run
            self.run(what, last, Fuse(at, strike=lambda: meanwhile(other, last)))

    def change_password(self, number: int, at: int) -> None:
        """Another password, or one that was in force before; killed at a call."""
        with contextlib.suppress(Killed):
            self.world.change_password(Secret(b"password %d" % number), Fuse(at))

    def recall(self, number: int) -> None:
        """A snapshot that was removed is wanted again, if that can be."""
        with contextlib.suppress(NothingStored):
            self.world.retain(recall=[number])

    def weeks(self, _what: str, last: int) -> None:
        """Retention runs and time goes by."""
        for _ in range(3):
            self.run("retain", last)
            self.world.pass_days(8)

    def check(self) -> None:
        """Everything that is listed is as it was."""
        if not any("/records/snapshot-" in name for name in self.world.blobs.blobs):
            return
        show = Silent()
        catalog, partition = self.world.opened(show=show)
        snapshots = catalog.snapshots()
        for snapshot in snapshots:
            self._held.setdefault(snapshot.number, dict(self._tree))
        if self._held:
            assert snapshots[-1].number == max(self._held)
        KnownChunks(partition, catalog)
        there = {name.rpartition("/")[2] for name in self.world.blobs.blobs if "/packs/" in name}
        stored = {each for pack, record in catalog.packs() if pack in there for each in record.chunk_ids()}
        for snapshot in snapshots:
            found = {}
            for entry in catalog.entries(snapshot, whole=True):
                if entry.chunks:
                    assert stored.issuperset(entry.chunk_ids())
                    found[entry.path.decode()] = entry.chunks
            expected = self._held[snapshot.number]
            assert found.keys() == expected.keys()
            assert all(self._chunks.setdefault(found[path], content) == content for path, content in expected.items())
        assert show.damaged == []


LAST = st.integers(1, 3)
RUNS = st.sampled_from(["backup", "retain"])
STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(FILES), st.integers(-1, len(CONTENTS) - 1)),
    st.tuples(st.just("run"), RUNS, LAST),
    st.tuples(st.just("recall"), st.integers(1, 6)),
    st.tuples(st.just("change_password"), st.integers(1, 3), st.integers(1, 20)),
    st.tuples(st.just("days"), st.sampled_from([1, 8, 40])),
    st.tuples(
        st.just("strike"), RUNS, LAST, st.integers(1, 40), st.sampled_from(["kill", "backup", "retain", "weeks"])
    ),
)


@pytest.mark.parametrize("rewrite", [None, Rewrite(50.0, 100.0, {})], ids=["as it is", "rewriting"])
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=8, max_size=25))
def test_histories(rewrite: Rewrite | None, steps: list[tuple[str, ...]]) -> None:
    """Whatever happens, what is listed is whole."""
    root = Path(tempfile.mkdtemp())
    try:
        life = Life(root / "source", rewrite)
        life.write("a", 0)
        life.run("backup", 1)
        life.check()
        for name, *values in steps:
            if name == "days":
                life.world.pass_days(int(values[0]))
            else:
                getattr(life, name)(*values)
            life.check()
    finally:
        shutil.rmtree(root)
