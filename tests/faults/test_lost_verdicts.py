"""Records of retention that lost their row, their copy or both: verify names each, repair mends what is left of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from azbackup.commands.maintenance.findings import What
from azbackup.commands.maintenance.keeping import Rules
from azbackup.format.labels import RETIRED_PREFIX, retired_name
from azbackup.format.verdicts import Settlement
from azbackup.records.settlements import Settled
from tests.faults.test_retention import LAST, assert_whole, names
from tests.faults.test_retention_hostile import assert_beside, days, plant
from tests.faults.test_verify import kinds, repair, verify
from tests.faults.world import Fuse, Killed, World, keep, make_small

RETIRING, RECALLING, LOOKING = 1, 2, 3
HIDDEN = {RETIRING: [1, 2, 3], RECALLING: [2, 3], LOOKING: [2, 3]}  # what is listed without the row


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make packs and records small."""
    make_small(monkeypatch, pack_bytes=60_000)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give three snapshots, of which two were retired and one recalled, and a record that says nothing but that."""
    source = tmp_path / "source"
    source.mkdir()
    world = World(source)
    for number in (1, 2, 3):
        (source / "changes").write_bytes(os.urandom(50_000))
        world.backup()
        keep(source, f"then{number}")
        world.pass_days(60)
    world.retain(rules=LAST)
    world.pass_days(1)
    world.retain(recall=[2])
    world.pass_days(1)
    world.retain(rules=Rules(last=9))
    world.pass_days(1)
    assert world.numbers() == [2, 3]
    assert names(world, RETIRED_PREFIX) == [retired_name(number) for number in (RETIRING, RECALLING, LOOKING)]
    assert kinds(verify(world)) == {}
    return world


def lose(world: World, number: int, *, row: bool, copy: bool) -> None:
    """Remove a retired record."""
    if row:
        del world.table.rows["user1", retired_name(number)]
    if copy:
        del world.blobs.blobs[f"user1/records/{retired_name(number)}"]


@pytest.mark.parametrize("number", [RETIRING, RECALLING, LOOKING])
def test_a_row_that_is_lost(world: World, number: int) -> None:
    """It is damage that a repair mends; a record that a later one repeats hides nothing meanwhile, and is a note."""
    lose(world, number, row=True, copy=False)
    found = verify(world)
    if number == RETIRING:  # as if its deletion had been broken off
        assert kinds(found) == {What.UNFINISHED: 1}
        assert world.numbers() == [2, 3]
        days(world, 1)
    else:
        assert found.findings.subjects(What.ROW_MISSING) == [retired_name(number)]
        assert world.numbers() == [2, 3]
        assert repair(world) == []
    world.pass_days(1)
    assert kinds(verify(world)) == {}
    assert world.numbers() == [2, 3] if number != RETIRING else [3]


@pytest.mark.parametrize("number", [RETIRING, RECALLING])
def test_the_newest_row_is_lost(world: World, number: int) -> None:
    """Nothing repeats it: what it retired is listed, what it recalled is not, until a repair puts it back."""
    for later in range(number + 1, LOOKING + 1):
        lose(world, later, row=True, copy=True)
    before = world.numbers()
    lose(world, number, row=True, copy=False)
    assert world.numbers() != before
    assert verify(world).findings.subjects(What.ROW_MISSING) == [retired_name(number)]
    assert repair(world) == []
    assert world.numbers() == before
    world.pass_days(1)
    assert kinds(verify(world)) == {}


@pytest.mark.parametrize("number", [RETIRING, RECALLING, LOOKING])
def test_a_copy_that_is_lost(world: World, number: int) -> None:
    """It is written anew from the row."""
    lose(world, number, row=False, copy=True)
    assert verify(world).findings.subjects(What.COPY_MISSING) == [retired_name(number)]
    assert repair(world) == []
    assert kinds(verify(world)) == {}


def test_both_are_lost(world: World) -> None:
    """A record that a later one has seen is missed, by its name, and can be settled; the later one repeats it."""
    lose(world, RECALLING, row=True, copy=True)
    found = verify(world)
    assert found.findings.subjects(What.SNAPSHOT) == [retired_name(RECALLING)]
    assert world.numbers() == [2, 3]
    settled = Settled([Settlement(1, "h", [retired_name(RECALLING)])])
    assert verify(world, settled).findings.damages == 0
    days(world)
    assert_whole(world, 3)
    lose(world, world.opened()[0].retired.last, row=True, copy=True)
    assert What.SNAPSHOT not in kinds(verify(world))  # of the newest nobody knows


def test_all_rows_are_lost(world: World) -> None:
    """All of them come back, and say together what they said."""
    for number in (RETIRING, RECALLING, LOOKING):
        lose(world, number, row=True, copy=False)
    assert world.numbers() == [1, 2, 3]
    assert kinds(verify(world))[What.ROW_MISSING] == 3
    assert repair(world) == []
    assert world.numbers() == [2, 3]


def test_what_somebody_put_there_is_none(world: World) -> None:
    """A copy that is no retired record is worth a line; and so is one that was deleted and comes back."""
    name = retired_name(RETIRING)
    row, copy = world.table.rows["user1", name], world.blobs.blobs[f"user1/records/{name}"]
    days(world, 4)
    assert name not in names(world, RETIRED_PREFIX)
    plant(world, "retired-00000077", b"garbage")
    world.blobs.blobs[f"user1/records/{name}"] = copy
    found = verify(world)
    assert sorted(found.findings.subjects(What.UNFINISHED)) == [name, "retired-00000077"]
    assert found.findings.damages == 0
    world.table.rows["user1", name] = row
    assert world.numbers() == [3]


def test_a_record_that_comes_back_takes_nothing_away(world: World) -> None:
    """Who can create puts back a record whose recall was deleted with it: the snapshot stays."""
    name = retired_name(RETIRING)
    row, copy = world.table.rows["user1", name], world.blobs.blobs[f"user1/records/{name}"]
    for _ in range(4):
        world.pass_days(8)
        world.retain(rules=Rules(last=9), early=True)
    there = names(world, RETIRED_PREFIX)
    assert not {name, retired_name(RECALLING)} & {*there}
    world.table.rows["user1", name], world.blobs.blobs[f"user1/records/{name}"] = row, copy
    assert world.numbers() == [2, 3]
    for _ in range(4):
        world.pass_days(8)
        world.retain(rules=Rules(last=9), early=True)
    assert_whole(world, 2, 3)


@pytest.fixture
def condemned(world: World, tmp_path: Path) -> World:
    """Give one in which a pack is due, whose record lost its row, and a source that has the pack's contents again."""
    world.pass_days(8)
    lose(world, RETIRING, row=True, copy=False)
    (world.source / "again").write_bytes((tmp_path / "then1" / "changes").read_bytes())
    return world


def test_a_repair_beside_a_backup(condemned: World) -> None:
    """A backup that began without the row counts on what it condemned: after the repair its days begin anew."""
    for later in (RECALLING, LOOKING):
        lose(condemned, later, row=True, copy=False)
    mend: list[Callable[[World], object]] = [repair]
    assert_beside(condemned, lambda beside: mend[0](beside) and None)


def test_a_run_that_is_killed_when_it_put_the_row_back(condemned: World) -> None:
    """The next one does not take the record for one that was known all the time."""
    calls = Fuse()
    condemned.clone().retain(calls, rules=LAST)

    def killed(beside: World, at: int) -> None:
        with pytest.raises(Killed):
            beside.retain(Fuse(at), rules=LAST)

    counted = Fuse()
    condemned.clone().backup(counted)
    for at in range(2, calls.seen + 1):
        beside = condemned.clone()

        def strike(beside: World = beside, at: int = at) -> None:
            killed(beside, at)
            beside.retain(rules=LAST, early=True)

        beside.backup(Fuse(counted.seen - 2, strike=strike))
        assert_whole(beside, *beside.numbers())
