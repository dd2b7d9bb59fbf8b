"""A snapshot that is made can be read: whatever a file system lists, and whatever becomes unreadable."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from azbackup.errors import AzbackupError
from azbackup.filesystem import scanner
from emulator.trees import differences
from tests.faults.world import World, assert_restores, change_source, keep, keep_layers, make_small, make_source
from tests.listener import Silent


def test_names_that_come_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings that name each entry twice, last names first: two snapshots that hold the tree, and a note."""
    make_small(monkeypatch)
    source = tmp_path / "source"
    source.mkdir()
    make_source(source, unit=100)
    real = os.scandir

    @contextmanager
    def scandir(descriptor: int) -> Iterator[list[os.DirEntry[str]]]:
        with real(descriptor) as items:
            listed = sorted(items, key=lambda item: item.name, reverse=True)
        yield [*listed, *listed]

    world, show = World(source), Silent()
    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", scandir)
        world.backup()
    first = keep(source, "first")
    change_source(source, unit=100)
    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", scandir)
        world.backup(show=show)
    assert "changes: the file system lists it more than once; it is stored once" in show.notes
    assert_restores(world, first, tmp_path / "restored", 1)
    assert_restores(world, source, tmp_path / "restored", 2)


def hide(patch: pytest.MonkeyPatch, name: str) -> None:
    """Make a name that no listing has."""
    real = os.scandir

    @contextmanager
    def scandir(descriptor: int) -> Iterator[list[os.DirEntry[str]]]:
        with real(descriptor) as items:
            yield [item for item in items if item.name != name]

    patch.setattr("os.scandir", scandir)


def deny(patch: pytest.MonkeyPatch, path: Path, call: str) -> None:
    """Make a name of which a call says that nothing is there."""
    real = getattr(os, call)

    def denied(name: Any, *arguments: Any, **more: Any) -> Any:
        if name == path.name:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return real(name, *arguments, **more)

    if call == "stat":  # of the scanner: an item of a listing
        real_names = scanner._names

        class Denied:
            name = path.name

            def stat(self, **_: Any) -> None:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory")

            is_dir = is_file = is_symlink = stat

        def names(descriptor: int) -> tuple[list[tuple[bytes, Any]], str]:
            listed, error = real_names(descriptor)
            return [(name, Denied() if name == os.fsencode(path.name) else item) for name, item in listed], error

        patch.setattr(scanner, "_names", names)
    patch.setattr(os, call, denied)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", ["file", "directory"])
@pytest.mark.parametrize("how", ["hidden", "stat", "open"])
def test_not_there_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, kind: str, full: bool
) -> None:
    """What one call denies and another has was not removed: a file is read all the same, or it stays and is named."""
    make_small(monkeypatch)
    source = tmp_path / "source"
    (source / "d" / "v" / "w").mkdir(parents=True)
    (source / "d" / "v" / "w" / "below").write_text("below")
    (source / "d" / "x").write_text("x")
    path = source / "d" / ("v" if kind == "directory" else "x")
    world = World(source)
    first, _ = world.backup()
    if full:
        keep_layers(monkeypatch, 0)
    if kind == "file":
        path.write_text("changed")
    show = Silent()
    with monkeypatch.context() as patch:
        hide(patch, path.name) if how == "hidden" else deny(patch, path, how)
        second, _ = world.backup(show=show)
    read = how == "hidden" and kind == "file"
    assert [path for path, _ in show.problems] == ([] if read else [os.fsencode(path.relative_to(source))])
    assert (second.totals.removed, second.totals.files, second.totals.changed) == (0, first.totals.files, int(read))
    world.restore(tmp_path / "restored")
    assert (tmp_path / "restored" / "d" / "v" / "w" / "below").read_text() == "below"
    assert (tmp_path / "restored" / "d" / "x").read_text() == ("changed" if read else "x")


