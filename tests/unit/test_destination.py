"""Entries become files below one directory and nowhere else, each only when it is right."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import AzbackupError, Damaged, Status
from azbackup.filesystem import temporaries as module
from azbackup.filesystem.destination import Destination
from azbackup.filesystem.directories import OPEN_DIRECTORIES, Unwritable, out_of_space
from azbackup.filesystem.temporaries import is_temporary
from azbackup.format.model import Entry, Kind
from azbackup.format.paths import check_path

TIME = 1_600_000_000_123_456_789


def file(path: bytes, size: int = 5, **fields: object) -> Entry:
    """Return a file's entry."""
    return Entry(path, int(Kind.FILE), size=size, mtime_ns=TIME, mode=0o640, **fields)  # type: ignore[arg-type]


def directory(path: bytes, mode: int = 0o755) -> Entry:
    """Return a directory's entry."""
    return Entry(path, int(Kind.DIRECTORY), mtime_ns=TIME, mode=mode)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give an empty directory beside which nothing may appear."""
    path = tmp_path / "outside" / "root"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def destination(root: Path) -> Iterator[Destination]:
    """Give a destination that does not set owners."""
    found = Destination(os.fsencode(root), owner=False)
    yield found
    found.close()


def finish(destination: Destination, entry: Entry) -> None:
    """Let a file whose pieces are written appear, in a batch of its own."""
    destination.prepare(entry)
    for _, error in destination.settle():
        if error is not None:
            raise error


def temporaries(root: Path) -> list[Path]:
    """Return the writer's own files below a directory."""
    return [path for path in root.rglob("*") if is_temporary(os.fsencode(path.name))]


# --- names


@pytest.mark.parametrize(
    "path",
    [b"..", b"../x", b"a/../x", b"a/..", b"/", b"/etc/passwd", b"a//b", b"a/", b".", b"./a", b"a/./b", b"a\0b", b"\0"],
)
def test_paths_that_lead_elsewhere_are_damaged(path: bytes) -> None:
    """Nobody's scanner wrote them."""
    with pytest.raises(Damaged):
        check_path(path)


@pytest.mark.parametrize(
    "path", [b"", b"a", b"...", b"..a", b"a/b", b" ", b"\xff\xfe", b"a\\b", b"C:", b"a\nb", b"-rf"]
)
def test_odd_names_are_names(path: bytes) -> None:
    """Whatever a file system can hold may come back."""
    check_path(path)


@given(st.binary(max_size=12))
def test_a_checked_path_stays_below(path: bytes) -> None:
    """What passes the check, joined to a directory and made plain, is below it."""
    try:
        check_path(path)
    except Damaged:
        return
    joined = os.path.normpath(b"/root/dir/" + path)
    assert joined == (b"/root/dir/" + path).rstrip(b"/")


# --- files


def test_a_file_appears_when_it_is_finished(root: Path, destination: Destination) -> None:
    """Written in any order under a temporary name, then there at once with contents, mode and time."""
    entry = file(b"a/b/f", size=6)
    destination.write(entry, 3, b"def")
    destination.write(entry, 0, b"abc")
    assert not (root / "a/b/f").exists()
    assert len(temporaries(root)) == 1
    finish(destination, entry)
    status = (root / "a/b/f").stat()
    assert (root / "a/b/f").read_bytes() == b"abcdef"
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o640, TIME)
    assert temporaries(root) == []


def test_an_empty_file_appears(root: Path, destination: Destination) -> None:
    """No piece is ever written of it."""
    finish(destination, file(b"f", size=0))
    assert (root / "f").read_bytes() == b""


def test_a_discarded_file_leaves_nothing(root: Path, destination: Destination) -> None:
    """Its temporary is removed, and what stood under its name is as it was."""
    (root / "f").write_bytes(b"old")
    destination.write(file(b"f"), 0, b"new")
    destination.discard(b"f")
    assert [path.name for path in root.iterdir()] == ["f"]
    assert (root / "f").read_bytes() == b"old"


def test_closing_leaves_no_temporaries(root: Path) -> None:
    """What was not finished is removed, in every directory, however many there are."""
    found = Destination(os.fsencode(root), owner=False)
    for number in range(100):
        found.write(file(b"%d/d/f" % number), 0, b"x")
    assert len(temporaries(root)) == 100
    found.close()
    assert temporaries(root) == []


def test_more_files_and_directories_than_stay_open(root: Path, destination: Destination) -> None:
    """Pieces of 100 files in 100 directories, in turns: every file is right, few descriptors are open."""
    before = len(os.listdir("/proc/self/fd"))
    entries = [file(b"%03d/f" % number, size=4) for number in range(100)]
    for offset in (2, 0):
        for number, entry in enumerate(entries):
            destination.write(entry, offset, b"%02d" % number)
    assert len(os.listdir("/proc/self/fd")) - before <= OPEN_DIRECTORIES + module._OPEN_FILES
    for entry in entries:
        finish(destination, entry)
    assert [(root / f"{n:03d}/f").read_bytes() for n in range(100)] == [b"%02d%02d" % (n, n) for n in range(100)]


