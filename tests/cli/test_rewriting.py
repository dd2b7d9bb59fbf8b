"""Rewriting through the script: small packs become one, a restore asks for less, and all of it is said beforehand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emulator.trees import differences
from tests.cli.conftest import Cli, check_error, summary


def restored(cli: Cli, source: Path, destination: Path) -> int:
    """Restore exactly; how many requests that took."""
    found = summary(cli.restore(destination, "--json"))
    assert differences(source, destination) == []
    return int(found["requests"])


def test_small_packs_become_one(cli: Cli, tmp_path: Path) -> None:
    """With a rule they are rewritten, without one not; the next run has nothing to do."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(9):
        (source / f"file{number}").write_bytes(os.urandom(5_000 + number))
        assert cli.backup_summary(source, "--tier", "hot")["rewritten"] == 0
    before = restored(cli, source, tmp_path / "before")
    rule = ("--tier", "hot", "--keep-last", "50")
    assert "rewriting" not in cli.backup(source, *rule, "--max-duration", "1h").stderr
    planned = cli.backup(source, *rule, "--dry-run")
    assert planned.stdout.count("rewritten") == 9
    assert "0 new, 0 changed, 0 unchanged" in planned.stderr
    assert "with 44.0 KiB of 9 files that are stored anew" in planned.stderr
    assert "rewriting  9 files read again, 44.0 KiB of contents stored anew" in cli.backup(source, *rule).stderr
    assert restored(cli, source, tmp_path / "after") == before - 8
    again = cli.backup_summary(source, *rule)
    assert [again[name] for name in ("rewritten_files", "read", "packs", "unchanged")] == [0, 0, 0, 9]


@pytest.mark.parametrize("value", ["51", "-1", "much", "nan"])
def test_a_share_that_cannot_be(cli: Cli, tmp_path: Path, value: str) -> None:
    """Half of a pack at most: else what was rewritten would be due again."""
    check_error(cli.backup(tmp_path, f"--rewrite-below={value}", expect=2), "backup.py", 2, "from 0 to 50")
