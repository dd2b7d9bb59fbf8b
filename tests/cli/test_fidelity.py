"""What comes back is what was there: one tree of every kind of thing, backed up once, restored as root and as nobody.

Each kind has a directory of its own in the tree, and a test of its own that compares it before and after.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.cli.conftest import NOBODY, Cli, is_root, open_directory
from tests.cli.trees import Tree, describe, differences, make_socket, open_deep, subtree
from tests.conftest import ScriptResult

KIB, MIB = 1024, 1024 * 1024
ROOT = os.geteuid() == 0
LIMITS = (512 * KIB, MIB, 8 * MIB)
pytestmark = pytest.mark.differs


def _noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _make_contents(top: Path) -> None:
    sizes = [0, 1, 3, 4095, 4096, 4097, *(limit + step for limit in LIMITS for step in (-1, 0, 1)), 11 * MIB + 7]
    for size in sizes:
        (top / f"noise-{size}").write_bytes(_noise(size, size))
        (top / f"text-{size}").write_bytes((b"line %d of a text\n" % size * (size // 16 + 1))[:size])
    (top / "zeros").write_bytes(bytes(3 * MIB))
    (top / "twin-a").write_bytes(_noise(5, 700 * KIB))
    (top / "twin-b").write_bytes(_noise(5, 700 * KIB))


NAMES = [
    b"latin-1 \xe9\xff",
    b"\xc3\x28 broken utf-8",
    "Ærø Straße 日本語 🎈".encode(),
    "e\u0301 decomposed".encode(),
    "\u00e9 composed".encode(),
    b"new\nline",
    b"carriage\rreturn\ttab",
    b"escape \x1b[31m red \x07\x01\x7f",
    b"-rf",
    b"--help",
    b" blanks ",
    b"...",
    b"..a",
    b"~",
    b"$HOME `id` 'quote' \"double\" * ? [a] {b} \\",
    b"n" * 255,
    b"\xff" * 255,
    ("ж" * 127).encode(),
    b".azbackup-x",
    b"a.txt",
    b"a-",
    b"a0",
]


def _make_names(top: Path) -> None:
    base = os.fsencode(top)
    for name in NAMES:
        Path(os.fsdecode(base + b"/" + name)).write_bytes(b"contents of " + name)
        folder = base + b"/in " + name[:200]
        os.mkdir(folder)
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"deeper " + name)
        os.symlink(name, folder + b"/link")
    os.mkdir(base + b"/a")
    Path(top / "a" / "b").write_bytes(b"sorts between a and a.txt by components only")


def _make_deep(top: Path, name: str, levels: int) -> None:
    """Nested directories, with a file and a link in the deepest."""
    here = open_deep(top, name, levels)
    file = os.open(b"bottom", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=here)
    os.write(file, b"found me")
    os.close(file)
    os.symlink(b"bottom", b"link", dir_fd=here)
    os.utime(b"bottom", ns=(1, 1_234_567_890_123_456_789), dir_fd=here)
    os.close(here)


def _make_long_paths(top: Path) -> None:
    _make_deep(top, "l" * 250, 20)
    assert len(os.fsencode(top)) + 20 * 251 > 4096


def _make_many_levels(top: Path) -> None:
    _make_deep(top, "d", 400)


def _make_modes(top: Path) -> None:
    bits = [*range(0, 0o1000, 0o111), 0o640, 0o755, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777, 0o4000]
    for mode in bits if ROOT else [each | 0o500 for each in bits]:  # others cannot back up what they cannot read
        file, folder = top / f"file-{mode:o}", top / f"folder-{mode:o}"
        file.write_bytes(b"mode")
        folder.mkdir()
        (folder / "inside").write_bytes(b"mode of the folder")
        file.chmod(mode)
        folder.chmod(mode)
    assert not ROOT or stat.S_IMODE((top / "file-7777").stat().st_mode) == 0o7777


TIMES_NS = [
    0,
    1,
    -1,
    -1_000_000_001,
    -86_400 * 365 * 10**9 + 123,
    999_999_999,
    1_700_000_000_123_456_789,
    (2**31 - 1) * 10**9,
    2**31 * 10**9 + 1,
    4_102_444_800 * 10**9 + 987_654_321,
    15_000_000_000 * 10**9,
]


def _make_times(top: Path) -> None:
    for number, time_ns in enumerate(TIMES_NS):
        for path in (top / f"file {number}", top / f"folder {number}", top / f"link {number}"):
            if path.name.startswith("file"):
                path.write_bytes(b"time")
            elif path.name.startswith("folder"):
                path.mkdir()
                (path / "inside").write_bytes(b"time of the folder")
            else:
                path.symlink_to("nowhere")
            os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)
    assert (top / "file 2").lstat().st_mtime_ns == -1


def _make_owners(top: Path) -> None:
    for name, owner in (("nobody", (NOBODY, NOBODY)), ("unknown", (123_456, 654_321)), ("mixed", (0, 4_000_000_000))):
        (top / name).write_bytes(b"owner")
        (top / f"{name} folder").mkdir()
        (top / f"{name} link").symlink_to("nowhere")
        os.mkfifo(top / f"{name} fifo")
        for path in (name, f"{name} folder", f"{name} link", f"{name} fifo"):
            os.chown(top / path, *owner, follow_symlinks=False)
    (top / "setuid of nobody").write_bytes(b"#!")
    os.chown(top / "setuid of nobody", NOBODY, NOBODY)
    (top / "setuid of nobody").chmod(0o6755)


def _make_symlinks(top: Path) -> None:
    (top / "file").write_bytes(b"pointed at")
    (top / "folder").mkdir()
    base = os.fsencode(top)
    targets = [
        *(b"file", b"folder", b"folder/", b"dangling/far/away", b"/etc/passwd", b"/", b".", b"..", b"../../../etc"),
        *(b"self 9", b"\xff\xfe", b"new\nline", b" ", b"x/" * 2047 + b"x", b"y" * 59, b"z" * 60, b"z" * 61),
    ]
    for number, target in enumerate(targets):
        os.symlink(target, base + b"/self %d" % number)
    assert len(os.readlink(base + b"/self 13")) == 4095


def _make_hard_links(top: Path) -> None:
    for folder in ("a", "b", "b/c"):
        (top / folder).mkdir()
    (top / "a" / "first").write_bytes(_noise(8, 600 * KIB))
    for name in ("a/second", "b/third", "b/c/fourth", "zz last"):
        os.link(top / "a" / "first", top / name)
    (top / "empty").write_bytes(b"")
    os.link(top / "empty", top / "b" / "empty too")
    (top / "copy of first").write_bytes(_noise(8, 600 * KIB))
    shutil.copystat(top / "a" / "first", top / "copy of first")


def _acl(*entries: tuple[int, int, int]) -> bytes:
    """(tag, permissions, id) as the kernel's extended attribute. Source: linux/posix_acl_xattr.h."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