def killed(root: Path, *entries: Entry) -> None:
    """Write a piece of each file in a process that is killed then."""
    process = os.fork()
    if process == 0:
        try:
            found = Destination(os.fsencode(root), owner=False)
            for entry in entries:
                found.write(entry, 0, b"old bytes")
        finally:
            os.kill(os.getpid(), 9)
    os.waitpid(process, 0)


def test_a_killed_runs_temporaries_are_removed(root: Path) -> None:
    """The next run removes them where it restores into, whether it wants these files or not."""
    killed(root, file(b"d/f"), file(b"d/g"))
    assert len(temporaries(root)) == 2
    again = Destination(os.fsencode(root), owner=False)
    again.make_directory(directory(b"d"))
    assert temporaries(root) == []
    again.write(file(b"d/f", size=3), 0, b"new")
    finish(again, file(b"d/f", size=3))
    again.close()
    assert (root / "d/f").read_bytes() == b"new"


def test_two_runs_at_once_each_write_their_own(root: Path) -> None:
    """Two restores of different contents: each file that appears is one run's whole, and no run removes the other's."""
    first, second = Destination(os.fsencode(root), owner=False), Destination(os.fsencode(root), owner=False)
    entry = file(b"d/f", size=6)
    first.make_directory(directory(b"d"))
    first.write(entry, 0, b"fir")
    second.make_directory(directory(b"d"))
    second.write(entry, 0, b"sec")
    first.write(entry, 3, b"st!")
    finish(first, entry)
    assert (root / "d/f").read_bytes() == b"first!"
    second.write(entry, 3, b"ond")
    assert len(temporaries(root)) == 1
    second.close()
    first.close()
    assert (root / "d/f").read_bytes() == b"first!"
    assert temporaries(root) == []


def test_a_run_below_another_removes_nothing_that_is_open(root: Path) -> None:
    """A restore into a directory within the other one's destination leaves the file alone that is being written."""
    outer = Destination(os.fsencode(root), owner=False)
    outer.make_directory(directory(b"d"))
    outer.write(file(b"d/f"), 0, b"12345")
    inner = Destination(os.fsencode(root / "d"), owner=False)
    inner.make_directory(directory(b""))
    inner.close()
    finish(outer, file(b"d/f"))
    outer.close()
    assert (root / "d/f").read_bytes() == b"12345"


def test_names_that_only_look_like_temporaries_stay(root: Path) -> None:
    """A name counts as a restore's own by its exact form."""
    names = [".azbackup-x.part", ".azbackup-0123456789abcde.part", ".azbackup-0123456789abcdeg.part", "x.part"]
    for name in names:
        (root / name).write_bytes(b"mine")
    found = Destination(os.fsencode(root), owner=False)
    found.make_directory(directory(b""))
    found.close()
    assert sorted(os.listdir(root)) == sorted(names)


@pytest.mark.parametrize("exchange", ["another file", "a fifo", "a link", "nothing"])
def test_a_temporary_that_was_exchanged_is_not_written(root: Path, exchange: str) -> None:
    """Opened again by its name, it has to be the file that was made: else the file is named, and nothing hangs."""
    root.chmod(0o777)  # somebody else may write here
    found = Destination(os.fsencode(root), owner=False)
    entries = [file(b"%03d" % number, size=8) for number in range(module._OPEN_FILES + 1)]
    found.write(entries[0], 0, b"half")
    (first,) = temporaries(root)
    for entry in entries[1:]:
        found.write(entry, 0, b"half")
    victim = root.parent / "victim"
    victim.write_bytes(b"safe")
    first.rename(root / "taken")
    if exchange == "another file":
        first.write_bytes(b"")
    elif exchange == "a fifo":
        os.mkfifo(first)
    elif exchange == "a link":
        first.symlink_to(victim)
    with pytest.raises(Unwritable):
        found.write(entries[0], 4, b"rest")
    found.discard(entries[0].path)
    found.close()
    assert victim.read_bytes() == b"safe"
    assert not (root / "000").exists()


def test_a_temporary_that_was_exchanged_does_not_count(root: Path) -> None:
    """Exchanged just before it gets its name: the file is named as not restored."""
    root.chmod(0o777)
    found = Destination(os.fsencode(root), owner=False)
    found.write(file(b"f"), 0, b"12345")
    found.prepare(file(b"f"))
    (only,) = temporaries(root)
    only.unlink()
    only.write_bytes(b"other")
    ((path, error),) = found.settle()
    assert path == b"f"
    assert isinstance(error, Unwritable)
    found.close()


