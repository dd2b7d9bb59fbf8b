"""A restore of several segments does what one of one segment does: large files come in parts, packs are read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from azbackup.filesystem.hands import Pace
from emulator.trees import differences
from tests.faults.world import Fuse, Killed, World, leftovers, make_small


@pytest.fixture
def by_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads make and name all small files, as where a file system is slow."""
    monkeypatch.setattr(Pace, "begin", lambda pace: setattr(pace, "is_slow", True))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a snapshot of files in many packs: large, empty, equal and linked ones. Little is worked on at once."""
    make_small(monkeypatch)
    monkeypatch.setattr("azbackup.commands.restore.files._SEGMENT", 2)
    monkeypatch.setattr("azbackup.format.held._BLOCK", 3)
    found = World(tmp_path / "source")
    for number in range(4):
        folder = found.source / f"d{number}" / "e"
        folder.mkdir(parents=True)
        (folder / "small").write_bytes(os.urandom(5_000))
        (folder / "large").write_bytes(os.urandom(400_000))
        (folder / "empty").touch()
        (folder / "same").write_bytes(b"the same in all of them" * 1000)
        (folder / "other name").hardlink_to(folder / "large")
        (folder / "link").symlink_to("small")
    found.backup()
    return found


def test_all_of_it(world: World, tmp_path: Path) -> None:
    """Nothing differs, in an empty directory and once more over what is there."""
    for _ in range(2):
        result = world.restore(tmp_path / "to")
        assert (result.damage, result.problems) == ([], 0)
        assert differences(world.source, tmp_path / "to") == []


def test_broken_off_anywhere(world: World, tmp_path: Path) -> None:
    """Whatever operation a kill comes at, what has a name is right, and the next run has the rest."""
    whole = Fuse()
    world.restore(tmp_path / "counted", fuse=whole)
    for at in range(1, whole.seen + 1, 3):
        to = tmp_path / str(at)
        with pytest.raises(Killed):
            world.restore(to, fuse=Fuse(at))
        if to.exists():
            for path in to.rglob("*"):
                if path.is_file() and not path.name.startswith(".azbackup-"):
                    assert path.read_bytes() == (world.source / path.relative_to(to)).read_bytes()
        world.restore(to)
        assert differences(world.source, to) == []


@pytest.mark.usefixtures("by_hands")
def test_broken_off_by_hands(world: World, tmp_path: Path) -> None:
    """The same where threads are at it; nothing of theirs is left behind by a run that ends."""
    whole = Fuse()
    world.restore(tmp_path / "counted", fuse=whole)
    assert differences(world.source, tmp_path / "counted") == []
    for at in range(1, whole.seen + 1, 4):
        to = tmp_path / str(at)
        with pytest.raises(Killed):
            world.restore(to, fuse=Fuse(at))
        assert not to.exists() or leftovers(to) == []
        world.restore(to)
        assert differences(world.source, to) == []


def test_a_lost_pack_costs_its_files(world: World, tmp_path: Path) -> None:
    """Files that need it are named, in whatever segment they are; the others are all there."""
    del world.blobs.blobs[max(name for name in world.blobs.blobs if "/packs/" in name)]
    result = world.restore(tmp_path / "to")
    missing = {path.relative_to(world.source) for path in world.source.rglob("*") if not path.is_dir()} - {
        path.relative_to(tmp_path / "to") for path in (tmp_path / "to").rglob("*") if not path.is_dir()
    }
    assert result.problems == len(missing) > 0
    for path in (tmp_path / "to").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (world.source / path.relative_to(tmp_path / "to")).read_bytes()
