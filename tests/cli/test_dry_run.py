"""backup.py --dry-run: what would be stored and why, what is left out by what; and that it writes nothing anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, summary
from tests.cli.stored import fingerprint
from tests.cli.test_leaving_out import make
from tests.cli.trees import describe


def would(cli: Cli, source: Path, *options: str, expect: int = 0) -> dict[str, tuple[str, str]]:
    """What a dry run says of each path: what, and why."""
    result = cli.backup(source, "--dry-run", "--json", *options, expect=expect)
    events: list[dict[str, Any]] = [json.loads(line) for line in result.stdout.splitlines()]
    return {each["path"]: (each["what"], each["why"]) for each in events if each["event"] == "would"}


def test_a_first_run_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    """No container, no table, no file on this machine, and no password is needed: there is nothing to open."""
    source = make(tmp_path / "source", "a", "d/b.o")
    result = cli.backup(source, "--dry-run", "--exclude", "*.o", env={"AZBACKUP_PASSWORD": ""})
    assert fingerprint(cli.vault) == {}
    assert list(cli.runner.home.iterdir()) == []
    assert result.stdout == "new               1 B  a\nleft out          5 B  d/b.o  [*.o (--exclude)]\n"
    assert ": nothing was written\n  files      1 new, 0 changed, 0 unchanged, 0 removed\n" in result.stderr
    assert "  left out   1 by rules, 5 B\n" in result.stderr
    assert "  to store   at most 64.0 KiB in 1 pack\n" in result.stderr
    assert "  restoring  all of it: at most 15 h, under 0.01 USD\n" in result.stderr
    assert "  prices     East US, locally redundant storage, 2026-10 (--region, --prices)\n" in result.stderr


def test_how_long_it_takes_to_send(cli: Cli, tmp_path: Path) -> None:
    """At two speeds, or as slow as --limit-upload has it; nothing is said of what takes less than a minute."""
    source = make(tmp_path / "source", "small")
    (source / "file").write_bytes(os.urandom(300 << 10))
    assert "sending" not in cli.backup(source, "--dry-run").stderr
    result = cli.backup(source, "--dry-run", "--limit-upload", "1")
    assert "  sending    5 min at 10 Mbit/s, 5 min at 100 Mbit/s, with --limit-upload\n" in result.stderr
    values = summary(cli.backup(source, "--dry-run", "--limit-upload", "1", "--json"))
    assert (values["seconds_at_10_mbit"], values["seconds_at_100_mbit"]) == (320, 320)  # with the padding


def test_a_later_run_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    """Neither in the storage nor in the cache directory, also where a cache of records would be new."""
    source = make(tmp_path / "source", "a")
    cli.backup(source)
    (source / "b").write_text("more")
    before, home = fingerprint(cli.vault), describe(cli.runner.home)
    cli.backup(source, "--dry-run")
    cli.backup(source, "--dry-run", env={"XDG_CACHE_HOME": str(tmp_path / "other")})
    assert fingerprint(cli.vault) == before
    assert describe(cli.runner.home) == home
    assert not (tmp_path / "other").exists()


def test_what_and_why(cli: Cli, tmp_path: Path) -> None:
    """Each path that is not as the last snapshot has it is named, with what differs; unchanged ones are not."""
    source = make(tmp_path / "source", "longer", "touched", "mode", "same", "gone", "d/out.o", "kind", "sub/y")
    for path in source.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    (source / "link").symlink_to("same")
    cli.backup(source)
    (source / "longer").write_text("longer than it was")
    os.utime(source / "longer", (1_600_000_000, 1_600_000_000))
    os.utime(source / "touched", (1_700_000_000, 1_700_000_000))
    (source / "mode").chmod(0o600)
    (source / "gone").unlink()
    (source / "kind").unlink()
    (source / "kind").mkdir()
    (source / "sub" / ".azbackupignore").write_text("y\n")
    (source / "new").write_text("new")
    found = would(cli, source, "--exclude", "*.o")
    again = {path for path, (what, _) in found.items() if what == "read_again"}
    assert again <= {"same", "link"}  # what was stored within a tick of its making
    assert {path: each for path, each in found.items() if path not in again} == {
        "longer": ("changed", "size"),
        "touched": ("changed", "time"),
        "mode": ("changed", "mode"),
        "gone": ("removed", ""),
        "d/out.o": ("left_out", "*.o (--exclude)"),
        "sub/y": ("left_out", "y (sub/.azbackupignore)"),
        "sub/.azbackupignore": ("new", ""),
        "new": ("new", ""),
    }


def test_it_says_what_a_backup_does(cli: Cli, tmp_path: Path) -> None:
    """The counts are those of the backup that follows, and it stores no more, with no more than about the requests."""
    source = make(tmp_path / "source", "a", "b", "c.o")
    for contents in ("one", "one and two"):
        (source / "a").write_text(contents)
        planned = summary(cli.backup(source, "--dry-run", "--json", "--exclude", "*.o"))
        done = summary(cli.backup(source, "--json", "--exclude", "*.o"))
        for name in ("files", "directories", "size", "new", "removed", "left_out", "left_out_size"):
            assert planned[name] == done[name], name
        assert planned["to_store"] >= done["read"]
        assert planned["packs"] == done["packs"]
        assert planned["padded"] == done["stored"] == 65_536  # a pack is padded
        assert abs(planned["requests"] - done["requests"]) <= 6


def test_unreadable_files_are_named(cli: Cli, open_path: Path, bound_user: int | None) -> None:
    """What a backup could not read is a problem of the dry run, too: 3."""
    source = make(open_path / "source", "closed", "kept")
    (source / "closed").chmod(0)
    result = cli.backup(source, "--dry-run", user=bound_user, expect=3)
    assert "closed: cannot be read: Permission denied" in result.stderr


@pytest.mark.parametrize(("password", "status"), [("another one", 12)])
def test_a_wrong_password(cli: Cli, tmp_path: Path, password: str, status: int) -> None:
    """Where there is a partition its password is needed."""
    source = make(tmp_path / "source", "a")
    cli.backup(source)
    cli.backup(source, "--dry-run", env={"AZBACKUP_PASSWORD": password}, expect=status)
