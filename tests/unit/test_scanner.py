"""A directory as a stream: everything once, in path order, whatever is in it or happens to it meanwhile."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace as Stat

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import AzbackupError
from azbackup.filesystem.identity import handle_of
from azbackup.filesystem.scanner import ScannedPath, entry_of, is_same_directory, scan
from azbackup.filesystem.source import open_source
from azbackup.format.model import Entry, Kind, order
from tests.cli.trees import make_deep

NAMES = st.sampled_from(["a", "A", "a.txt", "a b", "b", "B", "ä", "\udcff", "-", "x" * 200])
TREES = st.sets(st.lists(NAMES, min_size=1, max_size=4).map(tuple), max_size=15)


def scanned(root: Path) -> list[ScannedPath]:
    """Return everything that a scan finds."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        return list(scan(descriptor))
    finally:
        os.close(descriptor)


def scanned_by_nobody(root: Path) -> list[ScannedPath]:
    """Return what a scan finds without root's rights.

    The directory is opened before they go: its parents may be closed to others, and keep their modes.
    """
    before = os.geteuid()
    root.chmod(0o755)
    descriptor = os.open(root, os.O_RDONLY)
    if before == 0:
        os.seteuid(65534)
    try:
        return list(scan(descriptor))
    finally:
        os.seteuid(before)
        os.close(descriptor)


@given(TREES)
def test_everything_once_in_path_order(tmp_path_factory: pytest.TempPathFactory, paths: set[tuple[str, ...]]) -> None:
    """Whatever the names: every path once, itself first, sorted by components as bytes."""
    root = tmp_path_factory.mktemp("tree")
    for path in paths:
        root.joinpath(*path).mkdir(parents=True, exist_ok=True)
    expected = {b""} | {os.fsencode("/".join(path[:end])) for path in paths for end in range(1, len(path) + 1)}
    found = [each.path for each in scanned(root)]
    assert found == sorted(expected, key=order)


