"""Files on this machine: what is not this user's own is absent, whatever it is, and no contents end a run."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.crypto.sealing import Keys, derive
from azbackup.crypto.secret import Secret
from azbackup.format.framing import frame
from azbackup.format.model import SealedRecord
from azbackup.storage.local import cache_file
from azbackup.storage.local.cache_file import CacheFile, cache_directory, open_own
from azbackup.storage.local.journal import Journal
from azbackup.storage.local.lock import only_one
from azbackup.storage.local.rollback import HighestSnapshot
from azbackup.storage.local.row_cache import Cache

NOBODY = 65534
ROW = SealedRecord("files-0001", b"sealed", "1")
KEYS: Keys = derive(Secret(b"k" * 32))
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


def use_lock(path: Path) -> bool:
    """Hold it; whether a file was locked cannot be told."""
    with only_one(path, "source"):
        return path.is_file() and not path.is_symlink()


def use_journal(path: Path) -> bool:
    """Note a record, and find it."""
    try:
        journal = Journal(path)
    except OSError:
        return False
    journal.add(ROW)
    kept = [row.name for row in Journal(path).rows()] == [ROW.name]
    journal.clear()
    return kept


def use_cache(path: Path) -> bool:
    """Keep a record, and find it in the next run."""
    for _ in range(2):
        with closing(Cache(path, 1)) as cache:
            cache.put([ROW])
    with closing(Cache(path, 1)) as cache:
        return cache.get(ROW.name) == ROW.sealed


def use_salt(path: Path) -> bool:
    """Remember some bytes, and find them."""
    CacheFile(path).read()
    CacheFile(path).write(b"salt")
    return CacheFile(path).read() == b"salt"


USES = {"lock": use_lock, "journal": use_journal, "records": use_cache, "salt": use_salt}


def link(path: Path, other: Path) -> None:
    """A symbolic link to a file that is worth something."""
    path.symlink_to(other)


def dangling(path: Path, other: Path) -> None:
    """A symbolic link to where nothing is yet."""
    path.symlink_to(other.with_name("not there"))


def second_name(path: Path, other: Path) -> None:
    """Another name of a file that is worth something."""
    path.hardlink_to(other)


def fifo(path: Path, _other: Path) -> None:
    """What blocks whoever opens it."""
    os.mkfifo(path)


def closed(path: Path, _other: Path) -> None:
    """A file that its owner may not open."""
    path.touch(0o000)


def of_another(path: Path, _other: Path) -> None:
    """Another user's file, open to all."""
    path.write_bytes(b"theirs")
    path.chmod(0o666)
    os.chown(path, NOBODY, NOBODY)


ODD: list[object] = [link, dangling, second_name, fifo, closed, pytest.param(of_another, marks=is_root)]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("kind", USES)
def test_what_is_odd_is_replaced(kind: str, odd: Callable[[Path, Path], None], tmp_path: Path) -> None:
    """Links, fifos and other users' files are neither followed, waited for nor written to; a file takes their place."""
    other = tmp_path / "precious"
    other.write_bytes(b"precious")
    path = tmp_path / "cache" / f"x.{kind}"
    path.parent.mkdir(0o700)
    odd(path, other)
    assert USES[kind](path)
    assert other.read_bytes() == b"precious"
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize("kind", USES)
def test_a_directory_in_its_place(kind: str, tmp_path: Path) -> None:
    """Nothing is kept, and nothing fails."""
    (tmp_path / f"x.{kind}").mkdir()
    assert not USES[kind](tmp_path / f"x.{kind}")


@is_root
@pytest.mark.parametrize("kind", USES)
@pytest.mark.parametrize("place", ["the directory", "above it", "a link above it", "a link to root's own"])
def test_in_a_strangers_directory(kind: str, place: str, tmp_path: Path) -> None:
    """Root keeps nothing where another user has a hand in which directory a path leads to, and makes nothing there."""
    home = tmp_path / "home"
    cache = home / "cache"
    (tmp_path / "etc").mkdir()
    home.mkdir()
    if place == "the directory":
        cache.mkdir(0o777)
        os.chown(cache, NOBODY, NOBODY)
    elif place == "above it":
        os.chown(home, NOBODY, NOBODY)
    else:
        cache.symlink_to(tmp_path / "etc")
        os.chown(cache, NOBODY, NOBODY, follow_symlinks=False)
        cache = cache / "azbackup" if place == "a link above it" else cache
    assert not USES[kind](cache / f"x.{kind}")
    assert list((tmp_path / "etc").iterdir()) == []
    assert place in ("the directory", "a link above it", "a link to root's own") or not cache.exists()


@pytest.mark.parametrize("kind", USES)
def test_nobody_else_may_write_there(kind: str, tmp_path: Path) -> None:
    """Directories that are made are closed to others, whatever the umask; one that was open to all is closed."""
    before = os.umask(0)
    try:
        made = tmp_path / "a" / "b" / f"x.{kind}"
        USES[kind](made)
        (tmp_path / "open").mkdir(0o777)
        USES[kind](tmp_path / "open" / f"x.{kind}")
    finally:
        os.umask(before)
    assert [each.stat().st_mode & 0o777 for each in (made.parent.parent, made.parent)] == [0o700, 0o700]
    assert made.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "open").stat().st_mode & 0o022 == 0


