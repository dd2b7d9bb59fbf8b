"""Several directories in one command: a source each, one after the other, one status."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from azbackup.cli.sources import worst
from azbackup.errors import Status
from tests.cli.conftest import Cli, check_error
from tests.cli.test_leaving_out import make, stored


def snapshots(cli: Cli) -> list[str]:
    """The source of every snapshot, by number."""
    events = map(json.loads, cli("restore.py", "--json", "--snapshots").stdout.splitlines())
    return [event["source"] for event in events if event["event"] == "snapshot"]


def test_each_is_a_source(cli: Cli, tmp_path: Path) -> None:
    """Each directory has a snapshot and a line of its own, in their order; contents are stored once; 0."""
    one, two = make(tmp_path / "one", "a"), make(tmp_path / "two", "a", "b")
    result = cli("backup.py", one, "--quiet", two, one)
    assert result.stderr == ""
    assert snapshots(cli) == [str(one), str(two)]
    result = cli("backup.py", "--json", one, two)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(each["source"], each["stored"]) for each in found if each["event"] == "summary"] == [
        (str(one), 0),
        (str(two), 0),
    ]
    counts = [each["requests"] for each in found if each["event"] == "summary"]
    assert counts[1] <= counts[0], "requests are those of each directory"


def test_the_rest_goes_on(cli: Cli, tmp_path: Path) -> None:
    """A directory that is not there is told, the others are backed up; the status is the worst."""
    one, two = make(tmp_path / "one", "a"), make(tmp_path / "two", "a")
    result = cli("backup.py", one, tmp_path / "missing", two, expect=1)
    assert f"no such directory: {tmp_path / 'missing'}" in result.stderr
    assert snapshots(cli) == [str(one), str(two)]


def test_one_that_is_running_does_not_keep_the_others(cli: Cli, tmp_path: Path) -> None:
    """The others are backed up, and the status is 11."""
    one, two = make(tmp_path / "one", "a"), make(tmp_path / "two", "a")
    cli("backup.py", one)
    [lock] = (cli.runner.home / ".cache" / "azbackup").glob("*.lock")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = cli("backup.py", one, two, expect=11)
    assert f"another backup of {one} is running" in result.stderr
    assert snapshots(cli) == [str(one), str(two)]


def test_a_wrong_password_is_told_once(cli: Cli, tmp_path: Path) -> None:
    """What would befall every directory alike ends the command."""
    one, two = make(tmp_path / "one", "a"), make(tmp_path / "two", "a")
    cli("backup.py", one)
    result = cli("backup.py", one, two, env={"AZBACKUP_PASSWORD": "another"}, expect=12)
    check_error(result, "backup.py", 12)


def test_directories_within_each_other(cli: Cli, tmp_path: Path) -> None:
    """A note says so; the inner one is in both snapshots, also where the outer one leaves out its name."""
    outer = make(tmp_path / "outer", "a", "inner/b")
    result = cli("backup.py", outer, outer / "inner", "--exclude", "inner")
    assert f"{outer / 'inner'} lies in {outer}" in result.stderr
    assert stored(cli, outer) == {"a"}
    assert stored(cli, outer / "inner") == {"b"}


def test_half_a_password_is_not_shown(cli: Cli, tmp_path: Path) -> None:
    """A word that may belong to a secret on the command line is not named: 2, and nothing is stored."""
    one = make(tmp_path / "one", "a")
    result = cli("backup.py", "--password", "correct", "hunter2", one, expect=2, env={"AZBACKUP_PASSWORD": ""})
    check_error(result, "backup.py", 2, "not all of the 2 directories are there", "quotes")
    assert "hunter2" not in result.stderr
    cli("restore.py", "--snapshots", expect=10)


def test_directories_of_a_profile(cli: Cli, tmp_path: Path) -> None:
    """A profile may name several, with patterns for all of them; those of the command line come after its own."""
    one, two = make(tmp_path / "one", "a", "x.o", "keep.o"), make(tmp_path / "two", "b", "x.o")
    (tmp_path / "config").write_text(
        f'[profile.all.backup]\nsources = ["{one}", "{two}"]\nexclude = ["*.o"]\npreset = "home"\n'
    )
    cli("backup.py", "--config", tmp_path / "config", "--profile", "all", "--exclude", "!keep.o")
    assert (stored(cli, one), stored(cli, two)) == ({"a", "keep.o"}, {"b"})


def test_none_is_there(cli: Cli, tmp_path: Path) -> None:
    """A path with a blank that has lost its quotes is several directories, none of which is there."""
    check_error(cli("backup.py", tmp_path / "My", "Documents", expect=1), "backup.py", 1, "no such directory", "quotes")
    check_error(cli("backup.py", expect=2), "backup.py", 2, "there is no directory to back up")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], Status.DONE),
        ([Status.DONE, Status.INCOMPLETE], Status.INCOMPLETE),
        ([Status.ALREADY_RUNNING, Status.INCOMPLETE], Status.ALREADY_RUNNING),
        ([Status.UNAVAILABLE, Status.ALREADY_RUNNING], Status.UNAVAILABLE),
        ([Status.FAILED, Status.UNAVAILABLE], Status.FAILED),
        ([Status.DAMAGED, Status.FAILED], Status.DAMAGED),
    ],
)
def test_the_worst_status(statuses: list[Status], expected: Status) -> None:
    """By what needs somebody soonest, not by number."""
    assert worst(statuses) == expected


def test_every_status_has_a_severity() -> None:
    """A status that is new has a place in the order."""
    assert all(worst([each]) == each for each in Status)
