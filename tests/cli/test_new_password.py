"""A password that is set: a weak one is warned about, and how much memory stretching it takes can be chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, check_error

_STRONG = "blatt kanne ufer mond sieben"


def memory(cli: Cli, password: str) -> int:
    """MiB that stretching the one password takes, as --list-passwords says."""
    result = cli("change_password.py", "--list-passwords", "--json", env={"AZBACKUP_PASSWORD": password})
    [found] = [each for each in map(json.loads, result.stdout.splitlines()) if each["event"] == "password"]
    return int(found["memory_mib"])


def change(cli: Cli, old: str, new: str, *more: str, expect: int = 0) -> str:
    """change_password.py from one to another; what it said."""
    env = {"AZBACKUP_PASSWORD": old, "AZBACKUP_NEW_PASSWORD": new}
    return cli("change_password.py", *more, env=env, expect=expect).stderr


@pytest.mark.parametrize("weak", ["a", "1234", " ", "mysecret", "Summer2026"])
def test_a_weak_password_is_warned_about(cli: Cli, tmp_path: Path, weak: str) -> None:
    """Once, when it is made: with what is wrong with it, without it; the backup is made all the same."""
    env = {"AZBACKUP_PASSWORD": weak}
    first = cli.backup(tmp_path, "--allow-empty", env=env)
    assert "the new password is weak: about " in first.stderr
    assert "is weak" not in cli.backup(tmp_path, "--allow-empty", env=env).stderr


def test_a_strong_password_is_not(cli: Cli, tmp_path: Path) -> None:
    """Nothing is said of one; of a weak one that takes its place there is."""
    assert "is weak" not in cli.backup(tmp_path, "--allow-empty", env={"AZBACKUP_PASSWORD": _STRONG}).stderr
    assert "is weak" in change(cli, _STRONG, cli.vault.partition)  # the name of the partition is no secret
    assert "is weak" not in change(cli, cli.vault.partition, _STRONG + "x")


def test_how_much_memory_stretching_takes(cli: Cli, tmp_path: Path) -> None:
    """It is what was asked for, stays when the password changes again, and opens without a further option."""
    cli.backup(tmp_path, "--allow-empty", env={"AZBACKUP_PASSWORD": _STRONG})
    assert memory(cli, _STRONG) == 64
    change(cli, _STRONG, _STRONG + "1", "--kdf-memory", "96")
    assert memory(cli, _STRONG + "1") == 96
    change(cli, _STRONG + "1", _STRONG + "2")
    assert memory(cli, _STRONG + "2") == 96
    change(cli, _STRONG + "2", _STRONG + "3", "--kdf-memory", "64")
    assert memory(cli, _STRONG + "3") == 64
    cli("restore.py", "--snapshots", env={"AZBACKUP_PASSWORD": _STRONG + "3"})


def test_memory_out_of_bounds(module_cli: Cli) -> None:
    """It is refused before anything is asked."""
    for text in ("63", "5000", "x", "-1", "64.5"):
        check_error(module_cli("change_password.py", f"--kdf-memory={text}", expect=2), "change_password.py", 2, "MiB")
