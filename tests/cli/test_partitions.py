"""Which partitions there are, how old their backups are, and a mistyped one; through the scripts, with no password."""

from __future__ import annotations

import calendar
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from tests.cli.conftest import Cli, check_error
from tests.cli.stored import read_stored
from tests.conftest import REPOSITORY


@pytest.fixture
def two(cli: Cli, tmp_path: Path) -> Cli:
    """Give the scripts in a container with the partitions `archived` and `hot`."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(os.urandom(5000))
    cli.elsewhere(partition="hot").backup(tmp_path / "source", "--tier", "hot")
    archived = cli.elsewhere(partition="archived")
    archived.backup(tmp_path / "source")
    (tmp_path / "source" / "file").write_bytes(os.urandom(6000))
    archived.backup(tmp_path / "source")
    return cli


def listed(cli: Cli, *options: str, expect: int = 0) -> dict[str, dict[str, Any]]:
    """Return what --partitions --json says, by partition; no password is known, and no partition given."""
    result = asked(cli, "--json", *options, expect=expect)
    events = [json.loads(line) for line in result.stdout.splitlines()]
    return {event["partition"]: event for event in events if event["event"] == "partition"}


def asked(cli: Cli, *options: str, expect: int = 0) -> Any:
    """Run restore.py --partitions with nothing but the account, its container and its table."""
    vault = cli.vault
    env = {name: value for name, value in cli.environment.items() if name != "AZBACKUP_PASSWORD"}
    where = ("--account", vault.endpoints.account, "--container", vault.container, "--table", vault.table)
    result = cli.runner("restore.py", *where, "--partitions", *options, env=env)
    assert result.returncode == expect, result
    return result


def test_partitions(two: Cli) -> None:
    """Each with its newest backup, snapshots, packs, and bytes by tier; records lie in hot."""
    found = listed(two)
    assert list(found) == ["archived", "hot"]
    archived, hot = found.values()
    assert (archived["snapshots"], archived["packs"], archived["in_table"]) == (2, 2, True)
    assert archived["tiers"]["archive"] > 11_000
    assert archived["size"] == sum(archived["tiers"].values())
    assert set(hot["tiers"]) == {"hot"}
    assert 0 <= hot["age"] < 600
    assert hot["newest_backup"] <= hot["newest_write"]
    head, *lines = asked(two).stdout.splitlines()
    assert head.split() == ["partition", "newest", "backup", "age", "snapshots", "stored", "packs", "tier"]
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [("archived", "archive"), ("hot", "hot")]
    assert max(map(len, lines)) <= 80


def test_what_is_left_of_a_partition(two: Cli) -> None:
    """It is found by its blobs where the table is lost, by packs alone, and by rows alone."""
    connection = two.vault.endpoints.connection_string
    with TableServiceClient.from_connection_string(connection) as tables:
        tables.delete_table(two.vault.table)
    found = listed(two)
    assert [each["in_table"] for each in found.values()] == [False, False]
    assert found["archived"]["snapshots"] == 2
    assert "no rows" in asked(two).stdout
    with BlobServiceClient.from_connection_string(connection) as blobs:
        for name in read_stored_names(two):
            if name.startswith("hot/records/"):
                blobs.get_blob_client(two.vault.container, name).delete_blob()
    found = listed(two, "--max-age", "1h", expect=15)
    assert (found["hot"]["packs"], found["hot"]["snapshots"], found["hot"]["newest_backup"]) == (1, 0, None)
    assert (found["hot"]["too_old"], found["archived"]["too_old"]) == (True, False)


def read_stored_names(cli: Cli) -> list[str]:
    """Return the names of all blobs."""
    with BlobServiceClient.from_connection_string(cli.vault.endpoints.connection_string) as blobs:
        return [str(name) for name in blobs.get_container_client(cli.vault.container).list_blob_names()]


def test_rows_alone(two: Cli) -> None:
    """A container that is gone leaves the rows, which are named."""
    with BlobServiceClient.from_connection_string(two.vault.endpoints.connection_string) as blobs:
        blobs.delete_container(two.vault.container)
    found = listed(two)
    assert [(each["packs"], each["in_table"]) for each in found.values()] == [(0, True), (0, True)]
    assert "only rows" in asked(two).stdout


def test_a_backup_that_is_too_old(two: Cli) -> None:
    """15, the partition is named and marked; with --quiet only those that are too old are listed."""
    assert asked(two, "--max-age", "1h").stderr == ""
    assert asked(two, "--max-age", "1h", "--quiet").stdout == ""
    late = asked(two, "--max-age", "0h", expect=15)
    assert "restore.py: 2 partitions without a backup that is new enough: archived, hot" in late.stderr
    assert late.stdout.count(" !") == 2
    check_error(asked(two, "--max-age", "26", expect=2), "restore.py", 2, "--max-age", "26h")
    check_error(two("restore.py", "--max-age", "1h", "--plan", expect=2), "restore.py", 2, "--partitions")


def test_no_partition(cli: Cli, two: Cli) -> None:
    """Names that lead nowhere are 10; a restore without --partition says how to find out."""
    check_error(
        asked(cli.elsewhere(container="t0nothing", table="t0nothing"), expect=10), "restore.py", 10, "t0nothing"
    )
    check_error(asked(two, "--partition", "hit", expect=10), "restore.py", 10, "archived, hot")
    result = cli.runner("restore.py", "--account", "a", "--snapshots")
    check_error(result, "restore.py", 2, "no partition is given", "--partitions")


@pytest.mark.parametrize("script", ["backup.py", "restore.py", "change_password.py"])
def test_a_mistyped_partition_is_answered_with_those_there_are(two: Cli, tmp_path: Path, script: str) -> None:
    """10; a backup with --existing makes nothing."""
    wrong = two.elsewhere(partition="archive")
    what = {"backup.py": ["--existing", tmp_path / "source"], "restore.py": [tmp_path / "out"]}.get(script, [])
    result = wrong(script, *what, expect=None, env={"AZBACKUP_NEW_PASSWORD": "new"})
    check_error(result, script, 10, "nothing is stored in partition archive", "there are: archived, hot")
    assert list(listed(two)) == ["archived", "hot"]


def test_a_new_partition_is_named(two: Cli, tmp_path: Path) -> None:
    """Without a terminal it is made, and its summary says so; every summary names partition and account."""
    wrong = two.elsewhere(partition="archive")
    begin = f"backup.py: snapshot 1 of {tmp_path / 'source'} in new partition archive on devstoreaccount1"
    line, *_ = wrong.backup(tmp_path / "source").stderr.splitlines()
    assert line.startswith(f"{begin} (there are also: archived, hot), ")
    line, *_ = wrong.backup(tmp_path / "source", "--existing").stderr.splitlines()
    assert line.startswith(f"backup.py: snapshot 2 of {tmp_path / 'source'} in archive on devstoreaccount1, ")
    found = wrong.backup_summary(tmp_path / "source")
    assert (found["partition"], found["account"], found["container"]) == (
        *("archive", "devstoreaccount1"),
        two.vault.container,
    )
    assert (found["new_partition"], found["other_partitions"]) == (False, None)
    found = wrong.elsewhere(partition="other").backup_summary(tmp_path / "source")
    assert (found["new_partition"], found["other_partitions"]) == (True, ["archive", "archived", "hot"])


def test_when_the_password_was_changed(two: Cli, tmp_path: Path) -> None:
    """12 says when, by the clock here; digits in the password are mentioned, as a $$ may have been one."""
    hot = two.elsewhere(partition="hot")
    result = hot("restore.py", "--snapshots", "--password", "pa12345word", expect=None)
    check_error(result, "restore.py", 12, "does not open this partition\n", "single quotes")
    hot("change_password.py", env={"AZBACKUP_NEW_PASSWORD": "new secret"})
    before = time.time()
    result = hot.backup(tmp_path / "source", env={"TZ": "ABC-5"}, expect=None)
    check_error(result, "backup.py", 12, "does not open this partition; it was changed on 20")
    told = re.search(r"changed on (.*) ABC\n", result.stderr)
    assert told is not None
    assert abs(calendar.timegm(time.strptime(told[1], "%Y-%m-%d %H:%M")) - 5 * 3600 - before) < 1800
    file = tmp_path / "password"
    file.write_text("pa12345word")
    file.chmod(0o600)
    from_file = hot("restore.py", "--snapshots", "--password-file", file, expect=12)
    assert "single quotes" not in from_file.stderr


def test_a_new_password_with_the_number_of_the_shell(cli: Cli, tmp_path: Path) -> None:
    """Whoever wrote $$ in double quotes hears of it while the password is still known."""
    (tmp_path / "source").mkdir()
    command = shlex.join(
        [sys.executable, str(REPOSITORY / "backup.py"), *cli.vault.arguments, str(tmp_path / "source")]
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(cli.runner.home), **cli.environment}
    number = ""
    while len(number) < 4:  # a system that was just started has shorter ones, which passwords have by chance
        run = subprocess.run(
            ["/bin/sh", "-c", f'echo $$; test $$ -lt 1000 || {command} --password "pa$$word"'],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        number = run.stdout.split()[0]
    assert "the new password holds this shell's process number" in run.stderr
    assert number not in run.stderr.replace(str(tmp_path), "")
    assert read_stored(cli.vault).rows
