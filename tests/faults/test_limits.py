"""Runs that make no snapshot though nothing is wrong: their time is over, wherever that is; or nothing has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from azbackup.commands.backup.rules import Rules
from azbackup.errors import OutOfTime, Status
from emulator.trees import differences
from tests.faults.world import World, make_small, make_source

DAY_NS = 86400 * 10**9


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a source that nobody backed up yet, with small packs."""
    make_small(monkeypatch)
    (tmp_path / "journal").touch(0o600)
    found = World(tmp_path / "source", journal=tmp_path / "journal")
    make_source(found.source)
    return found


def after(looks: int) -> Callable[[], bool]:
    """The time is over when it was looked at so often."""
    left = [looks]

    def is_over() -> bool:
        left[0] -= 1
        return left[0] < 0

    return is_over


def test_the_time_is_over_at_any_moment(world: World, tmp_path: Path) -> None:
    """There is no snapshot, then; all that was stored has its record, and the next run stores no chunk twice.

    That one may be of another machine, which has no journal.
    """
    ended = stored = 0
    for looks in range(0, 200, 3):
        here = world.clone(tmp_path / f"journal{looks}")
        here.limits = {"is_over": after(looks)}
        try:
            here.backup()
            break
        except OutOfTime as error:
            assert error.status == Status.UNFINISHED  # noqa: PT017 - the last turn of the loop has no error
        assert here.numbers() == []
        blobs = {name.rpartition("/")[2] for name in here.blobs.blobs if "/packs/" in name}
        assert blobs == set(here.packs())
        before = here.packs()
        elsewhere = here.clone()
        elsewhere.backup()
        assert elsewhere.numbers() == [1]
        chunks = [each for ids in elsewhere.packs().values() for each in ids]
        assert len(chunks) == len(set(chunks))
        assert before.items() <= elsewhere.packs().items()
        ended, stored = ended + 1, stored + bool(before)
    assert ended > 5
    assert stored > 3
    elsewhere.restore(tmp_path / "restored")
    assert differences(elsewhere.source, tmp_path / "restored") == []


def test_a_later_run_that_is_out_of_time(world: World) -> None:
    """The earlier snapshots are as they were, and a run with time enough stands on them."""
    world.backup()
    (world.source / "new").write_bytes(os.urandom(100_000))
    world.limits = {"is_over": after(2)}
    with pytest.raises(OutOfTime):
        world.backup()
    assert world.numbers() == [1]
    world.limits = {}
    snapshot, damaged = world.backup()
    assert (snapshot.number, snapshot.totals.new, damaged) == (2, 1, [])


def _older(world: World) -> None:
    world.now_ns += 7 * DAY_NS


def _earlier(world: World) -> None:
    world.now_ns -= DAY_NS


def _rules(world: World) -> None:
    world.limits["rules"] = Rules(lines=(b"--exclude nothing-of-this-name",))


def _lost_pack(world: World) -> None:
    name = next(name for name in world.blobs.blobs if "/packs/" in name)
    del world.blobs.blobs[name]


CHANGES: dict[str, Callable[[World], object]] = {
    "contents": lambda world: (world.source / "changes").write_bytes(b"other"),
    "a mode": lambda world: (world.source / "d").chmod(0o700),
    "one less": lambda world: (world.source / "goes").unlink(),
    "one more": lambda world: (world.source / "d" / "empty" / "more").mkdir(),
    "a link": lambda world: os.link(world.source / "changes", world.source / "again"),
    "the rules": _rules,
    "a week": _older,
    "a clock that went back": _earlier,
    "a lost pack": _lost_pack,
}


def test_nothing_has_changed(world: World) -> None:
    """No snapshot is made, and nothing at all is written; the first run makes one."""
    world.limits = {"skips": True}
    assert world.backup()[0].number == 1
    world.now_ns += DAY_NS
    before = (dict(world.blobs.blobs), dict(world.table.rows))
    snapshot, damaged = world.backup()
    assert (snapshot.number, world.numbers(), damaged) == (1, [1], [])
    totals = snapshot.totals
    assert (totals.new, totals.changed, totals.removed, totals.stored) == (0, 0, 0, 0)
    assert totals.unchanged == totals.files > 0
    assert (dict(world.blobs.blobs), dict(world.table.rows)) == before


@pytest.mark.parametrize("what", CHANGES)
def test_something_has_changed(world: World, what: str) -> None:
    """Whatever a restore would show makes a snapshot, and so does a week."""
    world.limits = {"skips": True}
    world.backup()
    world.now_ns += DAY_NS // 2
    CHANGES[what](world)
    assert world.backup()[0].number == 2
    assert world.numbers() == [1, 2]


def test_without_the_option(world: World) -> None:
    """Every run makes a snapshot."""
    world.backup()
    assert world.backup()[0].number == 2
