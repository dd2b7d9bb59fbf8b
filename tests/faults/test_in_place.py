"""A restore to where it was keeps what differs, whatever it is, under a name of its own; owners come by name."""

from __future__ import annotations

import os
import shutil
import stat
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azbackup.commands.restore.owners import Owners, take_local_numbers
from azbackup.format.model import Entry, Kind
from tests.cli.trees import describe, differences
from tests.faults.test_over import put
from tests.faults.world import World
from tests.listener import Silent

LONG = "n" * 255


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a backed-up source: files, a link, a directory, a name that is as long as names can be."""
    source = tmp_path / "source"
    for name in ("a", "b", "d/inner", LONG):
        put(source / name, f"stored {name}")
    (source / "link").symlink_to("a")
    (source / "hard").hardlink_to(source / "a")
    world = World(source)
    world.backup()
    return world


def in_place(world: World, **options: Any) -> Silent:
    """Restore to where it was."""
    show = Silent()
    assert world.restore(world.source, show=show, sets_aside=True, **options).damage == []
    return show


def kept(source: Path) -> dict[str, str]:
    """What was kept, by name: contents of files, `directory`, or where a link leads."""
    found = {}
    for path in source.rglob("*.before-restore*"):
        text = os.readlink(path) if path.is_symlink() else "directory" if path.is_dir() else path.read_text()
        found[str(path.relative_to(source))] = text
    return found


def test_what_differs_is_kept(world: World) -> None:
    """Changed files, links, and what is of another kind; what the snapshot does not have is nobody's business."""
    source, before = world.source, describe(world.source)
    put(source / "a", "changed")
    (source / LONG).unlink()
    put(source / LONG, "changed too")
    (source / "link").unlink()
    (source / "link").symlink_to("elsewhere")
    (source / "b").unlink()
    (source / "b" / "was").mkdir(parents=True)
    shutil.rmtree(source / "d")
    put(source / "d", "a file now")
    put(source / "new", "of today")
    show = in_place(world)
    assert show.problems == []
    assert kept(source) == {
        "a.before-restore": "changed",
        "hard.before-restore": "changed",
        f"{'n' * 240}.before-restore": "changed too",
        "link.before-restore": "elsewhere",
        "b.before-restore": "directory",
        "d.before-restore": "a file now",
    }
    assert (source / "b.before-restore" / "was").is_dir()
    assert (source / "new").read_text() == "of today"
    [note] = [note for note in show.notes if "kept beside" in note]
    assert "a.before-restore" in note
    there = describe(source)
    assert (
        differences({path: before[path] for path in before if path}, {path: there[path] for path in before if path})
        == []
    )
    again = in_place(world)
    assert (describe(source), again.notes) == (there, [])
    put(source / "a", "once more")
    in_place(world, delete=True)
    assert kept(source)["a.before-restore"] == "changed"
    assert kept(source)["a.before-restore.2"] == "once more"
    assert not (source / "new").exists(), "--delete was given"


def test_what_changes_after_the_plan_is_kept(world: World) -> None:
    """Hours may lie between plan and file: what came in between is work, too."""
    (world.source / "b").unlink()
    in_place(world, tell=lambda _: put(world.source / "b", "written while it thawed"))
    assert (world.source / "b").read_text() == "stored b"
    assert kept(world.source) == {"b.before-restore": "written while it thawed"}


def test_a_killed_restore_keeps_once(world: World) -> None:
    """A run that was killed between the second name and the rename has kept the file already."""
    put(world.source / "b", "changed")
    (world.source / "b.before-restore").hardlink_to(world.source / "b")
    in_place(world)
    assert kept(world.source) == {"b.before-restore": "changed"}
    assert (world.source / "b").read_text() == "stored b"


def test_where_there_are_no_hard_links(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are renamed instead, and no name that is taken is taken again."""
    put(world.source / "b", "changed")
    put(world.source / "b.before-restore", "from before")

    def link(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    in_place(world)
    assert kept(world.source) == {"b.before-restore": "from before", "b.before-restore.2": "changed"}
    assert (world.source / "b").read_text() == "stored b"


def test_a_dry_run_keeps_and_changes_nothing(world: World) -> None:
    """It says what would be kept."""
    put(world.source / "b", "changed")
    before = describe(world.source)
    show = in_place(world, dry_run=True, plan_only=True)
    assert any(note.startswith("would replace b") and note.endswith("and keep what is there") for note in show.notes)
    assert describe(world.source) == before


def acl(*entries: tuple[int, int, int]) -> bytes:
    """A POSIX ACL as the kernel gives it."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)


def test_owners_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers become those that the names have here, in ACLs too; what has no name, or none here, keeps its number."""
    monkeypatch.setattr("pwd.getpwnam", lambda name: SimpleNamespace(pw_uid={"anna": 2001}[name]))
    monkeypatch.setattr("grp.getgrnam", lambda name: SimpleNamespace(gr_gid={"staff": 3001}[name]))
    old = acl((0x01, 6, 0xFFFFFFFF), (0x02, 4, 1001), (0x02, 4, 7), (0x08, 4, 50), (0x20, 0, 0xFFFFFFFF))
    new = acl((0x01, 6, 0xFFFFFFFF), (0x02, 4, 2001), (0x02, 4, 7), (0x08, 4, 3001), (0x20, 0, 0xFFFFFFFF))
    attributes = [(b"system.posix_acl_access", old), (b"user.x", old), (b"system.posix_acl_default", b"odd")]
    entries = [
        Entry(b"a", int(Kind.FILE), uid=1001, gid=50, xattrs=attributes),
        Entry(b"b", int(Kind.FILE), uid=1002, gid=51),
        Entry(b"c", int(Kind.FILE), uid=1001, gid=50, device=1 << 64),  # of another source, which has other names
    ]
    owners = [Owners({1001: "anna", 1002: "bert"}, {50: "staff"}), Owners({1001: "bert"}, {})]
    told = take_local_numbers(entries, owners)
    assert [(entry.uid, entry.gid) for entry in entries] == [(2001, 3001), (1002, 51), (1001, 50)]
    assert [value for _, value in entries[0].xattrs] == [new, old, b"odd"]
    assert told == "not known on this machine, so that their numbers stay: user bert (1002), user bert (1001)"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_no_owners(world: World, tmp_path: Path) -> None:
    """With none, all is root's, setuid is left out, and a second run finds it right."""
    os.chown(world.source / "b", 12345, 12345)
    (world.source / "b").chmod(0o4755)
    world.backup()
    for owners, owner, mode in (("none", 0, 0o755), ("number", 12345, 0o4755), ("name", 12345, 0o4755)):
        to = tmp_path / owners
        for _ in range(2):
            show = Silent()
            world.restore(to, show=show, owners=owners)
            status = (to / "b").stat()
            assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (owner, mode)
