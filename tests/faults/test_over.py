"""A restore over what is there: kinds, metadata, links and directories become the snapshot's, and nothing else changes.

In memory, with real files. Every test's state is made by a backup, a change and a restore.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from azbackup.filesystem import scanner
from azbackup.format.model import Entry, Kind
from tests.cli.conftest import NOBODY, open_directory
from tests.cli.trees import describe, differences
from tests.faults.world import World
from tests.listener import Silent

TIME = 1_600_000_000_000_000_000
TEMPORARY = ".azbackup-0123456789abcdef.part"


def put(path: Path, text: str = "text", when: int = TIME, mode: int = 0o644) -> Path:
    """Write a file, whose time and mode are given, and its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    os.utime(path, ns=(when, when))
    return path


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world whose source is an empty directory."""
    (tmp_path / "source").mkdir()
    return World(tmp_path / "source")


@pytest.fixture
def to(tmp_path: Path) -> Path:
    """Give a place that is restored into; it is not there yet."""
    return tmp_path / "to"


def over(world: World, to: Path, *paths: str, **options: Any) -> Silent:
    """Restore, also over other files, and return what was said; what was written counts in `notes` of the world."""
    options.setdefault("overwrite", "if-changed")
    show = Silent()
    world.restore(to, show=show, paths=[os.fsencode(path) for path in paths], **options)
    assert show.damaged == []
    return show


def as_user(action: Callable[[], bool]) -> bool:
    """Whether something holds in a process of a user whom modes bind."""
    process = os.fork()
    if process == 0:
        done = False
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            done = action()
        finally:
            os._exit(not done)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


# --- metadata


CHANGES: dict[str, Callable[[Path], object]] = {
    "mode of a file": lambda root: (root / "f").chmod(0o600),
    "mode of a directory": lambda root: (root / "d").chmod(0o700),
    "mode of a fifo": lambda root: (root / "p").chmod(0o622),
    "attribute": lambda root: os.setxattr(root / "f", "user.a", b"1"),
    "time of a link": lambda root: os.utime(root / "l", ns=(TIME, TIME), follow_symlinks=False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_metadata_alone(world: World, to: Path, change: str) -> None:
    """What changed in nothing but its metadata is made right without any of its contents being read or written."""
    source = world.source
    put(source / "f")
    put(source / "d" / "g")
    os.mkfifo(source / "p")
    (source / "l").symlink_to("f")
    os.setxattr(source / "d" / "g", "user.old", b"1")
    world.backup()
    over(world, to)
    before = (to / "f").stat().st_ino
    CHANGES[change](source)
    os.removexattr(source / "d" / "g", "user.old")
    world.backup()
    over(world, to)
    assert differences(source, to) == []
    assert (to / "f").stat().st_ino == before
    assert over(world, to).notes == []


@pytest.mark.parametrize("policy", ["never", "if-newer"])
def test_metadata_and_the_policies(world: World, to: Path, policy: str) -> None:
    """`never` leaves the metadata of what is there; `if-newer` sets it, since the version is the same."""
    put(world.source / "f", mode=0o600)
    world.backup()
    put(to / "f", mode=0o644)
    over(world, to, overwrite=policy)
    assert stat.S_IMODE((to / "f").stat().st_mode) == (0o644 if policy == "never" else 0o600)


@pytest.mark.parametrize("kind", ["file", "link", "fifo", "another kind"])
def test_never_names_everything_that_it_leaves(world: World, to: Path, kind: str) -> None:
    """What differs and is no directory is named under `never`, whatever its kind, and stays as it was."""
    make: dict[str, Callable[[Path], object]] = {
        "file": lambda path: put(path, when=TIME + 1),
        "link": lambda path: path.symlink_to("elsewhere"),
        "fifo": os.mkfifo,
        "another kind": lambda path: path.symlink_to("elsewhere"),
    }
    make["fifo" if kind == "another kind" else kind](world.source / "x")
    if kind == "file":
        os.utime(world.source / "x", ns=(TIME, TIME))
    world.backup()
    to.mkdir()
    make[kind](to / "x")
    before = describe(to)
    assert over(world, to, overwrite="never").problems
    assert {path: look for path, look in describe(to).items() if path} == {b"x": before[b"x"]}


def test_metadata_of_a_file_with_names_elsewhere(world: World, to: Path, tmp_path: Path) -> None:
    """A file that is linked to from outside is written anew: the other name keeps its metadata."""
    put(world.source / "f", mode=0o600)
    world.backup()
    put(to / "f", mode=0o644)
    os.link(to / "f", tmp_path / "elsewhere")
    over(world, to)
    assert stat.S_IMODE((to / "f").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o644


# --- directories that were there


@pytest.mark.parametrize("policy", ["if-changed", "never", "always"])
@pytest.mark.parametrize("empty", [False, True])
def test_directories_on_the_way_stay(world: World, to: Path, policy: str, *, empty: bool) -> None:
    """A part is restored into directories that are used: they keep mode, owner and attributes, whatever the policy."""
    put(world.source / "letters" / "a")
    (world.source / "letters").chmod(0o750)
    world.source.chmod(0o700)
    world.backup()
    (to / "letters").mkdir(parents=True)
    if not empty:
        put(to / "other")
        put(to / "letters" / "other")
    to.chmod(0o1777)
    (to / "letters").chmod(0o2775)
    over(world, to, "letters/a", overwrite=policy)
    assert stat.S_IMODE(to.stat().st_mode) == 0o1777
    assert stat.S_IMODE((to / "letters").stat().st_mode) == 0o2775
    assert (to / "letters" / "a").read_text() == "text"


def test_a_used_destination_stays(world: World, to: Path) -> None:
    """The whole source, restored among other files: its own directories are right, the destination is as it was."""
    put(world.source / "d" / "f")
    (world.source / "d").chmod(0o750)
    world.source.chmod(0o700)
    world.backup()
    put(to / "other")
    to.chmod(0o1777)
    over(world, to)
    assert stat.S_IMODE(to.stat().st_mode) == 0o1777
    assert stat.S_IMODE((to / "d").stat().st_mode) == 0o750
    over(world, to, overwrite="always")
    assert stat.S_IMODE(to.stat().st_mode) == 0o700


def test_an_empty_destination_becomes_the_source(world: World, to: Path) -> None:
    """The whole source, restored into an empty directory, and again: the directory is the source's, time and all."""
    put(world.source / "f")
    world.source.chmod(0o750)
    world.backup()
    to.mkdir(mode=0o755)
    over(world, to, overwrite=None)
    assert differences(world.source, to) == []
    put(world.source / "g")
    world.backup()
    over(world, to, overwrite=None)
    assert differences(world.source, to) == []