def test_beside_the_cache(tmp_path: Path) -> None:
    """What the library keeps beside its file is as careful: a link there is not followed."""
    (tmp_path / "precious").write_bytes(b"precious")
    for beside in ("journal", "wal", "shm"):
        (tmp_path / f"x.records-{beside}").symlink_to(tmp_path / "precious")
    assert use_cache(tmp_path / "x.records")
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("schema", ["CREATE VIEW records AS SELECT 1", "CREATE TABLE records (name)", ""])
def test_a_cache_of_another_shape(schema: str, tmp_path: Path) -> None:
    """Tables that a run did not make, an endless view among them, cost one run the cache: the next has a new one."""
    with closing(sqlite3.connect(tmp_path / "x.records")) as file:
        file.executescript(f"{schema}; PRAGMA user_version = 1")
    assert use_cache(tmp_path / "x.records")


# --- contents


@given(st.binary(max_size=40) | st.integers(0, 10**40).map(lambda number: b"%d" % number))
def test_any_number(tmp_path_factory: pytest.TempPathFactory, contents: bytes) -> None:
    """Whatever the file holds: a number of at most eight digits comes out, and a new one goes in."""
    directory = tmp_path_factory.mktemp("seen")
    seen = HighestSnapshot(directory, KEYS)
    seen.note(1)
    [path] = directory.iterdir()
    path.write_bytes(contents)
    assert 0 <= seen.number() < 10**8
    seen.note(99_999_999)
    assert seen.number() in (99_999_999, int(contents) if contents.isdigit() else 0)


def test_a_number_gone_bad_is_forgotten(tmp_path: Path) -> None:
    """One digit that changed would be a false alarm in every run: it is seen. A number of earlier versions counts."""
    seen = HighestSnapshot(tmp_path, KEYS)
    seen.note(17)
    [path] = tmp_path.iterdir()
    written = path.read_bytes()
    assert seen.number() == 17
    path.write_bytes(written.replace(b"17", b"97", 1))
    assert seen.number() == 0
    path.write_bytes(b"17")
    assert seen.number() == 17
    path.write_bytes(b"9" * 5000)
    assert seen.number() == 0


def test_the_highest_number_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut does not take back what makes a rollback visible: contents before the name, and then the name."""
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        status = os.fstat(descriptor)
        steps.append("directory" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes")
        fsync(descriptor)

    def replaced(*arguments: Any, **named: Any) -> None:
        steps.append("name")
        replace(*arguments, **named)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    HighestSnapshot(tmp_path, KEYS).note(17)
    assert steps == ["19 bytes", "name", "directory"]


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: frame([ROW]) + data))
def test_any_journal(tmp_path_factory: pytest.TempPathFactory, contents: bytes) -> None:
    """Whatever a journal holds, records that are whole come out, and it takes new ones."""
    path = tmp_path_factory.mktemp("journal") / "x.journal"
    path.write_bytes(contents)
    journal = Journal(path)
    assert all(isinstance(row.sealed, bytes) for row in journal.rows())
    journal.clear()
    journal.add(ROW)
    assert [row.name for row in journal.rows()] == [ROW.name]


def test_a_journal_of_tiny_records(tmp_path: Path) -> None:
    """What no run wrote costs no run its time: the newest thousand are looked at."""
    path = tmp_path / "x.journal"
    path.write_bytes(frame([SealedRecord(f"pack-{number}", b"") for number in range(5000)]))
    assert [row.name for row in Journal(path).rows()] == [f"pack-{number}" for number in range(4000, 5000)]


def test_a_file_of_any_size(tmp_path: Path) -> None:
    """A small file that is large, or a terabyte of nothing, is absent: it is not read into memory."""
    path = tmp_path / "x.salt"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert CacheFile(path).read() == b""
    os.truncate(tmp_path / "x.salt", 1 << 34)
    path.rename(tmp_path / "x.journal")
    assert Journal(tmp_path / "x.journal").rows() == []


# --- where they lie


def test_the_directory() -> None:
    """XDG_CACHE_HOME where it is absolute, else ~/.cache of HOME; without HOME, the home that the system knows."""
    assert cache_directory({"XDG_CACHE_HOME": "/x", "HOME": "/"}) == Path("/x/azbackup")
    assert cache_directory({"XDG_CACHE_HOME": "x", "HOME": "/"}) == Path("/.cache/azbackup")
    for home in ({}, {"HOME": ""}, {"HOME": "relative"}):
        assert cache_directory(home).is_absolute()
        assert "~" not in str(cache_directory(home))


def test_without_any_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system does not know (a container) keeps nothing: no directory named `~` appears."""

    def unknown(_: int) -> object:
        raise KeyError

    monkeypatch.setattr(cache_file.pwd, "getpwuid", unknown)
    with pytest.raises(OSError, match="directory"):
        open_own(cache_directory({}) / "x.lock")


@is_root
def test_root_with_a_users_home(tmp_path: Path) -> None:
    """Under sudo HOME may be a user's: root's own is taken."""
    os.chown(tmp_path, NOBODY, NOBODY)
    assert cache_directory({"HOME": str(tmp_path)}) == cache_directory({})
