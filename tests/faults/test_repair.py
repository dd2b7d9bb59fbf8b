"""A repair, by memory: killed at any operation it has done no harm, and the next one completes it."""

from __future__ import annotations

import pytest

from azbackup.commands.maintenance.findings import What
from tests.faults.conftest import Story
from tests.faults.test_verify import kinds, repair, verify
from tests.faults.world import Fuse, Killed, World


@pytest.fixture(scope="module")
def broken(story: Story) -> World:
    """Give a world with two snapshots where the first has lost its rows, and the second its copies."""
    world = story.world.clone()
    world.source = story.second
    world.now_ns += 3_600_000_000_000
    world.backup()
    first = {name for _, name in story.world.table.rows}
    for number, (partition, name) in enumerate([name for name in world.table.rows if name[1] in first - {"key"}]):
        row = world.table.rows.pop((partition, name))
        assert isinstance(row, bytes)
        if number % 2:
            world.table.rows[partition, name] = row[:-1] + bytes([row[-1] ^ 1])
    for blob in [blob for blob in world.blobs.blobs if "/records/" in blob and blob not in story.world.blobs.blobs]:
        del world.blobs.blobs[blob]
    return world


def test_all_of_it_is_mended(broken: World) -> None:
    """Nothing is left to be found, and nothing but rows that did not open was replaced."""
    world = broken.clone()
    before = {name: blob.data for name, blob in world.blobs.blobs.items()}
    assert set(kinds(verify(world))) >= {What.ROW_MISSING, What.ROW_ALTERED, What.COPY_MISSING}
    assert repair(world) == []
    assert kinds(verify(world)) == {}
    assert before.items() <= {name: blob.data for name, blob in world.blobs.blobs.items()}.items()


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_killed_at_any_operation(broken: World, late: bool) -> None:
    """Whatever operation it is killed at, before or after it took effect, the next repair completes it."""
    counted = Fuse()
    repair(broken.clone(), counted)
    for at in range(1, counted.seen + 1):
        world = broken.clone()
        with pytest.raises(Killed):
            repair(world, Fuse(at, late))
        assert repair(world) == [], at
        assert kinds(verify(world)) == {}, at
