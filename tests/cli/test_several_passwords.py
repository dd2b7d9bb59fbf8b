"""Several passwords of a partition by the real script: added, listed, changed and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from emulator.azurite import Azurite
from tests.cli.conftest import Cli, check_error, check_secrets
from tests.cli.stored import read_stored
from tests.cli.test_verify import vault_of
from tests.conftest import PASSWORD, until

ADMIN, LAPTOP, DESK = PASSWORD, "laptop: blatt kanne ufer", "desk: mond sieben regen"


@pytest.fixture
def two(cli: Cli, tmp_path: Path) -> Cli:
    """Give a partition with a snapshot and two passwords, main and laptop."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("content")
    cli.backup(tmp_path / "source", "--tier", "hot")
    assert "opens with the new password, called laptop, from now on" in act(cli, "--add-password", "laptop", new=LAPTOP)
    return cli


def act(cli: Cli, *options: object, old: str = ADMIN, new: str = "", expect: int = 0) -> str:
    """Run change_password.py; what it said."""
    env = {"AZBACKUP_PASSWORD": old, "AZBACKUP_NEW_PASSWORD": new}
    result = cli("change_password.py", *options, env=env, expect=expect)
    check_secrets(result, *filter(None, (old, new)))
    if expect:
        check_error(result, "change_password.py", expect)
    return result.stderr


def opens(cli: Cli, *passwords: str) -> list[bool]:
    """Tell which of them open, by restore.py."""
    found = []
    for password in passwords:
        result = cli("restore.py", "--snapshots", env={"AZBACKUP_PASSWORD": password}, expect=None)
        assert result.returncode in (0, 12), result.stderr
        found.append(result.returncode == 0)
    return found


def listed(cli: Cli, password: str) -> list[dict[str, object]]:
    """Return what --list-passwords says."""
    result = cli("change_password.py", "--list-passwords", "--json", env={"AZBACKUP_PASSWORD": password})
    return [each for each in map(json.loads, result.stdout.splitlines()) if each["event"] == "password"]


def test_each_backs_up_and_is_listed(two: Cli, tmp_path: Path) -> None:
    """Each backs up, and is listed with its name and date; the one that was given is marked."""
    (tmp_path / "source" / "more").write_text("from the laptop")
    found = two.backup_summary(tmp_path / "source", "--tier", "hot", env={"AZBACKUP_PASSWORD": LAPTOP})
    assert found["new"] == 1
    assert [(each["name"], each["given"], each["memory_mib"]) for each in listed(two, LAPTOP)] == [
        ("main", False, 64),
        ("laptop", True, 64),
    ]
    text = two("change_password.py", "--list-passwords", env={"AZBACKUP_PASSWORD": ADMIN}).stdout
    assert [line.split()[:2] for line in text.splitlines()] == [["main", "set"], ["laptop", "set"]]


def test_one_is_changed_and_one_removed(two: Cli, tmp_path: Path) -> None:
    """The others do not notice; whoever is left restores."""
    act(two, "--add-password", "desk", old=LAPTOP, new=DESK)
    assert "2 other passwords as before" in act(two, old=LAPTOP, new="another: leise wolke")
    assert opens(two, ADMIN, LAPTOP, DESK, "another: leise wolke") == [True, False, True, True]
    said = act(two, "--remove-password", "laptop", old=DESK)
    assert "opens with the password laptop no more" in said
    assert "kept the data key" in said
    assert opens(two, ADMIN, DESK, "another: leise wolke") == [True, True, False]
    two.restore(tmp_path / "restored", env={"AZBACKUP_PASSWORD": DESK})
    assert (tmp_path / "restored" / "file").read_text() == "content"


def test_what_is_refused(two: Cli) -> None:
    """The last one, one's own, a name that is not there or taken: said, and nothing is changed."""
    before = read_stored(two.vault).rows["key"]
    assert "is laptop itself" in act(two, "--remove-password", "laptop", old=LAPTOP, expect=2)
    assert "there are: main, laptop" in act(two, "--remove-password", "desk", expect=2)
    assert "there is a password laptop already" in act(two, "--add-password", "laptop", new=DESK, expect=2)
    assert "is no name" in act(two, "--add-password", "a b", new=DESK, expect=2)
    assert "does not open" in act(two, "--add-password", "desk", old="wrong", new=DESK, expect=12)
    for options in (
        ("--list-passwords", "--add-password", "x"),
        ("--add-password", "x", "--remove-password", "laptop"),
        ("--export-key", "page", "--recover", "page"),
        ("--list-passwords", "--recover", "page"),
        ("--remove-password", "laptop", "--kdf-memory", "128"),
    ):
        assert "go" in act(two, *options, new=DESK, expect=2)
    assert read_stored(two.vault).rows["key"] == before
    act(two, "--remove-password", "main", old=LAPTOP)
    assert "only password" in act(two, "--remove-password", "laptop", old=LAPTOP, expect=2)


