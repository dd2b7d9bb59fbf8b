"""Large files: what was written before a break is not fetched again, and nothing counts that was not checked."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from azbackup.filesystem.leftovers import Leftovers
from emulator.trees import differences
from tests.faults.world import Fuse, Killed, World, leftovers, make_small

SPANS = 3  # that are on their way when a run is broken off: in hand, and read ahead


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a snapshot of a large file, a sparse one and small ones, in many packs."""
    make_small(monkeypatch)
    monkeypatch.setattr("azbackup.filesystem.leftovers.RESUMED_BYTES", 1 << 20)
    found = World(tmp_path / "source")
    (found.source / "d").mkdir(parents=True)
    (found.source / "d" / "large").write_bytes(os.urandom(24_000_000))
    with (found.source / "hollow").open("wb") as file:
        file.write(os.urandom(3_000_000))
        file.truncate(8_000_000)
        file.seek(6_000_000)
        file.write(os.urandom(100_000))
    (found.source / "small").write_bytes(os.urandom(50_000))
    found.backup()
    return found


def fetched(world: World, monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> int:
    """Return the bytes that a run reads of packs."""
    sizes: list[int] = []
    get_range = world.blobs.get_range

    def counted(name: str, offset: int, size: int) -> bytes:
        sizes.append(size)
        return get_range(name, offset, size)

    with monkeypatch.context() as patch:
        patch.setattr(world.blobs, "get_range", counted)
        run()
    return sum(sizes)


def broken_off(world: World, to: Path, at: int, kept: Path | None = None) -> None:
    """Break a restore off at an operation; `kept` gets the destination as a kill -9 leaves it there."""

    def strike() -> None:
        if kept is not None and to.exists():
            shutil.copytree(to, kept, symlinks=True)
        raise Killed

    with pytest.raises(Killed):
        world.restore(to, fuse=Fuse(at, strike=strike))


def operations(world: World, to: Path) -> int:
    """Return how many operations a whole restore takes."""
    fuse = Fuse()
    world.restore(to, fuse=fuse)
    shutil.rmtree(to)
    return fuse.seen


@pytest.mark.parametrize("killed", [True, False])
def test_nothing_is_fetched_twice(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool) -> None:
    """Broken off at any operation, by kill -9 or with time to clean up, the next run reads the rest and no more."""
    to = tmp_path / "to"
    total = fetched(world, monkeypatch, lambda: world.restore(to))
    shutil.rmtree(to)
    saved = 0
    largest = max(max(record.sealed) for _, record in world.opened()[0].packs())
    for at in range(1, operations(world, to) + 1):
        copy = tmp_path / "copy"
        before = fetched(world, monkeypatch, partial(broken_off, world, to, at, copy if killed else None))
        place = copy if killed else to
        after = fetched(world, monkeypatch, partial(world.restore, place))
        assert differences(world.source, place) == []
        assert leftovers(place) == []
        assert after <= total - before + SPANS * largest
        saved = max(saved, total - after)
        shutil.rmtree(to, ignore_errors=True)
        shutil.rmtree(copy, ignore_errors=True)
    assert saved > total // 2


def left(world: World, to: Path) -> Path:
    """Break a restore off late; return what is left of the large file."""
    broken_off(world, to, operations(world, to) - 5)
    return max(leftovers(to), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("harm", ["altered", "cut", "longer", "emptied", "a link", "two names", "a fifo"])
def test_what_was_left_is_not_believed(world: World, tmp_path: Path, harm: str) -> None:
    """Whatever became of it meanwhile: chunks that are not right are fetched again, and nothing else is touched."""
    to, other = tmp_path / "to", tmp_path / "other"
    part = left(world, to)
    other.write_bytes(b"precious" * 200_000)
    if harm == "altered":
        with part.open("r+b") as file:
            file.seek(1_000_000)
            file.write(b"evil")
    elif harm == "cut":
        os.truncate(part, 1_500_001)
    elif harm == "longer":
        os.truncate(part, 30_000_000)
    elif harm == "two names":
        os.link(part, tmp_path / "second")
    else:
        part.unlink()
        if harm == "a link":
            part.symlink_to(other)
        elif harm == "a fifo":
            os.mkfifo(part)
        else:
            part.touch()
    world.restore(to)
    assert differences(world.source, to) == []
    assert leftovers(to) == []
    assert other.read_bytes() == b"precious" * 200_000


@pytest.mark.parametrize("junk", [b"evil", b"\0"])
def test_holes_are_not_taken_from_what_was_left(world: World, tmp_path: Path, junk: bytes) -> None:
    """A disk that lost its power may have anything where a sparse file has holes, which nobody writes."""
    to = tmp_path / "to"
    world.restore(to)
    catalog, _ = world.opened()
    [hollow] = [each for each in catalog.entries(catalog.snapshots()[-1]) if each.path == b"hollow"]
    (to / "hollow").unlink()
    leftovers_ = Leftovers()
    leftovers_.expect([hollow])
    part = to / os.fsdecode(leftovers_.name(b"hollow") or b"")
    right = (world.source / "hollow").read_bytes()[:3_000_000]
    part.write_bytes(right + junk * ((hollow.size - len(right)) // len(junk)))
    part.chmod(0o600)
    world.restore(to)
    assert (to / "hollow").read_bytes() == (world.source / "hollow").read_bytes()
    assert leftovers(to) == []


def test_of_other_contents(world: World, tmp_path: Path) -> None:
    """A newer snapshot has the file otherwise: what was left cannot serve, and is removed."""
    to = tmp_path / "to"
    left(world, to)
    (world.source / "d" / "large").write_bytes(os.urandom(2_000_000))
    world.backup()
    world.restore(to, overwrite="always")
    assert differences(world.source, to) == []
    assert leftovers(to) == []


def test_while_somebody_holds_it(world: World, tmp_path: Path) -> None:
    """What another run holds is neither taken over nor removed, and the file is written beside it."""
    to = tmp_path / "to"
    part = left(world, to)
    contents = part.read_bytes()
    with part.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        world.restore(to)
        assert part.read_bytes() == contents
    assert leftovers(to) == [part]
    assert (to / "d" / "large").read_bytes() == (world.source / "d" / "large").read_bytes()


def test_while_somebody_is_in_the_destination(world: World, tmp_path: Path) -> None:
    """Another run may have closed it for want of descriptors: nothing is taken over then."""
    to = tmp_path / "to"
    part = left(world, to)
    root = os.open(to, os.O_RDONLY)
    fcntl.flock(root, fcntl.LOCK_SH)
    world.restore(to)
    assert leftovers(to) == [part]
    os.close(root)
    assert (to / "d" / "large").read_bytes() == (world.source / "d" / "large").read_bytes()