def test_what_a_killed_restore_made_is_finished(world: World, to: Path) -> None:
    """A directory on the way that a killed run made (700, nothing else in it) gets its metadata by the next run."""
    put(world.source / "letters" / "a")
    (world.source / "letters").chmod(0o755)
    world.backup()
    (to / "letters").mkdir(parents=True, mode=0o700)
    to.chmod(0o700)
    put(to / "letters" / TEMPORARY)
    over(world, to, "letters/a")
    assert stat.S_IMODE((to / "letters").stat().st_mode) == 0o755
    assert os.listdir(to / "letters") == ["a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can back up what keeps its user out")
def test_directories_that_keep_their_user_out(world: World) -> None:
    """A user restores directories of mode 0, 311 and 500 and a source of 555, twice: the second run writes nothing."""
    modes = {"none": 0o000, "odd": 0o311, "read": 0o500, "": 0o555}
    for name in modes:
        put(world.source / name / "f")
    for name, mode in modes.items():
        (world.source / name).chmod(mode)
    world.backup()
    with open_directory() as place:
        to = place / "to"

        def twice() -> bool:
            found = []
            for _ in range(2):
                if over(world, to, overwrite=None).problems:
                    return False
                found.append({name: stat.S_IMODE((to / name).stat().st_mode) for name in modes})
                (to / "none").chmod(0o500)
                found.append([(to / name / "f").stat().st_ino for name in ("none", "odd", "read")])  # type: ignore[arg-type]
                (to / "none").chmod(0o000)
            return found[0] == found[2] == modes and found[1] == found[3]

        assert as_user(twice)