# --- what is in the way


@pytest.mark.parametrize("target", ["..", "/tmp", "nowhere", "."])
def test_a_link_in_the_way_is_not_followed(root: Path, destination: Destination, target: str) -> None:
    """A symlink where a directory belongs: refused, and nothing is written where it leads."""
    (root / "d").symlink_to(target)
    before = sorted(os.listdir(root.parent))
    for action in (
        lambda: destination.write(file(b"d/f"), 0, b"x"),
        lambda: destination.make_directory(directory(b"d")),
        lambda: destination.make_directory(directory(b"d/e")),
        lambda: destination.make_special(Entry(b"d/l", int(Kind.SYMLINK), target=b"t")),
    ):
        with pytest.raises(Unwritable):
            action()  # type: ignore[no-untyped-call]
    with pytest.raises(Unwritable):
        destination.existing.look(b"d/f")
    assert sorted(os.listdir(root.parent)) == before
    assert os.readlink(root / "d") == target


@pytest.mark.parametrize("name", ["file", ".hidden", ".azbackup-0123456789abcdef.part"])
def test_a_directory_with_anything_in_it_is_not_empty(root: Path, destination: Destination, name: str) -> None:
    """Not even with what a killed restore left there."""
    assert destination.existing.is_empty()
    (root / name).write_bytes(b"")
    assert not destination.existing.is_empty()


def test_a_file_in_the_way_of_a_directory(root: Path, destination: Destination) -> None:
    """It is refused, and stays."""
    (root / "d").write_bytes(b"mine")
    with pytest.raises(Unwritable):
        destination.make_directory(directory(b"d"))
    assert (root / "d").read_bytes() == b"mine"


def test_a_directory_in_the_way_of_a_file(root: Path, destination: Destination) -> None:
    """It is refused, stays, and no temporary is left."""
    (root / "f" / "inside").mkdir(parents=True)
    destination.write(file(b"f"), 0, b"x")
    with pytest.raises(Unwritable):
        finish(destination, file(b"f"))
    assert (root / "f" / "inside").is_dir()
    assert temporaries(root) == []


def test_a_link_at_a_files_name_is_replaced(root: Path, destination: Destination) -> None:
    """The name becomes the file; what the link pointed to is as it was."""
    victim = root.parent / "victim"
    victim.write_bytes(b"safe")
    (root / "f").symlink_to(victim)
    destination.write(file(b"f", size=3), 0, b"new")
    finish(destination, file(b"f", size=3))
    assert (victim.read_bytes(), (root / "f").read_bytes()) == (b"safe", b"new")
    assert not (root / "f").is_symlink()


# --- holes


@pytest.mark.parametrize(("offset", "size"), [(0, 1 << 20), (1 << 20, 1 << 20), (12_288, 500_000)])
def test_holes_are_holes(root: Path, destination: Destination, offset: int, size: int) -> None:
    """Zeros in a sparse file take no blocks, at its end as little as inside, and read as zeros."""
    entry = file(b"f", size=2 << 20, sparse=True)
    data = bytearray(2 << 20)
    data[:10] = b"start here"
    data[offset + size // 2 : offset + size // 2 + 3] = b"mid"
    for at in range(0, len(data), 300_000):
        destination.write(entry, at, bytes(data[at : at + 300_000]))
    finish(destination, entry)
    assert (root / "f").read_bytes() == data
    assert (root / "f").stat().st_blocks * 512 <= 64 * 1024


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(1, 9000)), max_size=12), st.integers(1, 7000))
def test_sparse_files_have_their_bytes(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int]], step: int
) -> None:
    """Whatever lies where, and however it is cut into pieces, the contents are right."""
    data = b"".join((b"x" if full else b"\0") * count for full, count in runs)
    root = tmp_path_factory.mktemp("sparse")
    found = Destination(os.fsencode(root), owner=False)
    entry = file(b"f", size=len(data), sparse=True)
    for at in range(0, len(data), step):
        found.write(entry, at, data[at : at + step])
    finish(found, entry)
    found.close()
    assert (root / "f").read_bytes() == data


def test_zeros_of_a_full_file_are_written(root: Path, destination: Destination) -> None:
    """A file that was not sparse comes back with all of its blocks."""
    entry = file(b"f", size=1 << 20)
    destination.write(entry, 0, bytes(1 << 20))
    finish(destination, entry)
    assert (root / "f").stat().st_blocks * 512 >= 1 << 20


# --- directories, links, specials