def test_what_is_gone_is_gone(tmp_path: Path) -> None:
    """A tree that was removed costs a look at its top alone; a file where a directory was hides nothing."""
    source = tmp_path / "source"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "c").write_text("c")
    (source / "d").mkdir()
    (source / "d" / "e").write_text("e")
    world = World(source)
    world.backup()
    shutil.rmtree(source / "a")
    shutil.rmtree(source / "d")
    (source / "d").write_text("a file")
    second, _ = world.backup()
    assert (second.totals.removed, second.totals.files, second.totals.unreadable) == (2, 1, 0)


def test_names_that_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are removed between a listing and the look at them are gone, however many they are: a note each."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(60):
        (source / f"f{number:02}").write_text("")
    world, show = World(source), Silent()
    real = scanner._look

    def look(level: Any, name: bytes, item: Any) -> Any:
        (source / os.fsdecode(name)).unlink()
        return real(level, name, item)

    monkeypatch.setattr(scanner, "_look", look)
    snapshot, _ = world.backup(show=show)
    assert (snapshot.totals.files, show.problems) == (0, [])


def fail(patch: pytest.MonkeyPatch, path: Path) -> None:
    """Make a file that cannot be opened, or a directory that cannot be listed, whoever tries."""
    name, inode, real_open, real_scandir = path.name, path.lstat().st_ino, os.open, os.scandir

    def broken_open(name_or_path: Any, flags: int, *arguments: Any, **more: Any) -> int:
        if name_or_path == name and not flags & os.O_DIRECTORY:
            raise OSError(errno.EIO, "Input/output error")
        return real_open(name_or_path, flags, *arguments, **more)

    def broken_scandir(descriptor: int) -> Any:
        if os.fstat(descriptor).st_ino == inode:
            raise OSError(errno.EIO, "Input/output error")
        return real_scandir(descriptor)

    patch.setattr("os.open", broken_open)
    patch.setattr("os.scandir", broken_scandir)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("now", ["file", "directory"])
@pytest.mark.parametrize("before", ["file", "directory"])
def test_what_cannot_be_read_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, now: str, full: bool
) -> None:
    """Whatever kind it was and is: the last stored version stays, with all below it, and counts as what it is."""
    make_small(monkeypatch)
    source = tmp_path / "source"
    (source / "there").mkdir(parents=True)
    (source / "there" / "other").write_text("other")
    path = source / "v"

    def make(kind: str) -> None:
        if kind == "file":
            path.write_text(kind)
        else:
            (path / "below" / "deep").mkdir(parents=True)
            (path / "below" / "deep" / "file").write_text("deep")
            (path / "file").write_text(kind)

    make(before)
    world, show = World(source), Silent()
    first, _ = world.backup()
    kept = keep(source, "kept")
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(now)
    if full:
        keep_layers(monkeypatch, 0)
    with monkeypatch.context() as patch:
        fail(patch, path)
        second, _ = world.backup(show=show)
    assert [path for path, _ in show.problems] == [b"v"]
    assert (second.totals.unreadable, second.unreadable) == (1, [b"v"])
    assert (second.totals.files, second.totals.size) == (first.totals.files, first.totals.size)
    assert second.totals.removed == 0
    world.restore(tmp_path / "restored")
    assert [each for each in differences(kept, tmp_path / "restored") if "modification time" not in each] == []