_NO_ID = 0xFFFFFFFF
_ACL = _acl((1, 6, _NO_ID), (2, 4, 1234), (4, 4, _NO_ID), (8, 2, 4321), (16, 6, _NO_ID), (32, 0, _NO_ID))
_FOLDER_ACL = _acl((1, 7, _NO_ID), (2, 5, 77), (4, 5, _NO_ID), (16, 5, _NO_ID), (32, 0, _NO_ID))


def _make_attributes(top: Path) -> None:
    file, folder = top / "file", top / "folder"
    file.write_bytes(b"attributes")
    folder.mkdir()
    for path in (file, folder):
        os.setxattr(path, "user.text", b"value")
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, "user.binary", bytes(range(256)))
        os.setxattr(path, "user.long", _noise(3, 1500))
        os.setxattr(path, "user.\u00e6", b"a name that is not ASCII")
    (top / "read-only").write_bytes(b"attributes of a file that cannot be written")
    os.setxattr(top / "read-only", "user.text", b"value")
    (top / "read-only").chmod(0o444)


def _make_acls(top: Path) -> None:
    file, folder = top / "file", top / "folder"
    file.write_bytes(b"access control")
    folder.mkdir()
    (folder / "inside").write_bytes(b"below a default access control list")
    os.setxattr(file, "system.posix_acl_access", _ACL)
    os.setxattr(folder, "system.posix_acl_access", _FOLDER_ACL)
    os.setxattr(folder, "system.posix_acl_default", _FOLDER_ACL)


