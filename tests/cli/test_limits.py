"""Backups that are bounded, through the scripts: by time, by what is worth a snapshot, by the hour of the day."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.cli.conftest import Cli, check_error, summary
from tests.cli.test_leaving_out import make
from tests.cli.test_several_directories import snapshots


def test_the_time_is_over(cli: Cli, tmp_path: Path) -> None:
    """75 and no snapshot of any directory; a later run with time enough makes them. It is told as a warning."""
    one, two = make(tmp_path / "one", "a"), make(tmp_path / "two", "b")
    cli("backup.py", one)
    (one / "large").write_bytes(bytes(range(256)) * 40_000)
    more = ("--on-warning", f"touch {tmp_path}/warned")
    result = cli("backup.py", "--max-duration", "0.0001s", *more, one, two, expect=75)
    assert result.stderr.count("no snapshot was made") == 1
    assert (tmp_path / "warned").exists()
    assert snapshots(cli) == [str(one)]
    check_error(cli("backup.py", "--max-duration", "0s", one, expect=75), "backup.py", 75, "no snapshot was made")
    check_error(cli("backup.py", "--max-duration", "soon", one, expect=2), "backup.py", 2, "is not a time")
    cli("backup.py", "--max-duration", "1h", one, two)
    assert snapshots(cli) == [str(one), str(one), str(two)]


def test_no_snapshot_of_nothing_new(cli: Cli, tmp_path: Path) -> None:
    """The first run makes one; the next one says that nothing has changed, in words and as JSON, and ends with 0."""
    source = make(tmp_path / "source", "a")
    skips = "--skip-if-unchanged"
    assert summary(cli("backup.py", "--json", skips, source))["skipped"] is False
    result = cli("backup.py", skips, source)
    assert f"nothing has changed since snapshot 1 of {source}" in result.stderr
    metrics = tmp_path / "a.prom"
    found = summary(cli("backup.py", "--json", skips, "--metrics", metrics, source))
    assert (found["skipped"], found["snapshot"], found["unchanged"], found["cost_month"]) == (True, 1, 1, 0)
    assert 'azbackup_last_success_timestamp_seconds{command="backup"' in metrics.read_text()
    assert snapshots(cli) == [str(source)]
    cli("backup.py", skips, "--tag", "kept", source)
    assert snapshots(cli) == [str(source)] * 2, "a snapshot that was asked for by name is made"
    (source / "a").write_text("other")
    assert summary(cli("backup.py", "--json", skips, source))["snapshot"] == 3
    events = [json.loads(line) for line in cli("restore.py", "--json", "--snapshots").stdout.splitlines()]
    assert [event["changed"] for event in events if event["event"] == "snapshot"] == [0, 0, 1]


def test_output_of_a_program_that_is_the_same(cli: Cli) -> None:
    """What a program prints is compared by its contents: there is no time to go by."""
    same = ("--skip-if-unchanged", "--stdin-name", "dump", "--stdin-command")
    cli("backup.py", *same, "echo 1")
    assert "nothing has changed since snapshot 1 of /stdin/dump" in cli("backup.py", *same, "echo 1").stderr
    assert "snapshot 2 of /stdin/dump" in cli("backup.py", *same, "echo 2").stderr


def test_a_limit_by_the_hour(cli: Cli, tmp_path: Path) -> None:
    """It holds in its hours, of local time, and not in others; one that means nothing is refused."""
    source = make(tmp_path / "source", "a")
    hour = time.gmtime().tm_hour
    other = (hour + 12) % 24
    limit = f"1@{other:02d}:00-{(other + 1) % 24:02d}:00"
    for number in range(3):
        (source / f"{number}").write_bytes(bytes([number]) * 3 + str(number).encode() * 300_000)
    assert summary(cli("backup.py", "--json", "--limit-upload", limit, source, env={"TZ": "UTC"}))["seconds"] < 60
    check_error(cli("backup.py", "--limit-upload", "1@8-9", source, expect=2), "backup.py", 2, "08:00-20:00")
