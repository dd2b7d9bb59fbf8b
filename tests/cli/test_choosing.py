"""Snapshots that are chosen by their tags and their times: --tag, --note and --as-of as people give them."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.cli.conftest import Cli, check_error, next_second


def numbers(cli: Cli, *options: str) -> list[int]:
    """The snapshots that restore.py --snapshots lists."""
    lines = cli("restore.py", "--json", "--snapshots", *options).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    return [event["snapshot"] for event in events if event["event"] == "snapshot"]


def test_tags_notes_and_times(cli: Cli, tmp_path: Path) -> None:
    """--tag and --as-of narrow --snapshots, --list, --find and a restore alike; a note is shown."""
    source, utc = tmp_path / "source", {"TZ": "UTC"}
    source.mkdir()
    (source / "file").write_text("before")
    cli.backup(source, "--tag", "before", "--tag", "weekly", "--tag", "weekly", "--note", "before the upgrade")
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    next_second()
    (source / "file").write_text("and after")
    cli.backup(source, "--tag", "weekly")
    assert numbers(cli, "--tag", "weekly") == [1, 2]
    assert numbers(cli, "--tag", "weekly", "--tag", "before") == [1]
    assert numbers(cli, "--as-of", moment) == [1]
    assert "before, weekly; before the upgrade" in cli("restore.py", "--snapshots").stdout
    listed = cli("restore.py", "--json", "--list", "file", "--as-of", moment).stdout
    assert json.loads(listed.splitlines()[0])["size"] == len("before")
    [found, _] = cli("restore.py", "--json", "--find", "file", "--tag", "before").stdout.splitlines()
    assert json.loads(found)["snapshots"] == [[1, 1]]
    cli.restore(tmp_path / "then", "--as-of", moment.replace("T", " ").removesuffix("Z"), env=utc)
    assert (tmp_path / "then" / "file").read_text() == "before"
    cli.restore(tmp_path / "today", "--as-of", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400)), env=utc)
    assert (tmp_path / "today" / "file").read_text() == "and after"
    for options in (["--as-of", "1999-12-31"], ["--tag", "other"], ["--snapshot", "2", "--tag", "before"]):
        result = cli("restore.py", "--plan", *options, expect=10)
        check_error(result, "restore.py", 10)
