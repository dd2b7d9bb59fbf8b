"""Absent is not "never stored": a run whose packs are gone, cut or replaced knows it, even if nothing changed.

What the machine still has is stored again, without a change to any file; what is stored again is damage no more.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.trees import differences
from tests.faults.world import PARTITION, World, assert_restores, make_small, make_source

PACKS = f"{PARTITION}/packs/"


def remove_all(world: World) -> None:
    """Remove every pack, as a rule or a hand would."""
    for name in [name for name in world.blobs.blobs if name.startswith(PACKS)]:
        del world.blobs.blobs[name]


def empty(world: World) -> None:
    """Remove every blob: packs, and all copies of records and key."""
    world.blobs.blobs.clear()


def remove_one(world: World) -> None:
    """Remove one pack."""
    del world.blobs.blobs[min(name for name in world.blobs.blobs if name.startswith(PACKS))]


def remove_one_and_its_records(world: World) -> None:
    """Remove a pack, its row and the copies of it: nothing tells any more that it was there."""
    name = min(name for name in world.blobs.blobs if name.startswith(PACKS))
    del world.blobs.blobs[name]
    del world.table.rows[PARTITION, "pack-" + name.removeprefix(PACKS)]


def cut(world: World) -> None:
    """Cut a pack short."""
    name = min(name for name in world.blobs.blobs if name.startswith(PACKS))
    blob = world.blobs.blobs[name]
    world.blobs.blobs[name] = replace(blob, data=blob.data[:-1])


def exchange(world: World) -> None:
    """Put other bytes of the same size into a pack's place."""
    name = min(name for name in world.blobs.blobs if name.startswith(PACKS))
    blob = world.blobs.blobs[name]
    world.blobs.blobs[name] = replace(blob, data=bytes(len(blob.data)), md5=bytes(16))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a source that was backed up, and has not changed since."""
    make_small(monkeypatch)
    source = tmp_path / "source"
    source.mkdir()
    make_source(source)
    found = World(source)
    found.backup()
    return found


@pytest.mark.parametrize("damage", [remove_all, empty, remove_one, cut, exchange], ids=lambda each: each.__name__)
def test_an_unchanged_run_knows_what_is_lost(world: World, damage: Callable[[World], None], tmp_path: Path) -> None:
    """It says so and stores everything again; the next run has nothing to say, and the snapshot restores."""
    damage(world)
    snapshot, told = world.backup()
    assert any("in no other pack" in each for each in told)
    assert snapshot.totals.stored > 0
    assert world.backup()[1] == []
    assert_restores(world, world.source, tmp_path / "restored")


def test_chunks_of_which_nothing_tells_any_more(world: World, tmp_path: Path) -> None:
    """A pack that is gone with all that was known of it: its files are stored again all the same."""
    remove_one_and_its_records(world)
    snapshot, _ = world.backup()
    assert snapshot.totals.stored > 0
    assert_restores(world, world.source, tmp_path / "restored")


def test_what_the_machine_has_no_more_stays_damage(world: World) -> None:
    """Every run says it, since older snapshots need it; nothing is stored twice."""
    os.unlink(world.source / "large")
    world.backup()
    remove_all(world)
    assert world.backup()[0].totals.stored > 0
    snapshot, told = world.backup()
    assert any("in no other pack" in each for each in told)
    assert snapshot.totals.stored == 0


def _lose_rows(world: World) -> list[tuple[str, str]]:
    """Remove the rows of all packs; return them."""
    lost = [row for row in world.table.rows if row[1].startswith("pack-")]
    for row in lost:
        del world.table.rows[row]
    return lost


def test_a_record_that_lost_its_row_is_told_by_its_copy(world: World, tmp_path: Path) -> None:
    """Nothing is read or stored a second time: the packs are there. It is said, and counted to be put back."""
    lost, before = _lose_rows(world), dict(world.blobs.blobs)
    snapshot, told = world.backup()
    assert snapshot.totals.read == snapshot.totals.stored == 0
    assert sorted(told) == [f"row {name} is missing; its copy was used" for _, name in sorted(lost)]
    assert {name for name in world.blobs.blobs.keys() - before.keys() if "/packs/" in name} == set()
    assert_restores_with_damage(world, tmp_path / "restored")


def assert_restores_with_damage(world: World, destination: Path) -> None:
    """Restore all of it; rows that are missing are told."""
    outcome = world.restore(destination)
    assert outcome.problems == 0
    assert differences(world.source, destination) == []


@pytest.mark.parametrize("bad", ["copies gone", "pack gone", "pack cut", "copies of nothing"])
def test_a_copy_alone_is_not_believed(world: World, bad: str, tmp_path: Path) -> None:
    """Where the copies or the packs are gone, too, everything is stored again, by the next run at the latest."""
    _lose_rows(world)
    for name, blob in list(world.blobs.blobs.items()):
        is_copy = "/records/" in name and "/snapshot-" not in name and "/key-" not in name
        if bad == "copies gone" and is_copy:
            del world.blobs.blobs[name]
        elif bad == "copies of nothing" and is_copy:
            world.blobs.blobs[name] = replace(blob, data=b"\xff" * 50, md5=b"")
        elif bad == "pack gone" and "/packs/" in name:
            del world.blobs.blobs[name]
        elif bad == "pack cut" and "/packs/" in name:
            world.blobs.blobs[name] = replace(blob, data=blob.data[:-1])
    snapshot, told = world.backup()
    assert snapshot.totals.stored > 0
    assert not any("its copy was used" in each for each in told)
    assert world.backup()[0].totals.stored == 0
    assert_restores_with_damage(world, tmp_path / "restored")


def test_what_a_killed_run_left_is_no_damage(world: World) -> None:
    """A run that was killed before it wrote rows left a pack and a copy: nobody needs it, nothing is said of it."""
    (world.source / "more").write_bytes(os.urandom(50_000))
    other = world.clone()
    other.backup()
    for name in other.blobs.blobs.keys() - world.blobs.blobs.keys():
        if "/snapshot-" not in name:
            world.blobs.blobs[name] = other.blobs.blobs[name]
    os.unlink(world.source / "more")
    remove_one(world)
    _, told = world.backup()
    assert not any("its copy was used" in each for each in told)
