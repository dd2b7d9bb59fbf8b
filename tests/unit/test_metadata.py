"""Metadata is set after contents, on what is held by a descriptor, and never opens a file to more people."""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from azbackup.filesystem.destination import Destination
from azbackup.filesystem.metadata import MetadataWriter, group_bits
from azbackup.format.model import Entry, Kind

TIME = 1_600_000_000_123_456_789
NOBODY = 65534
ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"
STRANGER = 4242


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return an ACL as the kernel takes it, from (tag, rights, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NONE = 0xFFFFFFFF
OPEN_TO_STRANGER = acl((1, 7, NONE), (2, 7, STRANGER), (4, 5, NONE), (16, 7, NONE), (32, 5, NONE))


def file(path: bytes = b"f", **fields: object) -> Entry:
    """Return a file's entry."""
    return Entry(path, int(Kind.FILE), **{"size": 0, "mtime_ns": TIME, "mode": 0o640, **fields})  # type: ignore[arg-type]


def restored(root: Path, *entries: Entry, owner: bool = False, privileges: bool = True) -> list[str]:
    """Restore entries, and return what is said about them."""
    found = Destination(os.fsencode(root), owner=owner, privileges=privileges)
    try:
        for entry in entries:
            if entry.kind == Kind.DIRECTORY:
                found.make_directory(entry)
            elif entry.kind == Kind.FILE:
                found.prepare(entry)
            else:
                found.make_special(entry)
        assert [error for _, error in found.settle()] == [None] * sum(entry.kind == Kind.FILE for entry in entries)
        for entry in reversed(entries):
            if entry.kind == Kind.DIRECTORY:
                found.finish_directory(entry)
        return found.notes
    finally:
        found.close()


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Give a way to have a system call refused, as file systems do that cannot do it."""

    def refuse_one(name: str, number: int) -> None:
        def refused(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, name, refused)

    return refuse_one


# --- contents come before metadata


@pytest.mark.parametrize("name", ["chmod", "utime", "setxattr", "chown"])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOSPC, errno.E2BIG, errno.EDQUOT, errno.EIO])
def test_what_cannot_be_set_is_a_note(
    tmp_path: Path, refuse: Callable[[str, int], None], name: str, number: int
) -> None:
    """Owner, mode, time or an attribute is refused, for whatever reason: the file is there, and the note names it."""
    refuse(name, number)
    entry = file(xattrs=[(b"user.a", b"1")], uid=os.geteuid(), gid=os.getegid())
    notes = restored(tmp_path, entry, owner=True)
    assert (tmp_path / "f").exists()
    assert [note for note in notes if note.endswith(": f") and os.strerror(number) in note]


def test_many_notes_are_few_lines(tmp_path: Path, refuse: Callable[[str, int], None]) -> None:
    """A file system that can do something for no file at all gets a line that names some and counts the others."""
    refuse("utime", errno.EPERM)
    (note,) = restored(tmp_path, *(file(b"%03d" % number) for number in range(100)))
    assert note.startswith("time could not be set here (Operation not permitted): 000, 001, ")
    assert note.endswith(" and 90 more")


# --- ACLs are the entry's and no others


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Give a directory whose default ACL lets a stranger read what is made in it."""
    path = tmp_path / "shared"
    path.mkdir()
    try:
        os.setxattr(path, DEFAULT_ACL, OPEN_TO_STRANGER)
    except OSError as error:
        pytest.skip(f"no ACLs here: {error.strerror}")
    return path


def acls(path: Path) -> list[str]:
    """Return the names of a path's ACLs."""
    return [name for name in os.listxattr(path, follow_symlinks=False) if "acl" in name]


def test_no_acl_is_inherited(shared: Path) -> None:
    """Files, directories, those in them and fifos have no ACL but the snapshot's, in the first run or later."""
    entries = [
        Entry(b"d", int(Kind.DIRECTORY), mtime_ns=TIME, mode=0o770),
        file(b"d/f", mode=0o660),
        file(b"f", mode=0o660),
        Entry(b"p", int(Kind.FIFO), mtime_ns=TIME, mode=0o660),
    ]
    for _ in range(2):
        restored(shared, *entries)
        assert {entry.path: acls(shared / os.fsdecode(entry.path)) for entry in entries} == {
            entry.path: [] for entry in entries
        }
    assert stat.S_IMODE((shared / "f").stat().st_mode) == 0o660


def test_a_directory_that_is_there_gets_the_snapshots_acls(shared: Path) -> None:
    """ACLs and attributes of an earlier state go, those of the entry come; a file made in it later has its own."""
    (shared / "d").mkdir()
    os.setxattr(shared / "d", "user.old", b"1")
    own = acl((1, 7, NONE), (2, 4, 77), (4, 5, NONE), (16, 5, NONE), (32, 0, NONE))
    entry = Entry(b"d", int(Kind.DIRECTORY), mtime_ns=TIME, mode=0o750, xattrs=[(DEFAULT_ACL.encode(), own)])
    restored(shared, entry)
    assert os.listxattr(shared / "d") == [DEFAULT_ACL]
    assert os.getxattr(shared / "d", DEFAULT_ACL) == own
    restored(shared, file(b"d/f"))
    assert acls(shared / "d/f") == []


def test_an_acl_that_cannot_go_keeps_the_stranger_out(shared: Path, refuse: Callable[[str, int], None]) -> None:
    """Where an inherited ACL stays, the mode gives it no rights."""
    refuse("removexattr", errno.EPERM)
    restored(shared, file(mode=0o664))
    assert stat.S_IMODE((shared / "f").stat().st_mode) & 0o070 == 0


def test_an_acl_that_cannot_come_gives_its_rights_to_nobody_else(
    tmp_path: Path, refuse: Callable[[str, int], None]
) -> None:
    """The mode's bits for the group are the ACL's mask: without the ACL the group gets what it had, not more."""
    refuse("setxattr", errno.ENOTSUP)
    own = acl((1, 6, NONE), (2, 6, 77), (4, 0, NONE), (16, 6, NONE), (32, 0, NONE))
    restored(tmp_path, file(mode=0o660, xattrs=[(ACL.encode(), own)]))
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


@pytest.mark.parametrize("value", [b"", b"\2\0\0\0", b"\2\0\0\0\4", acl((1, 7, NONE)), b"\xff" * 21])
def test_odd_acls_give_nothing(value: bytes) -> None:
    """What is no ACL allows the group nothing."""
    assert group_bits(value) == 0


# --- groups


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has groups to choose from")
@pytest.mark.parametrize(("member", "group"), [(True, NOBODY), (False, 0)])
def test_no_group_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, member: bool, group: int) -> None:
    """In a directory with setgid a file gets the entry's group, or its user's own, but not that of the directory."""
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, 0, STRANGER)
    shared.chmod(0o2777)
    monkeypatch.setattr(os, "getgroups", lambda: [NOBODY, STRANGER] if member else [STRANGER])
    entries = [
        Entry(b"d", int(Kind.DIRECTORY), mtime_ns=TIME, mode=0o770, gid=NOBODY),
        file(b"d/f", mode=0o660, gid=NOBODY),
        file(b"f", mode=0o660, gid=NOBODY),
        Entry(b"p", int(Kind.FIFO), mtime_ns=TIME, mode=0o660, gid=NOBODY),
    ]
    for _ in range(2):
        assert restored(shared, *entries) == []
        assert {(shared / os.fsdecode(entry.path)).stat().st_gid for entry in entries} == {group}
    status = (shared / "f").stat()
    assert MetadataWriter(owner=False).is_right(entries[2], status, os.fsencode(shared / "f"))
    os.chown(shared / "f", 0, STRANGER)
    status = (shared / "f").stat()
    assert MetadataWriter(owner=False).is_right(entries[2], status, os.fsencode(shared / "f")) is not member


