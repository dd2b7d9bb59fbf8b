"""What the newest snapshot needs of packs that are hardly needed, or small, is stored anew from the files."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from azbackup.commands.backup import rewriting as wishes
from azbackup.commands.backup.rewriting import Rewrite
from azbackup.commands.maintenance.keeping import Rules
from azbackup.packs import rewriting
from tests.faults.world import Fuse, Killed, World, assert_restores, keep, make_small
from tests.listener import Silent

LAST = Rules(last=1)
PACK = 200_000
UNIT = 20_000
MIB = 1 << 20
WISH = Rewrite(25.0, 100.0, {"hot": 0, "archive": 180})


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make packs small: ten files fill one; merging begins at three."""
    make_small(monkeypatch, pack_bytes=PACK)
    monkeypatch.setattr(wishes, "LEAST_BUDGET", 0)
    monkeypatch.setattr(rewriting, "SMALL_BYTES", PACK // 4)
    monkeypatch.setattr(rewriting, "SMALL_PACKS", 3)


def fill(root: Path, names: str) -> None:
    """Write a file of a unit for each letter."""
    root.mkdir(exist_ok=True)
    for name in names:
        (root / name).write_bytes(os.urandom(UNIT))


def packs(world: World) -> set[str]:
    """Return the ids of the packs that are there."""
    return {name.rpartition("/")[2] for name in world.blobs.blobs if "/packs/" in name}


def copies(world: World) -> Counter[bytes]:
    """Return how often each chunk is stored."""
    return Counter(bytes(each) for its in world.packs().values() for each in its)


def read(world: World, tree: Path, destination: Path, number: int = 0) -> int:
    """Restore exactly, and return how many packs were read."""
    found: set[str] = set()
    get_range = world.blobs.get_range

    def noting(name: str, offset: int, size: int) -> bytes:
        found.add(name)
        return get_range(name, offset, size)

    world.blobs.get_range = noting  # type: ignore[method-assign]
    assert_restores(world, tree, destination, number)
    del world.blobs.get_range
    return len(found)


@pytest.fixture
def sparse(tmp_path: Path) -> World:
    """Give two packs of which the newest snapshot needs a file each, and an older one needs all; 60 days later."""
    world = World(tmp_path / "source")
    fill(world.source, "abcdefghijklm")
    world.backup()
    keep(world.source, "then")
    for name in "bcdefghijkl":
        (world.source / name).unlink()
    world.backup()
    world.pass_days(60)
    world.limits = {"rewrite": WISH}
    return world


def test_what_is_hardly_needed_is_stored_anew_and_freed(sparse: World, tmp_path: Path) -> None:
    """One pack has what two had; each snapshot restores; with the old snapshot both old packs go."""
    before = packs(sparse)
    assert read(sparse, sparse.source, tmp_path / "out") == 2
    snapshot, told = sparse.backup()
    assert told == []
    [new] = packs(sparse) - before
    assert (snapshot.totals.new, snapshot.totals.changed, snapshot.totals.unchanged) == (0, 0, 2)
    assert read(sparse, sparse.source, tmp_path / "out") == 1
    assert read(sparse, tmp_path / "then", tmp_path / "out", 1) == 2
    for _ in range(3):
        sparse.retain(rules=LAST)
        sparse.pass_days(8)
    assert packs(sparse) == {new}
    assert read(sparse, sparse.source, tmp_path / "out") == 1


def test_nothing_is_rewritten_twice(sparse: World) -> None:
    """The next runs read and store nothing, whether or not retention has freed what was rewritten."""
    sparse.backup()
    for _ in range(3):
        there = packs(sparse)
        snapshot, _ = sparse.backup()
        assert (snapshot.totals.read, snapshot.totals.stored, packs(sparse) - there) == (0, 0, set())
        sparse.retain(rules=LAST)
        sparse.pass_days(8)


@pytest.mark.parametrize("wish", [None, WISH._replace(below=5.0), WISH._replace(budget=40.0)])
def test_not_asked_for_not_below_or_not_within_the_budget(sparse: World, wish: Rewrite | None) -> None:
    """Nothing is read; a file that is larger than the budget stays where it is."""
    sparse.limits = {"rewrite": wish}
    assert sparse.backup()[0].totals.read == 0


def test_young_packs_are_not_rewritten(sparse: World) -> None:
    """What would be paid for still is not doubled: 173 days in the archive tier, 30 in hot."""
    for blob in sparse.blobs.blobs.values():
        blob.tier = "archive"
    assert sparse.backup()[0].totals.read == 0
    sparse.pass_days(114)
    assert sparse.backup()[0].totals.read == 2 * UNIT


def test_a_budget_is_held_and_the_next_run_goes_on(sparse: World, tmp_path: Path) -> None:
    """Of two files one is read in each run; then there is nothing more to do."""
    sparse.limits = {"rewrite": WISH._replace(budget=60.0)}
    assert [sparse.backup()[0].totals.read for _ in range(3)] == [UNIT, UNIT, 0]
    assert max(copies(sparse).values()) == 2
    assert read(sparse, sparse.source, tmp_path / "out") == 2


def test_a_pack_is_rewritten_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where the budget does not last for all of them, the emptiest goes first."""
    world = World(tmp_path / "source")
    world.source.mkdir()
    for sizes in ({"a": 15_000, "fill1": 80_000}, {"b": 5_000, "c": 5_000, "fill2": 85_000}):
        for name, size in sizes.items():
            (world.source / name).write_bytes(os.urandom(size))
        world.backup()
    (world.source / "fill1").unlink()
    (world.source / "fill2").unlink()
    world.backup()
    world.pass_days(60)
    world.limits = {"rewrite": WISH._replace(budget=60.0)}
    assert [world.backup()[0].totals.read for _ in range(3)] == [10_000, 15_000, 0]
    assert read(world, world.source, tmp_path / "out") == 2


def test_of_a_large_file_only_what_is_due_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is larger than the budget, and its packs have other things that nobody needs.

    Wherever it is cut: its first chunk, of at most 8 MiB, is in the pack that removed files fill by more than half.
    """
    monkeypatch.setattr("azbackup.packs.packer.PACK_BYTES", 40 * MIB)  # half of it, of the first pack
    monkeypatch.setattr(rewriting, "SMALL_BYTES", 1)
    world = World(tmp_path / "source")
    world.source.mkdir()
    removed = [world.source / name for name in "abcdefghijk"]
    for file in removed:
        file.write_bytes(os.urandom(MIB))
    (world.source / "large").write_bytes(os.urandom(60 * MIB))
    world.backup()
    for file in removed:
        file.unlink()
    world.backup()
    world.pass_days(60)
    before, there = copies(world), packs(world)
    world.limits = {"rewrite": WISH._replace(below=50.0, budget=25.0)}
    snapshot, told = world.backup()
    again = sum(count - 1 for count in copies(world).values())
    assert told == []
    assert 0 < snapshot.totals.read <= 9 * MIB
    assert 0 < again < len(before) // 3
    assert packs(world) > there
    assert world.backup()[0].totals.read == 0
    for _ in range(3):
        world.retain(rules=LAST)
        world.pass_days(8)
    assert not there <= packs(world)
    assert_restores(world, world.source, tmp_path / "out")


@pytest.mark.parametrize("length", [UNIT, 100, 2 * UNIT])
def test_a_file_that_is_not_what_it_seems(
    sparse: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """What is read is what counts: another file is read whole, and stored as it is."""
    monkeypatch.setattr("azbackup.commands.backup.changes.same_moment", lambda *_: True)
    (sparse.source / "a").write_bytes(os.urandom(length))
    sparse.backup()
    assert_restores(sparse, sparse.source, tmp_path / "out")
    assert sparse.backup()[0].totals.read == 0


def test_nothing_is_rewritten_beside_a_file_that_could_not_be_read(tmp_path: Path) -> None:
    """What keeps its last stored version keeps its pack."""
    world = World(tmp_path / "source")
    (world.source / "d").mkdir(parents=True)
    for name, size in (("a", 4_000), ("d/b", 4_000), ("fill", 70_000)):
        (world.source / name).write_bytes(os.urandom(size))
    world.backup()
    (world.source / "fill").unlink()
    world.backup()
    world.pass_days(60)
    world.limits = {"rewrite": WISH}
    catalog, _ = world.opened()
    [_, parent] = catalog.snapshots()
    parent.unreadable = [b"d"]
    needs = wishes._own(catalog, parent, [])
    entries = {entry.path: entry for entry in catalog.entries(parent)}
    assert set(needs.stuck) == set(entries[b"d/b"].chunk_ids())
    assert set(needs.own) == {*entries[b"a"].chunk_ids(), *entries[b"d/b"].chunk_ids()}


def test_a_file_whose_contents_differ_is_said(sparse: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It seems unchanged and is not, as on a bad disk: the run says so, and stores it as it is."""
    monkeypatch.setattr("azbackup.commands.backup.changes.same_moment", lambda now, old: now.size == old.size)
    with (sparse.source / "a").open("r+b") as file:
        file.write(b"bad disk")
    show = Silent()
    sparse.backup(show=show)
    told = [text for _, text in show.problems] + show.notes
    assert any("contents are not those of the last snapshot" in each for each in told)
    assert_restores(sparse, sparse.source, tmp_path / "out")


def test_small_packs_are_merged(tmp_path: Path) -> None:
    """So many small backups, so few packs: each chunk is stored a few times at most, and nothing for nothing."""
    world = World(tmp_path / "source", limits={"rewrite": WISH})
    plain = World(tmp_path / "source")
    world.source.mkdir()
    for number in range(30):
        (world.source / f"{number:02}").write_bytes(os.urandom(1_000))
        world.backup()
        plain.backup()
    assert read(plain, world.source, tmp_path / "out") == 30
    assert read(world, world.source, tmp_path / "out") <= 8
    assert max(copies(world).values()) <= 4
    there = packs(world)
    world.backup()
    world.backup()
    assert packs(world) == there


def test_what_another_source_needs_is_not_counted_as_waste(sparse: World, tmp_path: Path) -> None:
    """Packs that another source's newest snapshot needs are left alone."""
    sparse.limits = {}
    sparse.backup(source=tmp_path / "then")
    sparse.limits = {"rewrite": WISH}
    assert sparse.backup()[0].totals.read == 0


def test_killed_anywhere(sparse: World, tmp_path: Path) -> None:
    """Before and after each call: both snapshots restore, the next run goes on, and no chunk is stored three times."""
    change_source_of(sparse)
    fuse = Fuse()
    sparse.clone().backup(fuse)
    for at in range(1, fuse.seen + 1):
        for late in (False, True):
            world = sparse.clone(tmp_path / "journal")
            world.journal = tmp_path / "journal"
            world.journal.unlink(missing_ok=True)
            world.limits = {"rewrite": WISH}
            with pytest.raises(Killed):
                world.backup(Fuse(at, late))
            assert_restores(world, tmp_path / "then", tmp_path / "out", 1)
            snapshot, _ = world.backup()
            assert snapshot.number in (3, 4)
            assert read(world, world.source, tmp_path / "out") <= 2
            for _ in range(3):
                world.retain(rules=LAST)
                world.pass_days(8)
            assert_restores(world, world.source, tmp_path / "out")


def change_source_of(world: World) -> None:
    """Something new, too."""
    fill(world.source, "z")


@pytest.mark.parametrize("other", ["backup", "retain", "weeks"])
def test_another_run_at_each_call(sparse: World, tmp_path: Path, other: str) -> None:
    """Another backup of the same, retention, or weeks of it, at each call: what is kept restores."""
    change_source_of(sparse)
    fuse = Fuse()
    sparse.clone().backup(fuse)

    def clone() -> World:
        world = sparse.clone()
        world.limits = {"rewrite": WISH}
        return world

    for at in range(1, fuse.seen + 1):
        world = clone()

        def strike(world: World = world) -> None:
            if other == "backup":
                world.backup()
                return
            for _ in range(3 if other == "weeks" else 1):
                world.retain(rules=LAST)
                world.blobs.now += 8 * 86_400 if other == "weeks" else 0

        world.backup(Fuse(at, strike=strike))
        for number in world.numbers():
            tree = tmp_path / "then" if number == 1 else world.source
            if number != 2:
                assert_restores(world, tree, tmp_path / "out", number)
        world.retain(rules=LAST)
        assert_restores(world, world.source, tmp_path / "out")


def test_nothing_new_and_no_snapshot_is_wanted(sparse: World, tmp_path: Path) -> None:
    """With --skip-if-unchanged what was rewritten is recorded, and there is no snapshot for it."""
    sparse.pass_days(-59)
    for blob in sparse.blobs.blobs.values():
        blob.created -= 60 * 86_400
    sparse.limits = {"rewrite": WISH, "skips": True}
    assert sparse.backup()[0].number == 2
    assert max(copies(sparse).values()) == 2
    assert sparse.backup()[0].totals.read == 0
    assert read(sparse, sparse.source, tmp_path / "out") == 1
