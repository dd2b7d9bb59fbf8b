"""Garbage where the next snapshots would be: the work that it makes is bounded, however much of it there is.

The class: whoever can create blobs or rows, without the password, makes each run of everybody ask once or more for each
of them, for ever. Counted are the operations on the stores, each of which is a request or more.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from azbackup.records.catalog import Catalog
from azbackup.records.copies import USELESS_COPIES
from azbackup.records.settlements import subject_of
from tests.contract.memory import Blob, md5_of
from tests.faults.conftest import Story
from tests.faults.world import PARTITION, Fuse, World, assert_restores
from tests.listener import Silent

MANY = 700
OTHERS = 50  # a listing, and what the first few cost


def plant(world: World, numbers: range, *, rows: bool, blobs: bool) -> None:
    """Put garbage under the numbers of snapshots."""
    for number in numbers:
        if rows:
            world.table.rows[PARTITION, f"snapshot-{number:08}"] = b"garbage"
        if blobs:
            world.blobs.blobs[f"{PARTITION}/records/snapshot-{number:08}"] = Blob(b"garbage", "hot", md5_of(b"garbage"))


def operations(world: World) -> int:
    """Return how many a backup takes."""
    fuse = Fuse()
    world.backup(fuse)
    return fuse.seen


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("blobs", [True, False])
def test_garbage_makes_a_bounded_number_of_requests(story: Story, tmp_path: Path, *, rows: bool, blobs: bool) -> None:
    """A backup, the one after it, and a restore ask for a hundred of them, twice at most, and all is right after it."""
    honest = operations(story.world.clone())
    world = story.world.clone()
    plant(world, range(2, MANY), rows=rows, blobs=blobs)
    assert operations(world) <= honest + 2 * USELESS_COPIES + OTHERS
    assert operations(world) <= honest + 2 * USELESS_COPIES + OTHERS
    fuse = Fuse()
    assert world.restore(tmp_path / "restored", 1, fuse).problems == 0
    assert fuse.seen <= honest + 2 * USELESS_COPIES + OTHERS
    made, damage = world.backup()
    assert bool(damage) == (rows or blobs)
    assert len(damage) <= 2 * MANY
    assert made.number in (4, MANY + 2)
    if not (rows or blobs):
        assert_restores(world, story.second, tmp_path / "whole")


def test_a_genuine_commit_among_garbage_is_finished(story: Story, tmp_path: Path) -> None:
    """Killed before its rows, with garbage before and behind: the next run puts it back, under its number."""
    world = story.world.clone()
    plant(world, range(2, 12), rows=False, blobs=True)
    world.backup()
    del world.table.rows[PARTITION, "snapshot-00000012"]
    plant(world, range(13, 23), rows=False, blobs=True)
    made, _ = world.backup()
    assert (made.number, world.numbers()) == (23, [1, 12, 23])
    assert world.restore(tmp_path / "restored", 12).problems == 0


def test_useless_copies_hide_no_genuine_one(story: Story, tmp_path: Path) -> None:
    """More of them than a run reads below a snapshot without a row: it is found all the same, or said to be there."""
    world = story.world.clone()
    plant(world, range(2, 2 + USELESS_COPIES + 5), rows=False, blobs=True)
    made, _ = world.backup()
    del world.table.rows[PARTITION, f"snapshot-{made.number:08}"]
    later, _ = world.backup(source=story.first)
    assert later.number > made.number
    for number in (made.number, later.number):
        show = Silent()
        catalog, _ = world.opened(show=show)
        assert made.number in [each.number for each in catalog.snapshots()]
        assert world.restore(tmp_path / f"restored{number}", number).problems == 0


def test_a_genuine_copy_between_useless_ones(story: Story) -> None:
    """Hidden from both ends: a run says what it did not look at, and finds it when it is asked for it or for all."""
    world = story.world.clone()
    plant(world, range(2, 2 + USELESS_COPIES + 5), rows=False, blobs=True)
    made, _ = world.backup()
    del world.table.rows[PARTITION, f"snapshot-{made.number:08}"]
    plant(world, range(made.number + 1, made.number + USELESS_COPIES + 5), rows=False, blobs=True)
    above = made.number + USELESS_COPIES + 5
    _, partition = world.opened()
    damage: list[str] = []
    partition.records.report = damage.append
    assert [each.number for each in Catalog(partition.records, above).snapshots()] == [1]
    assert any("were not looked at" in text and "--snapshot NUMBER" in text for text in damage)
    assert not any(subject_of(text) == f"snapshot-{made.number:08}" for text in damage)
    for asked, every in ((made.number, False), (None, True)):
        _, partition = world.opened()
        found = Catalog(partition.records, above).snapshots(asked, every_copy=every)
        assert [each.number for each in found] == [1, made.number]