# --- kinds that changed


@pytest.mark.parametrize("was", ["directory", "file", "link", "fifo"])
@pytest.mark.parametrize("becomes", ["directory", "file", "link", "fifo"])
@pytest.mark.parametrize("delete", [False, True])
def test_kinds_that_changed(world: World, to: Path, was: str, becomes: str, *, delete: bool) -> None:
    """Any kind over any other: replaced, or named with what to do, and then whole still. --delete makes it right."""
    make = {
        "directory": lambda path: put(path / "in" / "side"),
        "file": lambda path: put(path, becomes),
        "link": lambda path: path.symlink_to("nowhere"),
        "fifo": os.mkfifo,
    }
    make[was](world.source / "x")
    world.backup()
    over(world, to)
    old = describe(to)
    shutil.rmtree(world.source / "x") if was == "directory" else (world.source / "x").unlink()
    make[becomes](world.source / "x")
    os.utime(world.source, ns=(TIME, TIME))
    world.backup()
    show = over(world, to, delete=delete)
    if delete or was == becomes or "directory" not in (was, becomes):
        assert show.problems == []
        assert differences(world.source, to) == []
    else:
        assert show.problems
        assert all("--delete removes it" in message for _, message in show.problems)
        assert {path: look for path, look in describe(to).items() if path} == {p: look for p, look in old.items() if p}


# --- --delete


def test_delete_makes_the_destination_the_snapshot(world: World, to: Path) -> None:
    """What the snapshot does not have goes, whatever it is; what a pattern leaves out stays."""
    put(world.source / "d" / "f")
    world.backup()
    put(to / "foreign" / "deep" / "file")
    put(to / "d" / "gone")
    (to / "d" / "link").symlink_to("f")
    over(world, to, delete=True)
    assert differences(world.source, to) == []


def test_delete_stays_in_the_restored_part(world: World, to: Path) -> None:
    """Only below what is restored, and only what the patterns mean."""
    put(world.source / "letters" / "a")
    put(world.source / "letters" / "b.log")
    put(world.source / "other" / "f")
    world.backup()
    for name in ("mine", "other/mine", "letters/mine", "letters/mine.log", "letters/b.log"):
        put(to / name)
    over(world, to, "letters", delete=True, exclude=["*.log"])
    assert sorted(str(path.relative_to(to)) for path in to.rglob("*") if path.is_file()) == [
        "letters/a",
        "letters/b.log",
        "letters/mine.log",
        "mine",
        "other/mine",
    ]


def test_delete_is_shown_first(world: World, to: Path) -> None:
    """--dry-run names what would be removed, and removes nothing."""
    put(world.source / "f")
    world.backup()
    put(to / "foreign")
    show = over(world, to, delete=True, dry_run=True, plan_only=True)
    assert "would remove foreign" in show.notes
    assert (to / "foreign").exists()
    assert not (to / "f").exists()


def test_delete_removes_nothing_when_something_is_missing(world: World, to: Path) -> None:
    """A pack is gone: what it held could not be restored, and all that is there stays."""
    put(world.source / "f")
    world.backup()
    for name in [name for name in world.blobs.blobs if "data" in name or "pack" in name]:
        del world.blobs.blobs[name]
    put(to / "foreign")
    show = Silent()
    world.restore(to, show=show, overwrite="if-changed", delete=True)
    assert show.problems or show.damaged
    assert (to / "foreign").exists()


# --- hard links


def inodes(root: Path, *names: str) -> list[int]:
    """Return the inodes of files."""
    return [(root / name).stat().st_ino for name in names]


def test_links_are_taken_apart_and_joined(world: World, to: Path) -> None:
    """Restored over each other: names are one file exactly where the snapshot has them as one."""
    put(world.source / "a")
    os.link(world.source / "a", world.source / "b")
    world.backup()
    over(world, to)
    (world.source / "b").unlink()
    put(world.source / "b")
    world.backup()
    over(world, to)
    assert differences(world.source, to) == []
    over(world, to, number=1)
    assert len(set(inodes(to, "a", "b"))) == 1


