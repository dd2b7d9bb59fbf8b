"""The second look: what is read is what was scanned, or says that it is not."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from azbackup.filesystem import metadata
from azbackup.filesystem.metadata import read_xattrs
from azbackup.filesystem.reader import Replaced, open_file, read_target
from azbackup.filesystem.scanner import entry_of, same_moment
from azbackup.format.model import Entry, Kind


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[int]:
    """Give a descriptor of the test's directory."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def look(path: Path) -> Entry:
    """Return the entry of a path."""
    entry = entry_of(os.fsencode(path.name), path.lstat())
    assert entry is not None
    return entry


def test_a_file_is_opened_as_it_is_now(tmp_path: Path, parent: int) -> None:
    """The descriptor reads the contents, the entry says what they are now."""
    (tmp_path / "f").write_bytes(b"before")
    expected = look(tmp_path / "f")
    (tmp_path / "f").write_bytes(b"after it grew")
    descriptor, now = open_file("f", parent, expected)
    assert os.read(descriptor, 100) == b"after it grew"
    assert (now.size, now.path) == (13, b"f")
    os.close(descriptor)


@pytest.mark.parametrize(
    "replace",
    [
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to("nowhere"),
        os.mkfifo,
        lambda path: path.mkdir(),
    ],
    ids=["symlink", "dangling symlink", "fifo", "directory"],
)
def test_what_replaced_a_file_is_not_read(tmp_path: Path, parent: int, replace: Callable[[Path], object]) -> None:
    """Not followed, not waited for: Replaced, and no descriptor is left open."""
    path = tmp_path / "f"
    path.write_bytes(b"x")
    expected = look(path)
    path.unlink()
    replace(path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Replaced):
        open_file("f", parent, expected)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_vanished_is_not_found(tmp_path: Path, parent: int) -> None:
    """FileNotFoundError, which is not Replaced."""
    (tmp_path / "f").touch()
    expected = look(tmp_path / "f")
    (tmp_path / "f").unlink()
    with pytest.raises(FileNotFoundError):
        open_file("f", parent, expected)


def test_a_file_that_was_saved_anew_is_read(tmp_path: Path, parent: int) -> None:
    """Another regular file under the same name, as editors save them, is read as what it is now."""
    (tmp_path / "f").write_bytes(b"before")
    expected = look(tmp_path / "f")
    (tmp_path / "new").write_bytes(b"after")
    (tmp_path / "new").rename(tmp_path / "f")
    descriptor, now = open_file("f", parent, expected)
    assert os.read(descriptor, 100) == b"after"
    assert now.inode != expected.inode
    os.close(descriptor)


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_another_moment(field: str) -> None:
    """A file that was written meanwhile has another size, time or inode."""
    before = Entry(b"f", int(Kind.FILE), size=1, mtime_ns=2, ctime_ns=3, inode=4)
    assert same_moment(before, msgspec.structs.replace(before, mode=0o600))
    assert not same_moment(before, msgspec.structs.replace(before, **{field: 99}))


@pytest.mark.parametrize("target", [b"x", b"../up", b"\xff\xfe", b"t" * 4000])
def test_targets_are_bytes(tmp_path: Path, parent: int, target: bytes) -> None:
    """A link's target comes back as the file system keeps it."""
    os.symlink(target, os.fsencode(tmp_path / "l"))
    assert read_target("l", parent) == target


# --- extended attributes


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """Give a file that has extended attributes."""
    path = tmp_path / "f"
    path.touch()
    try:
        os.setxattr(path, b"user.b", b"\x00\xff")
        os.setxattr(path, b"user.a", b"")
    except OSError:  # the one file system of the machine has none
        pytest.skip("the temporary directory holds no extended attributes")
    return path


def user(found: metadata.Attributes) -> list[tuple[bytes, bytes]]:
    """Return the attributes that a user may set; a security module may add its own."""
    return [(name, value) for name, value in found.values if name.startswith(b"user.")]


def test_attributes_by_descriptor_and_by_name(tagged: Path, parent: int) -> None:
    """Sorted by name, values as bytes, the same both ways."""
    descriptor = os.open(tagged, os.O_RDONLY)
    expected = [(b"user.a", b""), (b"user.b", b"\x00\xff")]
    assert user(read_xattrs("f", parent, descriptor)) == expected
    assert user(read_xattrs("f", parent)) == expected
    os.close(descriptor)


def test_a_links_attributes_are_its_own(tagged: Path, parent: int) -> None:
    """Those of what it points to are not taken for the link's."""
    (tagged.parent / "l").symlink_to("f")
    assert user(read_xattrs("l", parent)) == []


def test_attributes_of_the_source_itself(tagged: Path, parent: int) -> None:
    """The source is looked at as '.' below its own descriptor."""
    os.setxattr(tagged.parent, b"user.c", b"dir")
    assert user(read_xattrs(".", parent)) == [(b"user.c", b"dir")]


def test_attributes_beyond_the_limit_are_left_out(tagged: Path, parent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits is kept, what does not is named: the entry is stored with both."""
    os.setxattr(tagged, b"user.long", bytes(100))
    os.setxattr(tagged, b"user.z", b"z")
    monkeypatch.setattr(metadata, "XATTR_BYTES", 50)
    found = read_xattrs("f", parent)
    assert user(found) == [(b"user.a", b""), (b"user.b", b"\x00\xff"), (b"user.z", b"z")]
    assert "user.long" in found.lacks
    assert "user.z" not in found.lacks


@pytest.mark.parametrize("error", [errno.EIO, errno.EINVAL, errno.E2BIG, errno.ESTALE, errno.ENOSYS])
@pytest.mark.usefixtures("tagged")
def test_attributes_that_cannot_be_read(parent: int, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """Whatever the file system answers is said, and is no error: not to the list, not to one of them."""

    def fail(_: object, name: str = "", **__: object) -> bytes:
        if name != "user.b":
            raise OSError(error, os.strerror(error))
        return b"two"

    with monkeypatch.context() as patch:
        patch.setattr(os, "getxattr", fail)
        found = read_xattrs("f", parent)
    assert (user(found), "user.a" in found.lacks) == ([(b"user.b", b"two")], True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "listxattr", fail)
        found = read_xattrs("f", parent)
    assert (found.values, os.strerror(error) in found.lacks) == ([], True)


def test_attributes_without_proc(parent: int, tagged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc is not mounted an entry is not taken for one that vanished."""

    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "listxattr", fail)
    assert "cannot be listed" in read_xattrs("f", parent).lacks
    tagged.unlink()
    with pytest.raises(FileNotFoundError):
        read_xattrs("f", parent)


def test_no_attributes_where_there_can_be_none(parent: int, tmp_path: Path) -> None:
    """A fifo has none, and that is no error."""
    os.mkfifo(tmp_path / "p")
    assert user(read_xattrs("p", parent)) == []


def test_attributes_of_what_vanished_are_not_found(parent: int) -> None:
    """FileNotFoundError tells a file that vanished from one without attributes."""
    with pytest.raises(FileNotFoundError):
        read_xattrs("nothing", parent)
