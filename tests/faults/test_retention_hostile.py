"""Retention where somebody planted, replayed or lost something: it deletes nothing that is needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from azbackup.commands.maintenance.keeping import Rules
from azbackup.errors import Damaged
from azbackup.format.checksum import md5_of
from azbackup.format.framing import frame
from azbackup.format.labels import PACK_PREFIX, RETIRED_PREFIX
from azbackup.format.model import PackId, SealedRecord
from tests.faults.test_retention import LAST, assert_whole, names, packs
from tests.faults.world import Fuse, World, assert_restores, keep, keep_layers, make_small


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make packs and records small."""
    make_small(monkeypatch, pack_bytes=60_000)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give two snapshots of a file that changes, 60 days apart, and one that stays."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "stays").write_bytes(os.urandom(50_000))
    world = World(source)
    for number in (1, 2):
        (source / "changes").write_bytes(os.urandom(50_000))
        world.backup()
        keep(source, f"then{number}")
        world.pass_days(60)
    return world


def plant(world: World, name: str, data: bytes) -> None:
    """Create a blob, as whoever may create could."""
    world.blobs.put_new(f"user1/records/{name}", data, "hot", md5_of(data))


def days(world: World, runs: int = 3) -> None:
    """Let retention run on, 8 days apart."""
    for _ in range(runs):
        world.pass_days(8)
        world.retain(rules=LAST)


def test_planted_copies_do_not_replace_those_that_open(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a run's copies lies one with the same names and garbage: what is kept of them is what opens."""
    keep_layers(monkeypatch, 0)  # the next one stands alone
    (world.source / "changes").write_bytes(os.urandom(50_000))
    world.backup()
    now = keep(world.source, "now")
    world.retain(rules=LAST)
    first = min(name.rpartition("/")[2] for name in world.blobs.blobs if "/records/2" in name)
    garbage = frame([SealedRecord(name, bytes(100)) for name in names(world, PACK_PREFIX)])
    plant(world, first[:-4] + "0099", garbage)
    days(world)
    assert first not in {name.rpartition("/")[2] for name in world.blobs.blobs}
    world.table.rows.clear()
    assert world.backup()[1] == []
    assert_whole(world, 3, 4)
    assert_restores(world, now, tmp_path / "out", 3)


def counted_on(world: World, tmp_path: Path) -> PackId:
    """Have a backup count on a pack that retention condemns beside it; that pack."""
    (world.source / "again").write_bytes((tmp_path / "then1" / "changes").read_bytes())
    calls = Fuse()
    world.clone().backup(calls)
    before = packs(world)
    for at in range(calls.seen, 0, -1):
        beside = world.clone()
        beside.backup(Fuse(at, strike=lambda beside=beside: beside.retain(rules=LAST)))  # type: ignore[misc]
        if beside.opened()[0].retired.condemned and packs(beside) == before:
            world.blobs, world.table = beside.blobs, beside.table
            (pack,) = world.opened()[0].retired.condemned
            return pack
    raise AssertionError("no call of a backup comes before its commit")


def test_a_condemned_pack_whose_row_is_lost(world: World, tmp_path: Path) -> None:
    """A backup counted on it, and the table lost its row: it may be needed, and stays."""
    pack = counted_on(world, tmp_path)
    del world.table.rows["user1", PACK_PREFIX + pack]
    for _ in range(2):
        world.pass_days(8)
        assert world.retain(rules=LAST).deleted == []
    assert pack in packs(world)
    outcome = world.restore(tmp_path / "out")
    assert outcome.problems == 0


def assert_beside(world: World, back: Callable[[World], None]) -> None:
    """At each call of a backup a record comes back that it did not know, and retention runs: all is whole."""
    calls = Fuse()
    world.clone().backup(calls)

    def strike(beside: World) -> None:
        back(beside)
        for _ in range(2):
            beside.retain(rules=LAST, early=True)

    for at in range(1, calls.seen + 1):
        beside = world.clone()
        beside.backup(Fuse(at, strike=lambda beside=beside: strike(beside)))  # type: ignore[misc]
        assert_whole(beside, *beside.numbers())


def test_a_retired_record_whose_row_was_lost(world: World, tmp_path: Path) -> None:
    """A backup that began meanwhile counts on what it condemned: the grace period begins anew."""
    world.retain(rules=LAST)
    world.pass_days(1)
    world.retain(rules=LAST)
    world.pass_days(8)
    del world.table.rows["user1", names(world, RETIRED_PREFIX)[0]]
    (world.source / "again").write_bytes((tmp_path / "then1" / "changes").read_bytes())
    assert_beside(world, lambda _: None)


def test_a_retired_record_that_is_replayed(world: World, tmp_path: Path) -> None:
    """Somebody kept one that was deleted, and puts it back: what it condemned was spared by one that is gone, too."""
    counted_on(world, tmp_path)
    world.pass_days(1)
    (name,) = names(world, RETIRED_PREFIX)
    row, copy = world.table.rows["user1", name], world.blobs.blobs[f"user1/records/{name}"]
    days(world)
    assert not world.opened()[0].retired.condemned
    again = (world.source / "again").read_bytes()
    (world.source / "again").unlink()
    world.backup()
    (world.source / "again").write_bytes(again)

    def back(beside: World) -> None:
        beside.table.rows["user1", name] = row
        beside.blobs.blobs[f"user1/records/{name}"] = copy

    assert_beside(world, back)


def test_a_copy_that_does_not_open_beyond_the_last_row(world: World) -> None:
    """It may have been the newest snapshot, whose row is lost: nothing is removed. Garbage far beyond is none."""
    name = "snapshot-00000002"
    del world.table.rows["user1", name]
    copy = world.blobs.blobs[f"user1/records/{name}"]
    copy.data = copy.data[:-1] + bytes([copy.data[-1] ^ 1])
    with pytest.raises(Damaged, match=r"nothing was removed, .* snapshot-00000002: its copy does not open"):
        world.retain(rules=Rules(), forget=[1])


def test_garbage_far_beyond_is_no_snapshot(world: World) -> None:
    """Whoever can create blobs cannot stop retention with one."""
    plant(world, "snapshot-00000077", b"garbage")
    assert len(world.retain(rules=LAST).retired) == 1


def test_a_lost_row_below_a_retired_number(world: World) -> None:
    """The newest snapshot was removed by number, and the row of the one before is lost: it is read from its copy."""
    world.retain(forget=[2])
    del world.table.rows["user1", "snapshot-00000001"], world.table.rows["user1", "snapshot-00000002"]
    assert world.numbers() == [1]
    with pytest.raises(Damaged, match="nothing was removed"):
        world.retain(rules=LAST, early=True)