def _make_root_attributes(top: Path) -> None:
    (top / "file").write_bytes(b"trusted")
    (top / "link").symlink_to("file")
    os.setxattr(top / "file", "trusted.azbackup", b"for root alone")
    os.setxattr(top / "link", "trusted.azbackup", b"of a symlink", follow_symlinks=False)
    # cap_net_raw=ep, revision 2. Source: linux/capability.h, struct vfs_cap_data.
    os.setxattr(top / "file", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
    os.chown(top / "link", NOBODY, NOBODY, follow_symlinks=False)


def _make_sparse(top: Path) -> None:
    def holes(name: str, size: int, *pieces: tuple[int, bytes]) -> None:
        with (top / name).open("wb") as file:
            file.truncate(size)
            for offset, data in pieces:
                file.seek(offset)
                file.write(data)

    holes("all hole", 48 * MIB)
    holes("data in the middle", 24 * MIB + 5, (10 * MIB, b"island"), (12 * MIB + 1, _noise(1, 5000)))
    holes("data at both ends", 20 * MIB, (0, b"front"), (20 * MIB - 4, b"tail"))
    holes("hole at the end", 16 * MIB, (0, _noise(2, 3 * MIB)))
    holes("one byte", 256 * KIB, (131_072, b"!"))
    assert (top / "all hole").stat().st_blocks == 0


def _make_empty(top: Path) -> None:
    for name in ("file", "another"):
        (top / name).touch()
    (top / "folder" / "in" / "folder").mkdir(parents=True)


def _make_fifos(top: Path) -> None:
    os.mkfifo(top / "fifo")
    os.mkfifo(top / "closed", 0o000)
    (top / "fifo").chmod(0o622)
    os.utime(top / "fifo", ns=(5, 1_111_111_111_222_222_222))


def _make_devices(top: Path) -> None:
    for number, (kind, major, minor) in enumerate(
        ((stat.S_IFCHR, 1, 3), (stat.S_IFCHR, 0, 0), (stat.S_IFBLK, 7, 200), (stat.S_IFCHR, 4000, 1_000_000))
    ):
        os.mknod(top / f"device {number}", kind | 0o600, os.makedev(major, minor))
        (top / f"device {number}").chmod(0o662)
    os.chown(top / "device 0", NOBODY, NOBODY)


KINDS: dict[str, Callable[[Path], None]] = {
    "contents": _make_contents,
    "names": _make_names,
    "long paths": _make_long_paths,
    "many levels": _make_many_levels,
    "modes": _make_modes,
    "times": _make_times,
    "symlinks": _make_symlinks,
    "hard links": _make_hard_links,
    "attributes": _make_attributes,
    "acls": _make_acls,
    "sparse": _make_sparse,
    "empty": _make_empty,
    "fifos": _make_fifos,
}
ROOT_KINDS: dict[str, Callable[[Path], None]] = {
    "owners": _make_owners,
    "root attributes": _make_root_attributes,
    "devices": _make_devices,
}


@dataclass(frozen=True)
class Trip:
    """One tree before and after; `skipped` says why a kind could not be made here."""

    before: Tree
    after: Tree
    as_nobody: Tree
    backup: ScriptResult
    restore: ScriptResult
    nobody: ScriptResult | None
    skipped: dict[str, str]


@pytest.fixture(scope="module")
def trip(module_cli: Cli) -> Iterator[Trip]:
    """Give the tree of all kinds, backed up and restored: by whoever runs this, and as nobody when that is root."""
    with open_directory() as work:
        source, restored, others = work / "source", work / "restored", work / "others"
        skipped = _make_all(source)
        before = describe(source)
        backup = module_cli.backup(source, expect=None)
        restore = module_cli.restore(restored, expect=None)
        nobody, as_nobody = None, Tree()
        if ROOT:
            others.mkdir()
            os.chown(others, NOBODY, NOBODY)
            nobody = module_cli.restore(others, expect=None, user=NOBODY)
            as_nobody = describe(others)
        yield Trip(before, describe(restored), as_nobody, backup, restore, nobody, skipped)


def _make_all(source: Path) -> dict[str, str]:
    """Makes the tree; what this file system cannot hold is left out, and why."""
    skipped = {}
    source.mkdir()
    for kind, make in {**KINDS, **(ROOT_KINDS if ROOT else {})}.items():
        (source / kind).mkdir()
        try:
            make(source / kind)
        except OSError as error:
            if kind not in ("attributes", "acls", "root attributes"):
                raise
            skipped[kind] = f"this file system cannot hold them: {error.strerror}"
    make_socket(source / "socket")
    if "attributes" not in skipped:
        os.setxattr(source, "user.of-the-root", b"kept too")
    source.chmod(0o2751)
    os.utime(source, ns=(7, 1_234_567_891_234_567_891))
    return skipped


@pytest.mark.parametrize("kind", [*KINDS, *(pytest.param(kind, marks=is_root) for kind in ROOT_KINDS)])
def test_comes_back(trip: Trip, kind: str) -> None:
    """Everything of this kind is restored exactly as it was."""
    if kind in trip.skipped and not (kind == "acls" and "attributes" not in trip.skipped and os.environ.get("CI")):
        pytest.skip(trip.skipped[kind])
    assert differences(subtree(trip.before, kind.encode()), subtree(trip.after, kind.encode())) == []


def test_whole_tree_comes_back(trip: Trip) -> None:
    """The root itself, the links between the kinds and the statuses are right too: nothing more, nothing less."""
    assert trip.backup.returncode == 0, trip.backup
    assert trip.restore.returncode == 0, trip.restore
    assert differences(trip.before, trip.after) == []


def test_socket_is_skipped_with_a_note(trip: Trip) -> None:
    """A socket is left out, said so, and is no problem."""
    assert "backup.py: socket: skipped: it is a socket\n" in trip.backup.stderr
    assert trip.backup.returncode == 0


def test_names_cannot_drive_a_terminal(trip: Trip) -> None:
    """Whatever the names hold, what is printed holds no control character."""
    for result in (trip.backup, trip.restore, *([trip.nobody] if trip.nobody else [])):
        assert not {char for char in result.stderr + result.stdout if not char.isprintable()} - {"\n"}


@is_root
@pytest.mark.parametrize("kind", KINDS)
def test_another_user_gets_the_same(trip: Trip, kind: str) -> None:
    """Restored without being root, everything but the owners is the same; without its owner a file grants nothing."""
    if kind in trip.skipped:
        pytest.skip(trip.skipped[kind])
    expected, found = subtree(trip.before, kind.encode()), subtree(trip.as_nobody, kind.encode())
    granting = stat.S_ISUID | stat.S_ISGID
    for path, look in expected.items():
        if look.kind != "directory":
            expected[path] = replace(look, mode=look.mode & ~granting)
    assert differences(expected, found, owner=False) == []
    assert {look.owner for look in found.values()} == {(NOBODY, NOBODY)}


@is_root
def test_another_user_is_told_what_could_not_be(trip: Trip) -> None:
    """Devices are for root to make: each is named, the status is 3, and all else is there."""
    assert trip.nobody is not None
    assert trip.nobody.returncode == 3, trip.nobody
    missing = {path for path in trip.before if path not in trip.as_nobody}
    # Device 0:0 marks a hole in an overlay: Linux lets everybody make one, since 5.8.
    assert {b"devices/device %d" % number for number in (0, 2, 3)} == missing - {b"devices/device 1"}
    for path in missing:
        assert f"restore.py: {path.decode()}: only root can make a device\n" in trip.nobody.stderr
    assert "extended attribute trusted.azbackup could not be set here" in trip.nobody.stderr


def test_destination_that_exists_takes_the_roots_metadata(module_cli: Cli, trip: Trip, tmp_path: Path) -> None:
    """An empty directory that is there already becomes the source's root: mode, time, attributes."""
    (tmp_path / "there").mkdir(0o700)
    module_cli.restore(tmp_path / "there")
    assert differences({b"": trip.before[b""]}, {b"": describe(tmp_path / "there")[b""]}) == []


def test_restored_tree_is_seen_as_its_own(module_cli: Cli, trip: Trip, tmp_path: Path) -> None:
    """A second restore into the same place finds every file there, restores none, and changes nothing."""
    module_cli.restore(tmp_path / "twice")
    result = module_cli.restore(tmp_path / "twice")
    assert "restored 0 files" in result.stderr
    assert differences(trip.before, tmp_path / "twice") == []
