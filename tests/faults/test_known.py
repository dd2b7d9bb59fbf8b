"""Backups of a large partition that go by the pack records which their machine keeps: what they must never count on.

A partition counts as large here from its first snapshot on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from azbackup.commands.maintenance.findings import What
from azbackup.commands.maintenance.keeping import Rules
from azbackup.format.retirement import Retirement, encode_retirement
from tests.contract.memory import MemoryRows
from tests.faults.test_verify import kinds, verify
from tests.faults.world import PARTITION, Fuse, Killed, World, assert_restores

DAYS = 16  # more than from a snapshot's removal to that of the records which tell of it


@pytest.fixture(autouse=True, scope="module")
def large(small: None) -> Iterator[None]:  # noqa: ARG001  it must come first
    """Have every partition count as large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("azbackup.records.heads.LARGE", 0)
        patch.setattr("azbackup.records.catalog.LARGE", 0)
        patch.setattr("azbackup.records.catalog._FEW", 1)
        patch.setattr("azbackup.packs.known._MARGIN_SECONDS", 10**10)  # packs here are named after another year
        yield


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a directory with one file that stays."""
    found = tmp_path / "source"
    found.mkdir()
    (found / "stays").write_bytes(os.urandom(50_000))
    return found


@pytest.fixture
def world(source: Path, tmp_path: Path) -> World:
    """Give a world whose machine has made three backups, the last two from a head."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    found = World(source, machine=tmp_path / "one")
    for _ in range(3):
        found.backup()
    return found


def listings(world: World, action: Callable[[], object]) -> int:
    """How often packs were listed, or names or contents of their rows asked for, meanwhile."""
    asked: list[str] = []
    listed, in_range = world.blobs.listed, MemoryRows.range
    with pytest.MonkeyPatch.context() as patch:

        def counted(self: MemoryRows, first: str, last: str, wanted: object = None) -> object:
            asked.append(first)
            return in_range(self, first, last, wanted)  # type: ignore[arg-type]

        patch.setattr(MemoryRows, "range", counted)
        patch.setattr(world.blobs, "listed", lambda prefix: asked.append(prefix) or listed(prefix))
        action()
    return sum(each.startswith(("pack-", f"{PARTITION}/packs/")) for each in asked)


def test_an_unchanged_run_asks_for_no_pack(world: World) -> None:
    """For six days; then, and where its cache or its note is lost or bad, it looks at all of them."""
    for _ in range(6):
        world.pass_days(1)
        assert listings(world, world.backup) == 0
    world.pass_days(1)
    assert listings(world, world.backup) >= 2
    assert listings(world, world.backup) == 0
    assert world.machine is not None
    [note] = world.machine.glob("*.looked")
    for bad in (b"", note.read_bytes().replace(b" ", b"0 ", 1)):
        note.write_bytes(bad)
        assert listings(world, world.backup) >= 2
    (world.machine / "records").unlink()
    assert listings(world, world.backup) >= 2
    assert listings(world, world.backup) == 0
    world.now_ns -= 30 * 86_400 * 10**9  # a clock that was wrong
    assert listings(world, world.backup) >= 2


def test_what_another_machine_stored_is_not_stored_again(world: World, source: Path, tmp_path: Path) -> None:
    """A file comes that another one had: names are asked for, and its pack's row; no pack is listed."""
    first, world.machine = world.machine, tmp_path / "two"
    (source / "comes").write_bytes(os.urandom(50_000))
    assert world.backup()[0].totals.packs == 1
    (source / "again").write_bytes((source / "comes").read_bytes())
    (source / "comes").unlink()
    world.machine = first
    found: list[int] = []
    assert listings(world, lambda: found.append(world.backup()[0].totals.packs)) == 2
    assert found == [0]
    assert_restores(world, source, tmp_path / "restored")