def test_a_removed_password_stays_removed(two: Cli, azurite: Azurite, tmp_path: Path) -> None:
    """The table is lost, and the one who was removed comes first: refused; then a backup rebuilds it, and still."""
    act(two, "--remove-password", "laptop")
    broken = read_stored(two.vault)
    broken.rows.clear()
    cli = vault_of(two, azurite, broken)
    source = tmp_path / "source"
    refused = cli.backup(source, env={"AZBACKUP_PASSWORD": LAPTOP}, expect=12)
    assert "is an older one of this partition" in refused.stderr
    cli.backup(source)
    assert opens(cli, ADMIN, LAPTOP) == [True, False]
    broken = read_stored(cli.vault)
    broken.rows["key"]["slots"] = broken.rows["key"]["slots"][:-1] + b"x"
    cli = vault_of(two, azurite, broken)
    cli("backup.py", "--repair", expect=None)
    assert opens(cli, ADMIN, LAPTOP) == [True, False]


def test_killed_between_the_row_and_its_copy(
    two: Cli, pended: Cli, archive: ArchiveSimulator, azurite: Azurite
) -> None:
    """The removal is in force, and the next change writes the copy that is missing."""
    held = archive.add_fault("delay", method="PUT", service="blob", times=1, seconds=600)
    env = {"AZBACKUP_PASSWORD": ADMIN}
    process = pended.start("change_password.py", "--remove-password", "laptop", env=env)
    until(lambda: held.hits)
    process.kill()
    process.communicate()
    assert opens(two, ADMIN, LAPTOP) == [True, False]
    result = two("change_password.py", "--list-passwords", env=env, expect=13)
    assert "backup.py --repair writes one" in result.stderr
    act(two, "--remove-password", "laptop", expect=2)
    two("change_password.py", "--list-passwords", env=env)
    lost = read_stored(two.vault)
    lost.rows.clear()
    assert opens(vault_of(two, azurite, lost), ADMIN, LAPTOP) == [True, False]


def test_the_recovery_page_adds_and_removes(two: Cli, tmp_path: Path) -> None:
    """Whoever has page and words needs no password: one of several is named, and the others stay."""
    phrase = two("change_password.py", "--export-key", tmp_path / "page").stdout.strip()
    env = {"AZBACKUP_RECOVERY_PHRASE": phrase, "AZBACKUP_NEW_PASSWORD": DESK, "AZBACKUP_PASSWORD": ""}

    def recover(*options: str, expect: int = 0) -> str:
        return two("change_password.py", "--recover", tmp_path / "page", *options, env=env, expect=expect).stderr

    assert "several passwords: main, laptop" in recover(expect=2)
    recover("--add-password", "desk")
    assert opens(two, ADMIN, LAPTOP, DESK) == [True, True, True]
    recover("--remove-password", "main")
    recover("--remove-password", "laptop")
    assert opens(two, ADMIN, LAPTOP, DESK) == [False, False, True]
    assert "only password" in recover("--remove-password", "desk", expect=2)
    env["AZBACKUP_NEW_PASSWORD"] = LAPTOP
    recover()
    assert opens(two, LAPTOP, DESK) == [True, False]


def test_memory_of_a_first_backup(cli: Cli, tmp_path: Path) -> None:
    """It is what was asked for, bounded, kept by later changes; a later backup says where it is changed."""
    empty = ("--allow-empty", "--kdf-memory")
    check_error(cli.backup(tmp_path, *empty, "63", expect=2), "backup.py", 2, "MiB")
    cli.backup(tmp_path, *empty, "96")
    assert read_stored(cli.vault).rows["key"]["memory"] == 96 * 1024
    assert "--kdf-memory is for" not in cli.backup(tmp_path, *empty, "96").stderr
    assert "change_password.py --kdf-memory" in cli.backup(tmp_path, *empty, "128").stderr
    act(cli, "--add-password", "laptop", new=LAPTOP)
    assert [each["memory_mib"] for each in listed(cli, LAPTOP)] == [96, 96]


def test_memory_above_what_is_spent_unasked(cli: Cli, tmp_path: Path) -> None:
    """It is made, with a note; the next run needs --accept-key-costs, and says so."""
    first = cli.backup(tmp_path, "--allow-empty", "--kdf-memory", "272")
    assert "needs --accept-key-costs (272 MiB)" in first.stderr
    check_error(cli("restore.py", "--snapshots", expect=13), "restore.py", 13, "--accept-key-costs")
    cli("restore.py", "--snapshots", "--accept-key-costs")
