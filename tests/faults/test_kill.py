"""A run that is killed at any operation: what was committed stays, the next run goes on where it stopped."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from azbackup.format.model import ChunkId
from azbackup.format.payloads import decode_pack
from azbackup.storage.local.journal import Journal
from emulator.trees import differences
from tests.faults.conftest import Story
from tests.faults.world import Fuse, Killed, World, assert_restores, leftovers

MOST = 60  # more operations than any run here has


def recorded(world: World) -> set[ChunkId]:
    """Return the chunks that some record tells of, in the table or in the journal."""
    found = {chunk for chunks in world.packs().values() for chunk in chunks}
    if world.journal is not None and world.journal.exists():
        records = world.opened()[0].records
        for row in Journal(world.journal).rows():
            found |= set(decode_pack(row.name, records.open_sealed(row))[1].chunk_ids())
    return found


def strike(world: World, at: int, late: bool) -> bool:
    """Kill a backup at an operation; return whether it had as many."""
    try:
        world.backup(Fuse(at, late))
    except Killed:
        return True
    return False


def go_on(world: World, tree: Path, folder: Path) -> None:
    """Back up again after a kill: nothing is lost, uploaded twice, damaged or numbered with a gap."""
    has_key = bool(world.table.rows)
    known = recorded(world) if has_key else set()
    packs = set(world.packs()) if has_key else set()
    _, damage = world.backup()
    assert damage == []
    new = {pack: chunks for pack, chunks in world.packs().items() if pack not in packs}
    again = [pack for pack, chunks in new.items() if chunks & known]
    adopted = all(chunks <= known for chunks in (new[pack] for pack in again))
    assert adopted, "chunks whose record had landed were stored again"
    numbers = world.numbers()
    assert numbers == list(range(1, len(numbers) + 1))
    assert_restores(world, tree, folder / "restored")


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("journal", [False, True], ids=["", "journal"])
def test_a_first_backup_killed_anywhere(story: Story, tmp_path: Path, late: bool, journal: bool) -> None:
    """Killed at every operation in turn, the next run completes it and restores exactly."""
    for at in range(1, MOST):
        folder = tmp_path / str(at)
        folder.mkdir()
        world = World(story.second, journal=folder / "journal" if journal else None)
        if not strike(world, at, late):
            break
        go_on(world, story.second, folder)
    assert 10 < at < MOST


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("journal", [False, True], ids=["", "journal"])
def test_a_second_backup_killed_anywhere(story: Story, tmp_path: Path, late: bool, journal: bool) -> None:
    """Killed at every operation in turn, the first snapshot restores exactly, and so does the next run's."""
    for at in range(1, MOST):
        folder = tmp_path / str(at)
        folder.mkdir()
        world = story.world.clone(folder / "journal" if journal else None)
        if not strike(world, at, late):
            break
        assert_restores(world, story.first, folder / "restored", number=1)
        go_on(world, story.second, folder)
        assert_restores(world, story.first, folder / "restored", number=1)
    assert 10 < at < MOST


def test_kill_after_kill(story: Story, tmp_path: Path) -> None:
    """A run that is killed one operation later each time comes to its end; it stores little more than once.

    What a killed run had uploaded and noted is taken over, also where another one had stored some of it meanwhile.
    """
    world = World(story.second, journal=tmp_path / "journal")
    at = 1
    while strike(world, at, late=True):
        at += 1
    stored = [name for name in world.blobs.blobs if "/packs/" in name]
    assert world.numbers() == list(range(1, len(world.numbers()) + 1))
    assert_restores(world, story.second, tmp_path / "restored")
    chunks = [chunk for chunks in world.packs().values() for chunk in chunks]
    assert len(chunks) < 2 * len(set(chunks))
    assert len(world.packs()) <= len(stored)


def test_a_local_disk_that_is_full(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that cannot be written is done without: every pack's record follows it at once."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    world = World(story.second, journal=tmp_path / "journal")
    with monkeypatch.context() as patch:
        patch.setattr("azbackup.storage.local.journal.os.write", full)
        _, damage = world.backup()
    assert damage == []
    assert_restores(world, story.second, tmp_path / "restored")


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("tier", ["hot", "archive"])
def test_a_restore_killed_anywhere(story: Story, tmp_path: Path, late: bool, tier: str) -> None:
    """Killed at every operation in turn, it has written nothing wrong, and the next run completes it."""
    whole = World(story.second, tier)
    whole.backup()
    for at in range(1, MOST):
        destination = tmp_path / str(at)
        world = whole.clone()
        try:
            world.restore(destination, fuse=Fuse(at, late))
        except Killed:
            pass
        else:
            break
        assert leftovers(destination) == []
        for path in destination.rglob("*"):
            if path.is_file():
                assert path.read_bytes() == (story.second / path.relative_to(destination)).read_bytes()
        outcome = world.restore(destination)
        assert (outcome.damage, outcome.problems) == ([], 0)
        assert differences(story.second, destination) == []
        assert len(world.staging.asked) == len(set(world.staging.asked))
    assert 6 < at < MOST