def test_a_pack_that_is_gone_is_noticed_within_a_week(world: World, source: Path, tmp_path: Path) -> None:
    """Told on the day of the look, and on each after it until that is mended; what is still there is stored anew."""
    for name in [name for name in world.blobs.blobs if "/packs/" in name]:
        del world.blobs.blobs[name]
    told = []
    for _ in range(9):
        told.append(world.backup()[1])
        world.pass_days(1)
    assert [bool(each) for each in told] == [False] * 7 + [True] + [False]
    assert What.CHUNKS not in kinds(verify(world))
    assert_restores(world, source, tmp_path / "restored")


@pytest.mark.parametrize("days", [1, 8])
def test_contents_of_a_pack_that_is_gone_come_back(world: World, source: Path, tmp_path: Path, days: int) -> None:
    """No file had them when that was noticed; the next run does not count on that pack although it has its record."""
    contents = os.urandom(50_000)
    (source / "goes").write_bytes(contents)
    before = set(world.blobs.blobs)
    world.backup()
    [lost] = [name for name in set(world.blobs.blobs) - before if "/packs/" in name]
    (source / "goes").unlink()
    world.backup()
    del world.blobs.blobs[lost]
    world.pass_days(days)
    if days < 7:
        assert world.machine is not None
        (world.machine / "records").unlink()  # so that it looks at all packs before the week is over
    assert world.backup()[1] != []
    (source / "goes").write_bytes(contents)
    assert world.backup()[0].totals.packs == 1
    assert_restores(world, source, tmp_path / "restored")


@pytest.mark.parametrize(("begins", "away"), [(0, 0), (0, 5), (4, 5), (0, 12)])
def test_a_pack_that_retention_deleted_is_never_counted_on(
    world: World, source: Path, tmp_path: Path, begins: int, away: int
) -> None:
    """Whenever this machine sleeps, and whenever its contents come back: what was kept of that pack is of no use."""
    contents = os.urandom(50_000)
    (source / "goes").write_bytes(contents)
    number = world.backup()[0].number
    (source / "goes").unlink()
    world.backup()
    packs = len([name for name in world.blobs.blobs if "/packs/" in name])
    deleted = 0
    for day in range(DAYS):
        world.retain(rules=Rules(last=1), early=True)
        if not begins <= day < begins + away:
            world.backup()
        world.pass_days(1)
        deleted += packs > len([name for name in world.blobs.blobs if "/packs/" in name])
        again = world.clone()
        assert world.machine is not None
        again.machine = Path(shutil.copytree(world.machine, tmp_path / f"day {day}"))
        (source / "goes").write_bytes(contents)
        assert again.backup()[0].totals.packs == 1, day  # also while it is only condemned
        assert_restores(again, source, tmp_path / "restored")
        (source / "goes").unlink()
    assert number not in world.numbers()
    assert deleted > 2


def test_a_retired_record_that_came_and_went_unseen(world: World) -> None:
    """What it condemned is not known: all packs are looked at. So they are where retired records were taken back."""
    world.backup()
    records = world.opened()[0].records
    for number in (3, 4):
        for name in [name for name in world.table.rows if name[1].startswith("retired-")]:
            del world.table.rows[name]
        row = records.seal(f"retired-{number:08d}", encode_retirement(Retirement(seen=[1])))
        MemoryRows(world.table, PARTITION).insert([row])
        assert listings(world, world.backup) == (2 if number == 3 else 0)
    world.table.rows = {name: row for name, row in world.table.rows.items() if not name[1].startswith("retired-")}
    assert listings(world, world.backup) >= 2


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_killed_anywhere(world: World, source: Path, tmp_path: Path, late: bool) -> None:
    """At each operation, changed or not: what the machine remembers of it is of no harm to the next run."""
    for at in range(1, 40):
        (source / "new").write_bytes(os.urandom(50_000))
        try:
            world.backup(Fuse(at, late))
        except Killed:
            pass
        else:
            break
        snapshot, damage = world.backup()
        assert damage == []
        assert snapshot.totals.unchanged + snapshot.totals.new + snapshot.totals.changed == snapshot.totals.files
        assert_restores(world, source, tmp_path / "restored")
    assert 6 < at < 40
    assert set(kinds(verify(world))) <= {What.NO_RECORD, What.UNFINISHED}