def test_any_name_leads(world: World, to: Path) -> None:
    """The first name cannot be written: it is named, the others are there, and one file."""
    put(world.source / "a")
    for name in ("b", "c"):
        os.link(world.source / "a", world.source / name)
    world.backup()
    (to / "a").mkdir(parents=True)
    show = over(world, to)
    assert [path for path, _ in show.problems] == [b"a"]
    assert len(set(inodes(to, "b", "c"))) == 1


def test_a_name_that_the_file_system_refuses_leads_nobody(
    world: World, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is seen when it gets its name: the next name is written then, and the others are linked to that."""
    put(world.source / "a?")
    for name in ("b", "c"):
        os.link(world.source / "a?", world.source / name)
    world.backup()
    rename = os.rename

    def refused(old: bytes, new: bytes, **named: Any) -> None:
        if b"?" in new:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        rename(old, new, **named)

    monkeypatch.setattr(os, "rename", refused)
    show = over(world, to)
    assert [path for path, _ in show.problems] == [b"a?"]
    assert sorted(os.listdir(to)) == ["b", "c"]
    assert len(set(inodes(to, "b", "c"))) == 1


def test_a_rotted_name_leads_nobody(world: World, to: Path) -> None:
    """Two names that both look right and are two files: the one whose contents are the snapshot's leads."""
    put(world.source / "a", "good")
    os.link(world.source / "a", world.source / "b")
    world.backup()
    put(to / "a", "ROT!")
    put(to / "b", "good")
    over(world, to)
    assert [(to / name).read_text() for name in ("a", "b")] == ["good", "good"]
    assert len(set(inodes(to, "a", "b"))) == 1


def test_where_there_are_no_links(world: World, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is a file of its own, in the first run and the second, which writes nothing."""
    put(world.source / "a")
    os.link(world.source / "a", world.source / "b")
    world.backup()

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    assert over(world, to).problems == []
    before = inodes(to, "a", "b")
    assert len(set(before)) == 2
    assert over(world, to).problems == []
    assert inodes(to, "a", "b") == before


# --- file systems with other ideas


def test_names_that_are_one(world: World, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that takes README for readme: the second is named in each run, and nothing is replaced."""
    put(world.source / "README", "first")
    put(world.source / "readme", "second")
    put(world.source / "Dir" / "a", "first")
    put(world.source / "dir" / "a", "second")
    world.backup()
    fold_case(monkeypatch, to)
    for _ in range(2):
        show = over(world, to)
        assert [path for path, _ in show.problems] == [b"dir", b"dir/a", b"readme"]
        assert sorted(str(path.relative_to(to)) for path in to.rglob("*")) == ["Dir", "Dir/a", "README"]
        assert (to / "README").read_text() == (to / "Dir" / "a").read_text() == "first"


def fold_case(monkeypatch: pytest.MonkeyPatch, _root: Path) -> None:
    """Have every call that takes a name in a directory find a name that differs by case alone."""

    def folded(name: Any, directory: int | None) -> Any:
        if directory is None or not isinstance(name, bytes) or b"/" in name:
            return name
        listed = {each.lower(): each for each in map(os.fsencode, os.listdir(directory))}
        return listed.get(name.lower(), name)

    for call, which in (
        ("stat", "dir_fd"),
        ("open", "dir_fd"),
        ("mkdir", "dir_fd"),
        ("unlink", "dir_fd"),
        ("access", "dir_fd"),
    ):
        real = getattr(os, call)

        def one(name: Any, *arguments: Any, real: Any = real, which: str = which, **named: Any) -> Any:
            return real(folded(name, named.get(which)), *arguments, **named)

        monkeypatch.setattr(os, call, one)
    rename = os.rename

    def renamed(old: Any, new: Any, **named: Any) -> None:
        rename(old, folded(new, named["dst_dir_fd"]), **named)

    monkeypatch.setattr(os, "rename", renamed)


@pytest.mark.parametrize("step", [10**9, 2 * 10**9, 100])
def test_times_that_are_coarse(world: World, to: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """What the file system makes of a time is right: links come back, and a second run finds all of it there."""
    put(world.source / "a", when=TIME + 1_987_654_321)
    os.link(world.source / "a", world.source / "b")
    (world.source / "l").symlink_to("a")
    world.backup()
    utime = os.utime

    def coarse(where: Any, ns: tuple[int, int], **named: Any) -> None:
        utime(where, ns=tuple(each // step * step for each in ns), **named)

    monkeypatch.setattr(os, "utime", coarse)
    assert over(world, to).problems == []
    before = [(to / name).lstat().st_ino for name in ("a", "b", "l")]
    assert before[0] == before[1]
    assert over(world, to).problems == []
    assert [(to / name).lstat().st_ino for name in ("a", "b", "l")] == before


@pytest.mark.parametrize("second", [TIME + 300_000_000, TIME // (2 * 10**9) * 2 * 10**9])
def test_contents_tell_where_times_are_coarse(
    world: World, to: Path, monkeypatch: pytest.MonkeyPatch, second: int
) -> None:
    """Versions of one size whose times are one there, also where the second has just that one: the second comes."""
    put(world.source / "a", "FIRST", when=TIME + 100_000_000)
    put(world.source / "same", "same", when=TIME)
    world.backup()
    put(world.source / "a", "SECON", when=second)
    world.backup()
    utime, step = os.utime, 2 * 10**9

    def coarse(where: Any, ns: tuple[int, int], **named: Any) -> None:
        utime(where, ns=tuple(each // step * step for each in ns), **named)

    monkeypatch.setattr(os, "utime", coarse)
    world.restore(to, 1)
    before = inodes(to, "same")
    over(world, to)
    assert (to / "a").read_text() == "SECON"
    assert inodes(to, "same") == before


def test_times_that_are_not_taken(world: World, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no time can be set contents tell what is right: a sound file stays, another one is written."""
    put(world.source / "a", "good")
    put(world.source / "b", "good")
    world.backup()

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "utime", refused)
    over(world, to)
    (to / "b").write_text("ROT!")
    before = inodes(to, "a", "b")
    show = over(world, to)
    assert (to / "b").read_text() == "good"
    assert inodes(to, "a")[0] == before[0]
    assert any("time could not be set here" in note for note in show.notes)


# --- sources


def test_links_are_of_one_source(tmp_path: Path) -> None:
    """The same image, mounted under two names: what is linked in each is not linked across."""
    first, second = tmp_path / "monday", tmp_path / "tuesday"
    for root in (first, second):
        put(root / "a")
        os.link(root / "a", root / "b")
    world = World(first)
    world.backup()
    world.backup(source=second)
    to = tmp_path / "to"
    world.restore(to, every=True)
    inside = to / str(tmp_path).strip("/")
    assert len(set(inodes(inside, "monday/a", "monday/b"))) == 1
    assert len(set(inodes(inside, "monday/a", "tuesday/a"))) == 2


def test_one_image_under_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounted at one name after the other its files have one device, inode and ctime in both: still of two sources."""
    real = scanner.entry_of

    def entry_of(path: bytes, status: os.stat_result) -> Entry | None:
        entry = real(path, status)
        is_file = entry is not None and entry.kind == Kind.FILE
        return msgspec.structs.replace(entry, inode=7, device=1, ctime_ns=TIME) if is_file and entry else entry

    for module in ("filesystem.scanner", "filesystem.reader", "commands.backup.entry_reader"):
        monkeypatch.setattr(f"azbackup.{module}.entry_of", entry_of)
    monkeypatch.setattr("azbackup.commands.backup.entry_reader.handle_of", lambda *_: b"the same")
    first, second = tmp_path / "monday", tmp_path / "tuesday"
    for root in (first, second):
        put(root / "a", when=TIME)
        os.link(root / "a", root / "b")
    world = World(first)
    world.backup()
    world.backup(source=second)
    to = tmp_path / "to"
    world.restore(to, every=True)
    inside = to / str(tmp_path).strip("/")
    assert len(set(inodes(inside, "monday/a", "monday/b"))) == 1
    assert len(set(inodes(inside, "monday/a", "tuesday/a"))) == 2


@pytest.mark.parametrize("outer_last", [False, True])
def test_a_source_within_another(tmp_path: Path, *, outer_last: bool) -> None:
    """The inner one is as its last backup says, or as a later one of the outer: never a mixture of both."""
    outer, inner = tmp_path / "src", tmp_path / "src" / "sub"
    put(inner / "removed")
    put(inner / "d" / "file", "old")
    world = World(outer)
    world.backup(source=inner if outer_last else outer)
    (inner / "removed").unlink()
    shutil.rmtree(inner / "d")
    put(inner / "d", "NEW")
    world.backup(source=outer if outer_last else inner)
    to = tmp_path / "to"
    assert world.restore(to, every=True).problems == 0
    inside = to / str(inner).strip("/")
    assert (sorted(os.listdir(inside)), (inside / "d").read_text()) == (["d"], "NEW")


def test_a_link_to_a_source(tmp_path: Path) -> None:
    """A source whose path is a link within another one: what it holds comes, in the place of the link."""
    disk, outer = tmp_path / "disk", tmp_path / "src"
    put(disk / "photo")
    put(outer / "note")
    (outer / "photos").symlink_to(disk)
    world = World(outer)
    world.backup(source=outer / "photos")
    world.backup(source=outer)
    assert world.restore(tmp_path / "to", every=True).problems == 0
    inside = tmp_path / "to" / str(outer).strip("/")
    assert (inside / "photos" / "photo").read_text() == "text"
    assert (inside / "note").exists()


# --- a real file system of that kind


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Give a way to mount an image of an ext4, by default a new one; `options` are those of mkfs.ext4."""
    make = shutil.which("mkfs.ext4")
    if os.geteuid() != 0 or make is None:
        pytest.skip("only root can mount, and mkfs.ext4 makes it")
    places: list[Path] = []

    def mount(image: Path | None = None, *options: str) -> Path:
        place = tmp_path / f"mounted{len(places)}"
        place.mkdir()
        if image is None:
            image = place.with_suffix(".image")
            with image.open("wb") as file:
                file.truncate(16 << 20)
            subprocess.run([make, "-q", *options, image], check=True, capture_output=True)
        if subprocess.run(["/bin/mount", "-o", "loop", image, place], check=False, capture_output=True).returncode:
            pytest.skip("this machine mounts no images")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["/bin/umount", place], check=True)


def test_whole_seconds(world: World, mounted: Callable[..., Path]) -> None:
    """Inodes without room for parts of seconds: links are one file, and the second run writes nothing."""
    put(world.source / "a", when=TIME + 123_456_789)
    os.link(world.source / "a", world.source / "b")
    put(world.source / "late", when=16_800_000_000 * 10**9)
    world.backup()
    to = mounted(None, "-I", "128") / "to"
    assert over(world, to).problems == []
    before = inodes(to, "a", "b", "late")
    assert over(world, to).problems == []
    assert inodes(to, "a", "b", "late") == before


@pytest.mark.parametrize("moment", [1, 7, 0])
def test_the_power_goes(
    world: World, mounted: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """The disk as it is when a file has got its name: those that have one are whole. At the end (0) all are there."""
    for number in range(12):
        put(world.source / f"f{number:02}", "x" * 5000)
    with (world.source / "hollow").open("wb") as file:
        file.write(b"important")
        file.truncate(1 << 20)
    world.backup()
    place = mounted()
    image, disk = place.with_suffix(".image"), tmp_path / "disk"
    rename, seen = os.rename, iter(range(1, 1000))

    def renamed(*arguments: Any, **named: Any) -> None:
        rename(*arguments, **named)
        if next(seen) == moment:
            shutil.copyfile(image, disk)

    monkeypatch.setattr(os, "rename", renamed)
    over(world, place / "to")
    if moment == 0:
        shutil.copyfile(image, disk)
    monkeypatch.undo()
    after = mounted(disk) / "to"
    stored = describe(world.source)
    found = {path: look for path, look in describe(after).items() if path and b".azbackup-" not in path}
    assert {path: look.digest for path, look in found.items()} == {path: stored[path].digest for path in found}
    if moment == 0:
        assert differences(world.source, after) == []
    over(world, after)
    assert differences(world.source, after) == []
