"""Changes that no time tells of, and files that are not what they say: the next run sees them, or they are named."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from azbackup.filesystem import scanner
from azbackup.format.model import Entry, Kind
from tests.faults.world import World, assert_restores, keep_layers, make_small
from tests.listener import Silent

MIB = 1024 * 1024
EVERYWHERE = (
    "azbackup.filesystem.scanner",
    "azbackup.filesystem.reader",
    "azbackup.commands.backup.entry_reader",
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world with an empty source."""
    make_small(monkeypatch)
    (tmp_path / "source").mkdir()
    return World(tmp_path / "source")


def disguise(patch: pytest.MonkeyPatch, change: Callable[[Entry], Entry]) -> None:
    """Make a file system that says something else of what is in it."""
    real = scanner.entry_of

    def entry_of(path: bytes, status: os.stat_result) -> Entry | None:
        entry = real(path, status)
        return entry and change(entry)

    for module in EVERYWHERE:
        patch.setattr(f"{module}.entry_of", entry_of)


def restored(world: World, path: str = "f") -> bytes:
    """Restore the newest snapshot, and return a file of it."""
    destination = world.source.parent / "restored"
    world.restore(destination)
    found = (destination / path).read_bytes()
    assert_restores(world, destination, world.source.parent / "again")
    for each in (destination / path, destination):
        each.unlink() if each.is_file() else each.rename(world.source.parent / os.urandom(4).hex())
    return found


@pytest.mark.parametrize("step", [100, 10**9, 2 * 10**9, 60 * 10**9])
@pytest.mark.parametrize("which", ["ctime_ns", "mtime_ns"])
def test_a_change_in_the_same_tick(world: World, monkeypatch: pytest.MonkeyPatch, step: int, which: str) -> None:
    """Written, backed up and written again within a tick, same size: the next run stores it, and then it is left alone.

    Also where the ctime does not follow at all, and the modification time is that coarse.
    """
    tick = 1_795_000_020 * 10**9 + 7 * step
    other = {"ctime_ns": "mtime_ns", "mtime_ns": "ctime_ns"}[which]
    disguise(monkeypatch, lambda entry: msgspec.structs.replace(entry, **{which: tick, other: 10**18 + 1}))
    (world.source / "f").write_text("FIRST")
    world.now_ns = tick + step // 2
    world.backup()
    (world.source / "f").write_text("SECON")
    world.now_ns = tick + 10**12
    world.backup()
    assert restored(world) == b"SECON"
    snapshot, _ = world.backup()
    assert (snapshot.totals.unchanged, snapshot.totals.read) == (1, 0)


def test_the_tick_is_that_of_the_beginning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose reading takes longer than a tick may have been changed within that tick, behind the reader."""
    path, real, tick = world.source / "f", os.read, 1_795_000_020_123_456_789
    disguise(monkeypatch, lambda entry: msgspec.structs.replace(entry, ctime_ns=tick, mtime_ns=tick))
    path.write_text("FIRST")

    def slow(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        if data == b"FIRST":
            path.write_text("SECON")
            world.now_ns += 10**9
        return data

    world.now_ns = tick + 1_000_000
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", slow)
        world.backup()
    world.backup()
    assert restored(world) == b"SECON"


def test_times_that_the_file_system_does_not_have(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ctime and modification time are always 0 each file is read each time, and stored where it differs."""
    disguise(monkeypatch, lambda entry: msgspec.structs.replace(entry, ctime_ns=0, mtime_ns=0))
    (world.source / "f").write_text("FIRST")
    world.backup()
    snapshot, _ = world.backup()
    assert (snapshot.totals.unchanged, snapshot.totals.read, len(snapshot.layers)) == (1, 5, 1)
    (world.source / "f").write_text("SECON")
    world.backup()
    assert restored(world) == b"SECON"


def test_a_mapped_file(world: World) -> None:
    """A write to a page that is dirty already moves no time: a file is read while it is mapped, and once more."""
    path = world.source / "f"
    path.write_bytes(b"A" * 4096)
    (world.source / "other").write_bytes(b"not read again")
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 4096) as mapping:
        mapping[:6] = b"first."
        world.backup()
        mapping[:6] = b"second"
        snapshot, _ = world.backup()
        assert (snapshot.totals.changed, snapshot.totals.read) == (1, 4096)
        assert restored(world)[:6] == b"second"
        mapping[:6] = b"third."
    snapshot, _ = world.backup()
    assert snapshot.totals.changed == 1
    assert restored(world)[:6] == b"third."
    snapshot, _ = world.backup()
    assert (snapshot.totals.unchanged, snapshot.totals.read) == (2, 0)


def one_file(*paths: Path) -> bool:
    """Tell whether some names are one file."""
    return len({path.stat().st_ino for path in paths}) == 1


# --- files that are not what they say