def test_a_name_that_is_listed_twice_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the file system's listing says, in whatever order: each path once, in path order, those marked."""
    for name in ("b", "a/one", "a/two", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    real = os.scandir

    @contextmanager
    def scandir(descriptor: int) -> Iterator[list[os.DirEntry[str]]]:
        with real(descriptor) as items:
            listed = sorted(items, key=lambda item: item.name, reverse=True)
        yield [*listed, *(item for item in listed if item.name in ("a", "two")), *listed[:1]]

    monkeypatch.setattr("os.scandir", scandir)
    found = scanned(tmp_path)
    assert [each.path for each in found] == [b"", b"a", b"a/one", b"a/two", b"b", b"c"]
    assert [each.path for each in found if each.twice] == [b"a", b"a/two", b"c"]


@pytest.mark.parametrize("changes", [0, 1, 2, 99])
def test_a_name_that_a_listing_leaves_out_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    """A directory that changes while it is listed may hide names that are there: it is listed up to four times.

    On tmpfs one name in twenty is missed while a program saves by rename; then a snapshot would lack it, with status 0.
    """
    for number in range(8):
        (tmp_path / f"f{number}").touch()
    real, listings = os.scandir, []

    @contextmanager
    def scandir(descriptor: int) -> Iterator[list[os.DirEntry[str]]]:
        listings.append(descriptor)
        with real(descriptor) as items:
            listed = sorted(items, key=lambda item: item.name)
        if len(listings) <= changes:
            listed = [item for item in listed if item.name != f"f{len(listings) % 4}"]
            os.utime(tmp_path, ns=(0, len(listings)))
        yield listed

    monkeypatch.setattr("os.scandir", scandir)
    found = scanned(tmp_path)
    assert len(found) == 9
    assert len(listings) == min(changes + 1, 4)
    assert not any(each.twice for each in found)


def test_what_is_below_a_skipped_directory_is_not_found(tmp_path: Path) -> None:
    """Whoever takes a directory from the scan may leave out what is in it, and no descriptor stays open."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").touch()
    root = os.open(tmp_path, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    paths = []
    for found in scan(root):
        paths.append(found.path)
        found.skip = found.path == b"a"
    assert paths == [b"", b"a", b"c"]
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(root)


def test_a_source_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error of the source itself is an expected failure: nothing is known of it, and nothing is committed."""

    def scandir(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(AzbackupError, match="Input/output error"):
        scanned(tmp_path)


def test_a_listing_that_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it named before is found; it says that there may be more, of the source and of what is below it."""
    for name in ("a/one", "a/two", "b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    real = os.scandir

    @contextmanager
    def scandir(descriptor: int) -> Iterator[Iterator[os.DirEntry[str]]]:
        def broken(items: list[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
            yield items[0]
            raise OSError(errno.EIO, "Input/output error")

        with real(descriptor) as items:
            yield broken(sorted(items, key=lambda item: item.name))

    monkeypatch.setattr("os.scandir", scandir)
    found = scanned(tmp_path)
    assert [each.path for each in found] == [b"", b"a", b"a/one"]
    assert [each.partly and "Input/output error" in each.error for each in found] == [True, True, False]


def test_whether_a_path_still_leads_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same directory, also where its inode number is another one each time; another one is not."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    paths = [os.fsencode(tmp_path / name) for name in ("a", "b")]
    assert [is_same_directory(descriptor, path) for path in paths] == [True, False]
    if handle_of(".", descriptor):
        monkeypatch.setattr(os.path, "samestat", lambda *_: False)
        assert [is_same_directory(descriptor, path) for path in paths] == [True, False]
    os.close(descriptor)


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [(-11_676_096_000, -(2**63)), (20_000_000_000, 2**64 - 1), (253_402_300_799, 2**64 - 1), (4_000_000_000, None)],
)
def test_a_time_that_does_not_fit(seconds: int, kept: int | None) -> None:
    """Years such as 1600, 2603 and 9999: the nearest time that fits stands for it; such a ctime matches none."""
    times = {"st_mtime_ns": seconds * 10**9, "st_ctime_ns": seconds * 10**9}
    real = os.stat("/dev/null")
    status = Stat(**{name: getattr(real, name) for name in dir(real) if name.startswith("st_")} | times)
    entry = entry_of(b"f", status)  # type: ignore[arg-type]
    assert entry is not None
    assert entry.mtime_ns == (seconds * 10**9 if kept is None else kept)
    assert entry.ctime_ns == (seconds * 10**9 if kept is None else 0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=Entry) == entry


def test_kinds_and_metadata(tmp_path: Path) -> None:
    """Files, directories, links, fifos and devices, each with what a stat says."""
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "file").chmod(0o4640)
    os.link(tmp_path / "file", tmp_path / "hard")
    (tmp_path / "dir").mkdir()
    (tmp_path / "soft").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    os.utime(tmp_path / "file", ns=(1, 1_600_000_000_123_456_789))
    found = {each.path: each.entry for each in scanned(tmp_path)}
    file = found[b"file"]
    assert file is not None
    assert (file.kind, file.size, file.mode, file.links) == (Kind.FILE, 5, 0o4640, 2)
    assert file.mtime_ns == 1_600_000_000_123_456_789
    assert file.ctime_ns == (tmp_path / "file").stat().st_ctime_ns
    kinds = {path: entry.kind for path, entry in found.items() if entry}
    assert kinds == {
        b"": Kind.DIRECTORY,
        b"dir": Kind.DIRECTORY,
        b"fifo": Kind.FIFO,
        b"file": Kind.FILE,
        b"hard": Kind.FILE,
        b"soft": Kind.SYMLINK,
    }


def test_a_device_keeps_its_numbers() -> None:
    """A character device's rdev is kept, and only a device has one."""
    entry = entry_of(b"null", os.stat("/dev/null"))
    assert entry is not None
    assert (entry.kind, entry.rdev) == (Kind.CHARACTER_DEVICE, os.stat("/dev/null").st_rdev)


def test_sparse_files_are_seen(tmp_path: Path) -> None:
    """A file with fewer blocks than bytes is sparse, one that is full is not."""
    with (tmp_path / "hollow").open("wb") as file:
        file.truncate(1 << 20)
    (tmp_path / "full").write_bytes(b"x" * 8192)
    found = {each.path: each.entry for each in scanned(tmp_path)}
    assert [entry.sparse for path in (b"hollow", b"full") if (entry := found[path])] == [True, False]


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither a link to a directory nor one that leads back up is entered."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "up").symlink_to("..")
    (tmp_path / "loop").symlink_to(".")
    assert [each.path for each in scanned(tmp_path)] == [b"", b"dir", b"dir/up", b"loop"]


def test_a_socket_is_found_without_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No backup keeps sockets; it is neither an error nor gone."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        found = scanned(tmp_path)[1]
    assert (found.path, found.entry, found.error, found.gone) == (b"s", None, "", False)


@pytest.mark.differs
def test_an_unreadable_directory_is_found_with_its_error(tmp_path: Path) -> None:
    """It has its entry and says why its contents are not known; what is beside it is found."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "inside").touch()
    (tmp_path / "z").touch()
    (tmp_path / "closed").chmod(0)
    found = scanned_by_nobody(tmp_path)
    assert [each.path for each in found] == [b"", b"closed", b"z"]
    assert found[1].entry is not None
    assert "Permission denied" in found[1].error


@pytest.mark.differs
def test_what_cannot_be_looked_at_is_found_with_its_error(tmp_path: Path) -> None:
    """A directory that may be listed but not searched: names are known, nothing else."""
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / "inside").touch()
    (tmp_path / "listed").chmod(0o444)
    found = scanned_by_nobody(tmp_path)
    assert [each.path for each in found] == [b"", b"listed", b"listed/inside"]
    assert found[2].entry is None
    assert "Permission denied" in found[2].error
    assert not found[2].gone


def test_what_vanishes_is_gone(tmp_path: Path) -> None:
    """A file, a directory and its contents that vanish after they were listed are no errors."""
    for name in ("b", "c", "d"):
        (tmp_path / name).touch()
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "x").touch()
    root = os.open(tmp_path, os.O_RDONLY)
    found = []
    for each in scan(root):
        found.append(each)
        if each.path == b"b":
            (tmp_path / "c").unlink()
            shutil.rmtree(tmp_path / "e")
    os.close(root)
    assert [(each.path, each.gone) for each in found[1:]] == [(b"b", False), (b"c", True), (b"d", False), (b"e", True)]
    assert not any(each.error for each in found)


def test_a_directory_that_becomes_a_link_is_not_entered(tmp_path: Path) -> None:
    """Swapped between the look and the opening, or before the look: never followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    (source / "b").mkdir()
    root = os.open(source, os.O_RDONLY)
    found = []
    for each in scan(root):
        found.append(each.path)
        if each.path == b"a":
            (source / "b").rmdir()
            (source / "b").symlink_to(outside)
    os.close(root)
    assert b"b/secret" not in found


def test_depth_beyond_path_max(tmp_path: Path) -> None:
    """A tree whose paths no system call could take is scanned to its end."""
    name, depth = "d" * 250, 20
    make_deep(tmp_path, name, depth)
    found = scanned(tmp_path)
    assert len(found[-1].path) == depth * 251 - 1 > 4096
    assert len(found) == depth + 1
    assert not any(each.error for each in found)


def test_more_depth_than_descriptors(tmp_path: Path) -> None:
    """Where descriptors run out the directory says so, and what is beside it is still found."""
    make_deep(tmp_path, "d", 100)
    (tmp_path / "e").touch()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 30, before[1]))
    try:
        found = scanned(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert ["Too many open files" in each.error for each in found if each.error] == [True]
    assert found[-1].path == b"e"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Neither after a whole scan nor after one that was given up inside."""
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    scanned(tmp_path)
    root = os.open(tmp_path, os.O_RDONLY)
    giving_up = scan(root)
    while next(giving_up).path != b"a/b/c":
        pass
    giving_up.close()  # type: ignore[attr-defined]
    os.close(root)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_parent_is_where_the_name_is(tmp_path: Path) -> None:
    """`name` below the descriptor `parent` is the entry, as long as it is in hand."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f").write_bytes(b"x")
    root = os.open(tmp_path, os.O_RDONLY)
    for found in scan(root):
        assert found.entry is not None
        there = os.stat(found.name, dir_fd=found.parent, follow_symlinks=False)
        assert (there.st_ino, stat.S_IMODE(there.st_mode)) == (found.entry.inode, found.entry.mode)
    os.close(root)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "no such directory"),
        (lambda path: path.touch(), "not a directory"),
        (lambda path: path.symlink_to(path), "cannot open"),
    ],
)
def test_a_source_that_cannot_be_opened(tmp_path: Path, make: object, message: str) -> None:
    """It is named, with the reason."""
    assert callable(make)
    make(tmp_path / "source")
    with pytest.raises(AzbackupError, match=message):
        open_source(os.fsencode(tmp_path / "source"))


def test_a_source_may_be_a_link(tmp_path: Path) -> None:
    """The link that was named is followed; links inside are not."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    descriptor = open_source(os.fsencode(tmp_path / "link"))
    assert os.fstat(descriptor).st_ino == (tmp_path / "real").stat().st_ino
    os.close(descriptor)