# --- privileges


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755])
@pytest.mark.parametrize("uid", [0, 12345])
def test_without_the_owner_there_is_no_setuid(tmp_path: Path, mode: int, uid: int) -> None:
    """An ordinary user's restore of another's program: the bits go, and the note says so."""
    (note,) = restored(tmp_path, file(mode=mode, uid=uid + (os.geteuid() == uid), gid=os.getegid()))
    assert "setuid" in note
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode & 0o777


def test_ones_own_setuid_stays(tmp_path: Path) -> None:
    """A user who restores a program of their own gets it as it was; a directory's setgid grants nothing."""
    own: dict[str, object] = {"uid": os.geteuid(), "gid": os.getegid()}
    directory = Entry(b"d", int(Kind.DIRECTORY), mtime_ns=TIME, mode=0o2775, uid=12345)
    assert restored(tmp_path, file(mode=0o6755, **own), directory) == []
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o6755
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o2775


def test_an_owner_that_was_refused_takes_setuid_along(tmp_path: Path, refuse: Callable[[str, int], None]) -> None:
    """In a container whose root may not give files away: contents and mode come back, setuid does not."""
    refuse("chown", errno.EPERM)
    notes = restored(tmp_path, file(mode=0o4755, uid=12345), owner=True)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o755
    assert len(notes) == 2


