"""A chunk that is in two packs: which one a restore reads, and which one retention frees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from azbackup.commands.maintenance.keeping import Rules
from azbackup.format.labels import pack_blob
from tests.faults.world import PARTITION, World, assert_restores, keep, make_small

LAST = Rules(last=1)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a partition whose first pack has four chunks, one of which the newest snapshot needs, and a second has too.

    Snapshot 1 has the four; the run of snapshot 2 did not know of the pack, as one of two at once, and stored it anew.
    """
    make_small(monkeypatch, pack_bytes=500_000)
    source = tmp_path / "source"
    source.mkdir()
    for name in "abcd":
        (source / name).write_bytes(os.urandom(50_000))
    found = World(source)
    found.backup()
    keep(source, "then")
    for name in "bcd":
        (source / name).unlink()
    hidden = {row: found.table.rows.pop(row) for row in list(found.table.rows) if row[1].startswith("pack-")}
    away = {name: found.blobs.blobs.pop(name) for name in list(found.blobs.blobs) if "/packs/" in name}
    found.backup()
    found.table.rows.update(hidden)
    found.blobs.blobs.update(away)
    return found


def packs(world: World) -> list[str]:
    """Return the ids of the packs that are there, the oldest first."""
    return sorted(name.rpartition("/")[2] for name in world.blobs.blobs if "/packs/" in name)


def read(world: World, destination: Path, number: int = 0) -> set[str]:
    """Restore, and return the packs that were read."""
    found: set[str] = set()
    get_range = world.blobs.get_range

    def noting(name: str, offset: int, size: int) -> bytes:
        found.add(name.rpartition("/")[2])
        return get_range(name, offset, size)

    world.blobs.get_range = noting  # type: ignore[method-assign]
    assert_restores(world, destination.parent / "then" if number == 1 else world.source, destination, number)
    del world.blobs.get_range
    return found


def test_the_fullest_pack_is_read(world: World, tmp_path: Path) -> None:
    """The newest snapshot is read from the pack that holds nothing else, the oldest from the one that holds all."""
    old, new = packs(world)
    assert read(world, tmp_path / "out") == {new}
    assert read(world, tmp_path / "out", 1) == {old}


def test_retention_frees_the_emptiest(world: World, tmp_path: Path) -> None:
    """Once the old snapshot is gone the pack goes that was a quarter needed, and not the full one."""
    old, new = packs(world)
    world.pass_days(60)
    assert [state.pack_id for state in world.retain(rules=LAST).condemned] == [old]
    assert read(world, tmp_path / "out") == {new}
    for _ in range(2):
        world.pass_days(8)
        world.retain(rules=LAST)
    assert packs(world) == [new]
    assert read(world, tmp_path / "out") == {new}


def test_a_pack_that_is_online_comes_before_a_fuller_one_that_is_archived(world: World, tmp_path: Path) -> None:
    """Nothing is thawed for what can be read; nor for what somebody asked to be thawed already."""
    old, new = packs(world)
    world.blobs.blobs[pack_blob(PARTITION, new)].tier = "archive"
    assert read(world, tmp_path / "out") == {old}
    world.blobs.blobs[pack_blob(PARTITION, old)].tier = "archive"
    world.staging.thaw(pack_blob(PARTITION, old), "standard")
    asked: list[str] = []

    def thaw(name: str, priority: str) -> bool:
        asked.append(name)
        return not priority

    world.staging.thaw = thaw  # type: ignore[method-assign]
    result = world.restore(tmp_path / "out")
    assert (result.damage, asked) == ([], [])
    world.staging.blobs.clear()
    world.restore(tmp_path / "out2")
    assert asked == [pack_blob(PARTITION, new)]
