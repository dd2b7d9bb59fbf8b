"""Room is compared before anything is thawed or written; what need not be written is never said to be missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from azbackup.commands.restore.estimate import Estimate, Room
from azbackup.errors import AzbackupError
from azbackup.filesystem.free_space import FreeSpace, free_space
from emulator.trees import differences
from tests.faults.world import World, make_small

BLOCK = 4096
MANY = 1 << 40


def space(
    free: int, inodes: int = MANY, *, root: int = 1, files: int = MANY, blocks: int = MANY, block: int = BLOCK
) -> os.statvfs_result:
    """What statvfs answers where so many bytes and inodes are free for everybody, and `root` times as many for root."""
    counts = (blocks, free // block * root, free // block, files, inodes * root, inodes)
    return os.statvfs_result((1 << 20, block, *counts, 0, 255))


@pytest.mark.parametrize(
    ("status", "privileged", "expected"),
    [
        (space(8 * BLOCK, 7, root=2), False, FreeSpace(8 * BLOCK, 7, BLOCK)),
        (space(8 * BLOCK, 7, root=2), True, FreeSpace(16 * BLOCK, 14, BLOCK)),
        (space(8 * BLOCK, 0, files=0), False, FreeSpace(8 * BLOCK, None, 1)),
        (space(1 << 30, 7, block=1 << 20), False, FreeSpace(1 << 30, 7, BLOCK)),
        (space(0, blocks=0), False, None),
    ],
    ids=["anybody", "root", "inodes without limit", "a network's block", "it does not say"],
)
def test_what_is_free(status: os.statvfs_result, privileged: bool, expected: FreeSpace | None) -> None:
    """Root may use what is kept back; no inodes at all means no limit, no blocks at all that nobody knows."""
    assert free_space(status, privileged=privileged) == expected


class Disk:
    """How much is free at the destination, as statvfs has it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.free, self.inodes = MANY, MANY
        for name in ("os.statvfs", "os.fstatvfs"):
            patch.setattr(name, lambda _: space(self.free, self.inodes))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Give a disk whose room a test sets."""
    return Disk(monkeypatch)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a snapshot of 3 files (one with two names) and a link, in two directories, a hole among them."""
    make_small(monkeypatch)
    found = World(tmp_path / "source")
    (found.source / "d").mkdir(parents=True)
    (found.source / "d" / "large").write_bytes(os.urandom(3_000_000))
    (found.source / "small").write_bytes(b"x")
    os.link(found.source / "small", found.source / "d" / "same")
    os.symlink("small", found.source / "link")
    with (found.source / "d" / "hollow").open("wb") as file:
        file.write(os.urandom(100_000))
        file.truncate(90_000_000)
    found.backup()
    return found


def room_of(world: World, to: Path, **options: object) -> Room:
    """What a plan says of the room."""
    plans: list[Estimate] = []
    world.restore(to, plan_only=True, tell=plans.append, **options)
    assert plans[0].room is not None
    return plans[0].room


@pytest.mark.parametrize("what", ["free", "inodes"])
def test_as_much_as_is_needed_is_enough(world: World, disk: Disk, tmp_path: Path, what: str) -> None:
    """One block or inode less is refused, before the destination is made; the message says what lacks."""
    room = room_of(world, tmp_path / "to")
    assert (room.where, room.inodes) == (str(tmp_path / "to"), 6)
    assert 3_100_000 < room.size < 3_200_000  # of the hollow file only the data
    needed = room.size if what == "free" else room.inodes
    setattr(disk, what, needed - (BLOCK if what == "free" else 1))
    assert room_of(world, tmp_path / "to").is_lacking
    with pytest.raises(AzbackupError, match=r"not enough room in .*: (3\.0 MiB are to be written|6 files)"):
        world.restore(tmp_path / "to")
    assert not (tmp_path / "to").exists()
    setattr(disk, what, needed)
    world.restore(tmp_path / "to")
    assert differences(world.source, tmp_path / "to") == []
    setattr(disk, what, 0)
    world.restore(tmp_path / "to")  # everything is there


def test_force_tries_it(world: World, disk: Disk, tmp_path: Path) -> None:
    """Only who runs it may know that the file system compresses."""
    disk.free = 0
    world.restore(tmp_path / "to", force=True)
    assert differences(world.source, tmp_path / "to") == []


def test_what_was_left_is_no_room_that_lacks(world: World, disk: Disk, tmp_path: Path) -> None:
    """What an earlier run has left is gone on with, or removed."""
    whole = room_of(world, tmp_path / "to").size
    left = tmp_path / "to" / "d" / ".azbackup-0123456789abcdef.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x" * 1_000_000)
    disk.free = -(-(whole - left.stat().st_blocks * 512) // BLOCK) * BLOCK
    world.restore(tmp_path / "to")
    assert differences(world.source, tmp_path / "to") == []


def test_files_that_are_replaced_make_room(world: World, disk: Disk, tmp_path: Path) -> None:
    """Old and new are there at once, so the largest one has to fit; all others come one after the other."""
    for name, size in (("d/large", 3_000_000), ("d/more", 1_000_000)):
        (world.source / name).write_bytes(os.urandom(size))
    world.backup()
    world.restore(tmp_path / "to", 1)
    (tmp_path / "to" / "d" / "more").write_bytes(b"y" * 1_000_000)
    os.utime(tmp_path / "to" / "d" / "more", (1, 1))
    disk.free, disk.inodes = 3_000_000 // BLOCK * BLOCK, 0
    with pytest.raises(AzbackupError, match="not enough room"):
        world.restore(tmp_path / "to", overwrite="if-changed")
    disk.free += BLOCK
    world.restore(tmp_path / "to", overwrite="if-changed")
    assert differences(world.source, tmp_path / "to") == []


def test_what_is_kept_makes_no_room(world: World, disk: Disk) -> None:
    """A restore in place needs room for the new beside the old, which stays under another name."""
    (world.source / "d" / "more").write_bytes(os.urandom(1_000_000))
    world.backup()
    for name, size in (("large", 3_000_000), ("more", 1_000_000)):
        (world.source / "d" / name).write_bytes(b"y" * size)
    disk.free = 4_000_000 // BLOCK * BLOCK
    with pytest.raises(AzbackupError, match="not enough room"):
        world.restore(world.source, sets_aside=True)
    disk.free += 2 * BLOCK
    world.restore(world.source, sets_aside=True)
    assert (world.source / "d" / "large.before-restore").read_bytes() == b"y" * 3_000_000


def test_a_directory_in_the_way_makes_room(world: World, disk: Disk, tmp_path: Path) -> None:
    """What --delete removes for something of another kind counts as free."""
    (tmp_path / "to" / "small").mkdir(parents=True)
    (tmp_path / "to" / "small" / "big").write_bytes(b"z" * 4_000_000)
    disk.free = 0
    world.restore(tmp_path / "to", delete=True)
    assert differences(world.source, tmp_path / "to") == []
