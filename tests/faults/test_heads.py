"""Backups that begin from a head: killed anywhere, two at once, heads lost, planted or put back, retention beside them.

A partition counts as large here from its first snapshot on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from azbackup.commands.maintenance.findings import What
from azbackup.commands.maintenance.keeping import Rules
from tests.faults.conftest import Story
from tests.faults.test_both import other, test_one_backup_in_the_midst_of_another, test_two_backups_of_the_same_source
from tests.faults.test_kill import test_a_second_backup_killed_anywhere
from tests.faults.test_verify import kinds, repair, verify
from tests.faults.world import PARTITION, World, assert_restores

__all__ = [
    "other",
    "test_a_second_backup_killed_anywhere",
    "test_one_backup_in_the_midst_of_another",
    "test_two_backups_of_the_same_source",
]


@pytest.fixture(autouse=True, scope="module")
def large(small: None) -> Iterator[None]:  # noqa: ARG001  it must come first
    """Have every partition count as large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("azbackup.records.heads.LARGE", 0)
        patch.setattr("azbackup.records.catalog.LARGE", 0)
        patch.setattr("azbackup.records.catalog._FEW", 1)
        yield


@pytest.fixture
def twice(story: Story) -> World:
    """Give a world with two snapshots, of the source as it is."""
    world = story.world.clone()
    world.backup()
    return world


def heads(world: World) -> list[tuple[str, str]]:
    """The names of all heads."""
    return sorted(name for name in world.table.rows if name[1].startswith("head-"))


def test_no_snapshot_is_read(twice: World, story: Story, tmp_path: Path) -> None:
    """The newest one's row is away while a backup runs, and it does not notice: it compares with that."""
    rows = twice.table.rows
    away = {name: rows.pop(name) for name in [(PARTITION, "snapshot-00000002")]}
    snapshot, damage = twice.backup()
    assert (snapshot.number, snapshot.parent, damage) == (3, 2, [])
    assert snapshot.totals.unchanged == snapshot.totals.files > 0
    rows.update(away)
    assert twice.numbers() == [1, 2, 3]
    assert kinds(verify(twice)) == {}
    assert_restores(twice, story.second, tmp_path / "restored")


@pytest.mark.parametrize("removed", [True, False], ids=["removed", "altered"])
def test_each_head(twice: World, story: Story, tmp_path: Path, removed: bool) -> None:
    """Whichever is lost or altered: the next backup is whole, has the next number, and nothing that was is hidden."""
    for name in heads(twice):
        world = twice.clone()
        del world.table.rows[name]
        if not removed:
            world.table.rows[name] = b"altered" * 20
        snapshot, damage = world.backup()
        assert snapshot.number == 3
        assert all(name[1] in each for each in damage)
        assert world.numbers() == [1, 2, 3]
        assert_restores(world, story.second, tmp_path / "restored")


def test_heads_that_were_put_back(twice: World, story: Story, tmp_path: Path) -> None:
    """All heads but those of the first snapshot are removed: the backup compares with that one, and hides nothing."""
    first = heads(story.world)
    for name in heads(twice):
        if name not in first:
            del twice.table.rows[name]
    snapshot, damage = twice.backup()
    assert (snapshot.number, snapshot.parent, damage) == (3, 1, [])
    assert twice.numbers() == [1, 2, 3]
    for number in (2, 3):
        assert_restores(twice, story.second, tmp_path / "restored", number)
    assert kinds(verify(twice)) == {}


def test_a_planted_head(twice: World, story: Story, tmp_path: Path) -> None:
    """Under the highest name that there can be: it is told each time, by a verification too, and hides nothing."""
    for name in heads(twice)[::2]:
        world = twice.clone()
        planted = (PARTITION, name[1].rpartition("-")[0] + "-0000000000")
        world.table.rows[planted] = b"planted" * 20
        snapshot, damage = world.backup()
        assert snapshot.number == 3
        assert any(planted[1] in each for each in damage)
        assert_restores(world, story.second, tmp_path / "restored")
        found = verify(world)
        assert found.findings.subjects(What.HEAD_ALTERED) == [planted[1]]


def test_a_snapshot_that_was_taken_away_is_no_parent(twice: World, story: Story, tmp_path: Path) -> None:
    """Forgotten, recalled, forgotten again and deleted: what is compared with stands, and its heads go with it."""
    for forgotten in ({"forget": [2]}, {"recall": [2]}, {"forget": [2]}):
        twice.retain(**forgotten)
        world = twice.clone()
        snapshot, damage = world.backup()
        assert (snapshot.number, snapshot.parent) == (3, 2 if "recall" in forgotten else 1)
        assert damage == []
        assert_restores(world, story.second, tmp_path / "restored")
    before = heads(twice)
    twice.backup()
    for _ in range(30):
        twice.pass_days(30)
        twice.retain(rules=Rules(last=1))
    assert twice.numbers() == [3]
    assert len(heads(twice)) == 2
    assert not set(heads(twice)) & set(before)
    assert kinds(verify(twice)) == {}
    assert repair(twice) == []
    assert_restores(twice, story.second, tmp_path / "restored")