def test_different_files_that_look_like_links(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal inode, size and times, and two links each: every one that the kernel does not vouch for is read."""
    for name in "abc":
        (world.source / name).write_text(name * 50)
    os.link(world.source / "c", world.source / "d")
    same = {"inode": 7, "links": 2, "ctime_ns": 10**18 + 1, "mtime_ns": 10**18 + 1}
    disguise(monkeypatch, lambda entry: msgspec.structs.replace(entry, **same) if entry.kind == Kind.FILE else entry)
    world.backup()
    world.restore(world.source.parent / "restored")
    for name, content in (("a", "a"), ("b", "b"), ("c", "c"), ("d", "c")):
        assert (world.source.parent / "restored" / name).read_text() == content * 50


def test_links_without_handles(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel has no handles links are read each, and are one file again in a restore."""
    monkeypatch.setattr("azbackup.commands.backup.entry_reader.handle_of", lambda *_: b"")
    (world.source / "a").write_text("content")
    os.link(world.source / "a", world.source / "b")
    snapshot, _ = world.backup()
    assert snapshot.totals.read == 14
    assert_restores(world, world.source, world.source.parent / "once")
    world.restore(world.source.parent / "restored")
    assert one_file(world.source.parent / "restored" / "a", world.source.parent / "restored" / "b")


def test_links_when_devices_are_numbered_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reboot gives another device number: old and new names of a file stay one file, and no other name is stored."""
    (world.source / "d1").mkdir()
    (world.source / "a").write_text("x" * 1000)
    os.link(world.source / "a", world.source / "d1" / "b")
    world.backup()
    keep_layers(monkeypatch)
    disguise(monkeypatch, lambda entry: msgspec.structs.replace(entry, device=entry.device + 5))
    (world.source / "d1").rename(world.source / "d2")
    snapshot, _ = world.backup()
    assert snapshot.layers[-1].entries == 5  # the root, d1 and d1/b that are gone, d2 and d2/b
    world.restore(world.source.parent / "restored")
    assert one_file(world.source.parent / "restored" / "a", world.source.parent / "restored" / "d2" / "b")


def test_links_that_were_torn_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of a file that an earlier version stored with two device numbers are one file after the next backup."""
    (world.source / "a").write_text("x" * 1000)
    os.link(world.source / "a", world.source / "b")
    with monkeypatch.context() as patch:
        disguise(patch, lambda entry: msgspec.structs.replace(entry, device=99) if entry.path == b"b" else entry)
        world.backup()
    snapshot, _ = world.backup()
    assert (snapshot.totals.unchanged, snapshot.totals.read) == (2, 0)
    world.restore(world.source.parent / "restored")
    assert one_file(world.source.parent / "restored" / "a", world.source.parent / "restored" / "b")


@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_a_file_that_grows_as_fast_as_it_is_read(world: World, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """No more is read than it had when it was opened; that is stored, with a note, and read again next time."""
    path = world.source / "f"
    path.write_bytes(os.urandom(size))
    reads = {name: getattr(os, name) for name in ("read", "readv")}

    def growing(name: str) -> Callable[..., Any]:
        def read(descriptor: int, *arguments: Any) -> Any:
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                with path.open("ab") as file:
                    file.write(bytes(9 * MIB))
            return reads[name](descriptor, *arguments)

        return read

    show = Silent()
    with monkeypatch.context() as patch:
        for name in reads:
            patch.setattr(os, name, growing(name))
        snapshot, _ = world.backup(show=show)
    assert snapshot.totals.read <= 2 * size + 30 * MIB
    assert show.notes == ["f: changed while it was read; stored as it was read"]
    assert path.read_bytes().startswith(restored(world))
    snapshot, _ = world.backup()
    assert snapshot.totals.changed == 1


@pytest.mark.parametrize("says", [0, 5])
def test_a_file_that_is_longer_than_it_says(world: World, monkeypatch: pytest.MonkeyPatch, says: int) -> None:
    """As much as it says is stored, of one that says to be empty up to a limit; the rest is named (3)."""
    (world.source / "f").write_bytes(b"12345 and more")
    (world.source / "g").write_bytes(b"")
    monkeypatch.setattr("azbackup.commands.backup.entry_reader._UNSIZED", 7)
    disguise(monkeypatch, lambda entry: msgspec.structs.replace(entry, size=says) if entry.path == b"f" else entry)
    for _ in range(2):
        show = Silent()
        snapshot, _ = world.backup(show=show)
        assert [path for path, _ in show.problems] == [b"f"]
        assert "longer than its size says" in show.problems[0][1]
        assert snapshot.unreadable == [b"f"]
    assert restored(world) == b"12345 a"[: says or 7]


def test_a_file_that_ends_before_it_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing was not cut off meanwhile, since its times are as they were: it is named (3), and read again."""
    (world.source / "f").write_bytes(b"12345")
    disguise(monkeypatch, lambda entry: msgspec.structs.replace(entry, size=9) if entry.path == b"f" else entry)
    for _ in range(2):
        show = Silent()
        snapshot, _ = world.backup(show=show)
        assert show.problems == [(b"f", "it ends before its size says: 5 of 9 bytes could be read")]
        assert (show.notes, snapshot.unreadable) == ([], [b"f"])
    assert restored(world) == b"12345"


def test_a_file_that_says_to_be_empty(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of /proc do: it is stored whole, and that is no problem."""
    (world.source / "f").write_bytes(b"content")
    disguise(monkeypatch, lambda entry: msgspec.structs.replace(entry, size=0) if entry.path == b"f" else entry)
    show = Silent()
    world.backup(show=show)
    assert (show.problems, show.notes, restored(world)) == ([], [], b"content")


@pytest.mark.parametrize("error", [errno.EIO, errno.EINVAL, errno.E2BIG])
def test_contents_come_before_attributes(world: World, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """What has attributes that cannot be listed is stored without them, and named (3) as long as that lasts."""
    (world.source / "d").mkdir()
    (world.source / "d" / "f").write_bytes(b"content")
    (world.source / "l").symlink_to("d")

    def fail(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(os, "listxattr", fail)
        for _ in range(2):
            show = Silent()
            snapshot, _ = world.backup(show=show)
            assert [path for path, _ in show.problems] == [b"", b"d", b"d/f", b"l"]
            assert snapshot.totals.unreadable == 4
    show = Silent()
    world.backup(show=show)
    assert show.problems == []
    assert_restores(world, world.source, world.source.parent / "restored")


# --- disks that are not mounted


@pytest.fixture
def disk(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a mount point of the source, with a directory in it; what is in it is on another device."""
    path = world.source / "d" / "disk"
    (path / "sub").mkdir(parents=True)
    (path / "sub" / "f").write_bytes(b"on the disk")
    (world.source / "e").write_bytes(b"not on it")
    inode = path.stat().st_ino

    def change(entry: Entry) -> Entry:
        on_disk = entry.path.startswith(b"d/disk/") or (entry.path, entry.inode) == (b"d/disk", inode)
        return msgspec.structs.replace(entry, device=entry.device + 1) if on_disk else entry

    disguise(monkeypatch, change)
    return path


def unmount(disk: Path) -> None:
    """Have an empty directory in a disk's place."""
    disk.rename(disk.parent.parent.parent / "away")
    disk.mkdir()


def test_a_disk_that_is_not_mounted(world: World, disk: Path) -> None:
    """What was stored of it stays, named (3), night after night, and comes back; until it is mounted again."""
    first, _ = world.backup()
    unmount(disk)
    for _ in range(2):
        show = Silent()
        made, _ = world.backup(show=show)
        assert [path for path, _ in show.problems] == [b"d/disk"]
        assert "--allow-empty" in show.problems[0][1]
        assert (made.totals.files, made.totals.removed, made.unreadable) == (first.totals.files, 0, [b"d/disk"])
    assert restored(world, "d/disk/sub/f") == b"on the disk"
    disk.rmdir()
    (disk.parent.parent.parent / "away").rename(disk)
    show = Silent()
    made, _ = world.backup(show=show)
    assert (show.problems, made.totals.unchanged, made.totals.removed) == ([], first.totals.files, 0)


def test_a_disk_that_is_gone_for_good(world: World, disk: Path) -> None:
    """If it is meant, or something else is there, or the directory itself is gone: then it was removed."""
    world.backup()
    unmount(disk)
    world.limits = {"allow_empty": True}
    made, _ = world.backup()
    assert (made.totals.removed, made.totals.unreadable) == (1, 0)
    world.limits = {}
    made, _ = world.backup()
    assert (made.totals.removed, made.totals.unreadable) == (0, 0)


def test_a_disk_whose_files_were_moved(world: World, disk: Path) -> None:
    """What is in its place now is what is stored; an empty directory that was none is emptied, and no disk."""
    (world.source / "plain").mkdir()
    (world.source / "plain" / "f").write_bytes(b"1")
    world.backup()
    unmount(disk)
    (disk / "other").write_bytes(b"other")
    (world.source / "plain" / "f").unlink()
    show = Silent()
    made, _ = world.backup(show=show)
    assert (show.problems, made.totals.removed, made.totals.new) == ([], 2, 1)


# --- reading everything again


def test_a_past_that_lies(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot with a file's own size and times and other contents: a run that reads all finds and tells it."""
    (world.source / "f").write_bytes(b"genuine")
    (world.source / "same").write_bytes(b"same")
    real = os.read
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", lambda *asked: real(*asked).replace(b"genuine", b"planted"))
        world.backup()
    world.backup()
    assert restored(world) == b"planted"
    world.rereads, show = True, Silent()
    snapshot, _ = world.backup(show=show)
    assert show.notes == [
        "f: its contents are not those of the last snapshot, though its size and times are; stored as it is now"
    ]
    assert (snapshot.totals.changed, snapshot.totals.unchanged, snapshot.totals.read) == (1, 1, 11)
    assert restored(world) == b"genuine"