def test_privileges_are_left_out_by_request(tmp_path: Path) -> None:
    """setuid, capabilities and devices do not come back; everything else of the file does."""
    own: dict[str, object] = {"uid": os.geteuid(), "gid": os.getegid()}
    xattrs = [(b"security.capability", b"x"), (b"trusted.a", b"1"), (b"user.a", b"1")]
    entry = file(mode=0o6755, xattrs=xattrs, **own)
    restored(tmp_path, entry, privileges=False)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o755
    assert {name for name in os.listxattr(tmp_path / "f") if not name.startswith("security.selinux")} <= {"user.a"}


# --- nothing is changed by a name


@pytest.mark.parametrize("mode", [0o4777, 0o644])
def test_a_fifo_that_is_exchanged_while_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    """A link in its place at any moment between making and naming it: what the link points to is as it was."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    victim.chmod(0o600)
    root = tmp_path / "root"
    root.mkdir()
    make = os.mkfifo

    def exchanged(name: bytes, *arguments: object, dir_fd: int) -> None:
        make(name, *arguments, dir_fd=dir_fd)  # type: ignore[arg-type]
        os.unlink(name, dir_fd=dir_fd)
        os.symlink(victim, os.fsdecode(name), dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkfifo", exchanged)
    with pytest.raises(Exception, match="exchanged"):
        restored(root, Entry(b"p", int(Kind.FIFO), mtime_ns=TIME, mode=mode))
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert list(root.iterdir()) == []


def test_metadata_is_set_without_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every call that changes owner, mode, time or attributes is given a descriptor, as a number or below /proc."""
    given: list[object] = []
    for name in ("chown", "chmod", "utime", "setxattr", "removexattr", "lchown", "fchmod", "fchown"):
        call = getattr(os, name)

        def noted(where: object, *arguments: object, call: Callable[..., None] = call, **named: object) -> None:
            given.append(where)
            call(where, *arguments, **named)

        monkeypatch.setattr(os, name, noted)
    restored(
        tmp_path,
        Entry(b"d", int(Kind.DIRECTORY), mode=0o700, mtime_ns=TIME),
        file(xattrs=[(b"user.a", b"1")]),
        Entry(b"l", int(Kind.SYMLINK), target=b"t", mtime_ns=TIME),
        Entry(b"p", int(Kind.FIFO), mode=0o600, mtime_ns=TIME),
    )
    assert given
    assert [each for each in given if not isinstance(each, int) and not bytes(each).startswith(b"/proc/self/fd/")] == []  # type: ignore[call-overload]


# --- comparing


@pytest.mark.parametrize(
    ("change", "right"),
    [
        (lambda path: path.stat(), True),
        (lambda path: path.chmod(0o600), False),
        (lambda path: os.setxattr(path, "user.b", b"1"), False),
        (lambda path: os.removexattr(path, "user.a"), False),
        (lambda path: os.setxattr(path, "user.a", b"2"), False),
    ],
    ids=["as it is", "mode", "one more", "one less", "another value"],
)
def test_metadata_that_differs_is_seen(tmp_path: Path, change: Callable[[Path], None], *, right: bool) -> None:
    """Mode and attributes are compared as they would be set."""
    entry = file(xattrs=[(b"user.a", b"1")])
    if restored(tmp_path, entry):
        pytest.skip("the temporary directory holds no extended attributes")
    change(tmp_path / "f")
    found = MetadataWriter(owner=False)
    assert found.is_right(entry, (tmp_path / "f").stat(), os.fsencode(tmp_path / "f")) is right


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sets owners")
def test_an_owner_that_differs_is_seen(tmp_path: Path) -> None:
    """Root compares owners; others cannot set them and do not."""
    restored(tmp_path, file(uid=NOBODY, gid=NOBODY), owner=True)
    path = tmp_path / "f"
    assert MetadataWriter(owner=True).is_right(file(uid=NOBODY, gid=NOBODY), path.stat(), os.fsencode(path))
    os.chown(path, 1, NOBODY)
    assert not MetadataWriter(owner=True).is_right(file(uid=NOBODY, gid=NOBODY), path.stat(), os.fsencode(path))
    assert MetadataWriter(owner=False).is_right(file(uid=NOBODY, gid=NOBODY), path.stat(), os.fsencode(path))
