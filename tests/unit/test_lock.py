"""One backup of a source at a time, on this host."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from azbackup.errors import AlreadyRunning, Status
from azbackup.storage.local.cache_file import digest
from azbackup.storage.local.lock import only_one


def test_the_second_one_is_refused(tmp_path: Path) -> None:
    """While the first one runs; its source is named, and after it the way is free."""
    path = tmp_path / "locks" / "x.lock"
    with only_one(path, "/home/me"):
        with pytest.raises(AlreadyRunning, match="/home/me") as caught, only_one(path, "/home/me"):
            pass
        assert caught.value.status is Status.ALREADY_RUNNING
    with only_one(path, "/home/me"):
        pass


def test_a_failure_frees_the_lock(tmp_path: Path) -> None:
    """Whatever ends the run."""
    with pytest.raises(KeyboardInterrupt), only_one(tmp_path / "x.lock", "s"):
        raise KeyboardInterrupt
    with only_one(tmp_path / "x.lock", "s"):
        pass


def test_others_do_not_matter(tmp_path: Path) -> None:
    """Another source has another lock."""
    with only_one(tmp_path / "a.lock", "a"), only_one(tmp_path / "b.lock", "b"):
        pass


def test_without_a_place_for_the_file_it_runs(tmp_path: Path) -> None:
    """A home directory that is no directory keeps nobody from a backup; errors of the block stay its own."""
    (tmp_path / "file").touch()
    ran = []
    with only_one(tmp_path / "file" / "x.lock", "s"):
        ran.append(1)
    with pytest.raises(OSError, match="mine"), only_one(tmp_path / "file" / "x.lock", "s"):
        raise OSError("mine")
    assert ran == [1]


def test_without_locks_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no locks keeps nobody from a backup."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with only_one(tmp_path / "x.lock", "s"):
        pass


def test_the_lock_file_is_the_owners(tmp_path: Path) -> None:
    """Nobody else can hold it."""
    with only_one(tmp_path / "d" / "x.lock", "s"):
        assert (tmp_path / "d").stat().st_mode & 0o077 == 0
        assert (tmp_path / "d" / "x.lock").stat().st_mode & 0o077 == 0


def test_identities_do_not_run_together() -> None:
    """Parts cannot be moved from one to the next; names need not be UTF-8."""
    assert digest("a", "bc") != digest("ab", "c")
    assert len(digest("\udcff")) == 32


def test_waiting(tmp_path: Path) -> None:
    """Whoever is patient looks again until the lock is free, or as often as they like."""
    path = tmp_path / "x.lock"
    with path.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        looks = []

        def wait() -> bool:
            looks.append(1)
            if len(looks) == 3:
                fcntl.flock(holder, fcntl.LOCK_UN)
            return True

        with only_one(path, "s", wait):
            assert len(looks) == 3
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning), only_one(path, "s", lambda: False):
            pass