def test_directories_get_their_metadata_last(root: Path, destination: Destination) -> None:
    """A directory that nobody may write is filled first, and its time is not moved by what is made in it."""
    entry = directory(b"d", mode=0o555)
    destination.make_directory(entry)
    finish(destination, file(b"d/f", size=0))
    destination.finish_directory(entry)
    status = (root / "d").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o555, TIME)
    assert (root / "d/f").exists()


@pytest.mark.parametrize(
    ("kind", "is_it"), [(Kind.SYMLINK, stat.S_ISLNK), (Kind.FIFO, stat.S_ISFIFO)], ids=["symlink", "fifo"]
)
def test_specials_appear_and_replace(root: Path, destination: Destination, kind: Kind, is_it: object) -> None:
    """A link or fifo appears with its time, also in the place of another one."""
    assert callable(is_it)
    entry = Entry(b"s", int(kind), mtime_ns=TIME, mode=0o600, target=b"../\xff nowhere")
    destination.make_special(entry)
    (root / "s").unlink()
    (root / "s").symlink_to("else")
    destination.make_special(entry)
    status = (root / "s").lstat()
    assert is_it(status.st_mode)
    assert status.st_mtime_ns == TIME
    if kind is Kind.SYMLINK:
        assert destination.existing.target(b"s") == b"../\xff nowhere"
    assert temporaries(root) == []


def test_a_hard_link_is_the_same_file(root: Path, destination: Destination) -> None:
    """In another directory, and in the place of what was there."""
    destination.write(file(b"a/f"), 0, b"12345")
    finish(destination, file(b"a/f", links=3))
    (root / "g").write_bytes(b"old")
    destination.make_link(b"g", b"a/f", None)
    destination.make_link(b"b/c/h", b"a/f", None)
    assert {(root / name).stat().st_ino for name in ("a/f", "g", "b/c/h")} == {(root / "a/f").stat().st_ino}
    assert temporaries(root) == []


def test_a_link_over_the_same_file_leaves_nothing(root: Path, destination: Destination) -> None:
    """A name that is one of the file already: renaming does nothing then, and the temporary goes all the same."""
    destination.write(file(b"f", links=2), 0, b"12345")
    finish(destination, file(b"f", links=2))
    for _ in range(2):
        destination.make_link(b"g", b"f", None)
    assert sorted(os.listdir(root)) == ["f", "g"]


def test_attributes_come_back(root: Path, destination: Destination) -> None:
    """Extended attributes are set; one that may not be set is remembered by name, and is no failure."""
    entry = file(b"f", size=0, xattrs=[(b"user.a", b"\x00\xff"), (b"nonsense.b", b"x")])
    finish(destination, entry)
    if any("user.a" in note for note in destination.notes):
        pytest.skip("the temporary directory holds no extended attributes")
    assert os.getxattr(root / "f", "user.a") == b"\x00\xff"
    (note,) = destination.notes
    assert "nonsense.b" in note
    assert note.endswith(": f")


def test_depth_beyond_path_max(destination: Destination) -> None:
    """Paths that no system call could take are restored, from the top down and back up."""
    names = [b"d" * 250] * 20
    entries = [directory(b"/".join(names[: depth + 1])) for depth in range(len(names))]
    for entry in entries:
        destination.make_directory(entry)
    finish(destination, file(b"/".join([*names, b"f"]), size=0))
    for entry in reversed(entries):
        destination.finish_directory(entry)
    assert destination.existing.look(b"/".join([*names, b"f"])) is not None


def test_depth_beyond_the_stack(root: Path, destination: Destination) -> None:
    """More directories within each other than Python allows calls within each other."""
    entries = [directory(b"/".join([b"d"] * depth)) for depth in range(1, 1501)]
    for entry in entries:
        destination.make_directory(entry)
    for entry in reversed(entries):
        destination.finish_directory(entry)
    assert destination.existing.look(entries[-1].path) is not None
    # Python's own rmtree, and so pytest's cleaning up, does not get to the bottom of it.
    subprocess.run(["/bin/rm", "-rf", root / "d"], check=True)


# --- disks that are full


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said(number: int) -> None:
    """It ends the run with status 1, saying what to do."""
    error = out_of_space(OSError(number, os.strerror(number)))
    assert isinstance(error, AzbackupError)
    assert error.status is Status.FAILED
    assert "full" in error.message
    assert error.hint


def test_other_errors_are_not_a_full_disk() -> None:
    """They belong to their path."""
    assert out_of_space(OSError(errno.EACCES, "no")) is None


def test_a_write_that_fails_leaves_nothing(root: Path) -> None:
    """Past the largest size that a file may have here: OSError, and closing removes the temporary."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    found = Destination(os.fsencode(root), owner=False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            found.write(file(b"f", size=20_000), 0, bytes(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found.close()
    assert list(root.iterdir()) == []