@pytest.mark.parametrize("full", [False, True])
def test_below_a_listing_that_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    """What is no longer listed stays, beside what is, also when something in between cannot be read itself."""
    make_small(monkeypatch)
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    for name in ("d/a", "d/z", "e"):
        (source / name).write_text(name)
    world, show = World(source), Silent()
    world.backup()
    (source / "d" / "a").write_text("d/a again")
    (source / "d" / "b").write_text("new")
    kept = keep(source, "kept")
    if full:
        keep_layers(monkeypatch, 0)
    real, inodes = os.scandir, {source.stat().st_ino: "d", (source / "d").stat().st_ino: "b"}

    @contextmanager
    def scandir(descriptor: int) -> Iterator[Iterator[os.DirEntry[str]]]:
        def broken(items: list[os.DirEntry[str]], last: str) -> Iterator[os.DirEntry[str]]:
            yield from (item for item in items if item.name <= last)
            raise OSError(errno.EIO, "Input/output error")

        with real(descriptor) as items:
            yield broken(list(items), inodes[os.fstat(descriptor).st_ino])

    with monkeypatch.context() as patch:
        fail(patch, source / "d" / "b")
        patch.setattr("os.scandir", scandir)
        world.backup(show=show)
    assert [path for path, _ in show.problems] == [b"", b"d", b"d/b"]
    world.restore(tmp_path / "restored")
    (kept / "d" / "b").unlink()  # was never read
    found = differences(kept, tmp_path / "restored")
    assert [each for each in found if "modification time" not in each] == []


def test_own_files_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of azbackup is not backed up, whoever's home it is in; what else is in its directory is."""
    make_small(monkeypatch)
    source = tmp_path / "home"
    cache = source / ".cache" / "azbackup"
    cache.mkdir(parents=True)
    (source / "f").write_text("f")
    own = [cache / f"{'0123456789abcdef' * 2}.{kind}" for kind in ("records", "lock", "journal", "4711.part")]
    for path in own:
        path.write_text("own")
    twin = source / "other" / own[0].name
    twin.parent.mkdir()
    twin.write_text("of this name, and not azbackup's")
    world = World(source, cache=cache)
    snapshot, _ = world.backup()
    assert (snapshot.totals.files, snapshot.totals.directories) == (2, 3)
    (cache / "notes.txt").write_text("the user's")
    snapshot, _ = world.backup()
    assert (snapshot.totals.files, snapshot.totals.directories, snapshot.totals.new) == (3, 4, 1)
    for path in own:
        path.unlink()
    os.utime(cache, ns=(0, 0))
    world.backup()
    assert_restores(world, source, tmp_path / "restored")


def test_a_tree_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is below a path that is too long is not looked for: the path is named (3), what is beside it is stored."""
    make_small(monkeypatch)
    monkeypatch.setattr("azbackup.commands.backup.entry_reader.PATH_BYTES", 20)
    source = tmp_path / "source"
    source.joinpath(*["deep"] * 30).mkdir(parents=True)
    (source / "z").write_text("z")
    world, show = World(source), Silent()
    snapshot, _ = world.backup(show=show)
    assert [path for path, _ in show.problems] == [b"/".join([b"deep"] * 5)]
    assert (snapshot.totals.files, snapshot.totals.directories, snapshot.totals.unreadable) == (1, 5, 1)


def becomes_a_file(parent: Path) -> None:
    """Put a file where the source's parent was."""
    shutil.rmtree(parent)
    parent.touch()


def becomes_another(parent: Path) -> None:
    """Put another directory of the same name there."""
    parent.rename(f"{parent}.old")
    (parent / "source").mkdir(parents=True)


def becomes_a_loop(parent: Path) -> None:
    """Put a symbolic link to itself there."""
    shutil.rmtree(parent)
    parent.symlink_to(parent)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shutil.rmtree, "vanished"),
        (becomes_a_file, "vanished"),
        (becomes_another, "vanished"),
        (becomes_a_loop, "cannot be read any more"),
    ],
)
def test_a_source_whose_parent_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], words: str
) -> None:
    """Whatever becomes of the way to the source while it is read: an expected failure, and no snapshot."""
    make_small(monkeypatch)
    source = tmp_path / "parent" / "source"
    source.mkdir(parents=True)
    (source / "f").write_text("content")
    world, real = World(source), os.read

    def read(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        if data == b"content":
            change(source.parent)
        return data

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", read)
        with pytest.raises(AzbackupError, match=words):
            world.backup()
    assert world.numbers() == []
