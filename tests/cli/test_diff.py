"""restore.py --diff and --find --deleted as processes: lines for people, JSON for programs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.cli.conftest import Cli, check_error


def test_diff(cli: Cli, tmp_path: Path) -> None:
    """One number compares with the newest, two with each other; paths narrow; bytes are counted."""
    source = tmp_path / "source"
    (source / "2").mkdir(parents=True)
    (source / "2" / "old").write_text("moved on")
    (source / "text").write_text("one")
    cli.backup(source)
    (source / "2" / "old").rename(source / "new")
    (source / "text").write_text("three")
    cli.backup(source)
    (source / "text").chmod(0o600)
    cli.backup(source)
    result = cli("restore.py", "--diff", "1")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == [
        ["moved", "8", "B", f"{source}/2/old", "->", f"{source}/new"],
        ["changed", "3", "B", "->", "5", "B", f"{source}/text"],
    ]
    assert "from snapshot 1 to 3: 0 added, 0 removed, 1 changed (5 B), 1 moved (8 B)" in result.stderr
    *found, summary = map(json.loads, cli("restore.py", "--json", "--diff", "2", "3").stdout.splitlines())
    assert [(each["what"], each["path"], each["fields"]) for each in found] == [("metadata", "text", ["mode"])]
    assert (summary["old"], summary["new"], summary["metadata"], summary["contents"]) == (2, 3, 1, 0)
    whole, inside, _ = map(
        json.loads, cli("restore.py", *["--json", "--list", "--du", "--unique", "--snapshot", "1"]).stdout.splitlines()
    )
    assert (whole["files"], whole["size"], whole["unique"]) == (2, 11, 3)
    assert (inside["path"], inside["files"], inside["size"], inside["unique"]) == ("2", 1, 8, 0)
    assert cli("restore.py", "--list", "--du").stdout.split()[-1] == str(source)
    check_error(cli("restore.py", "--list", "--unique", expect=2), "restore.py", 2)
    below = cli("restore.py", "--diff", "1", "2", "./2", "other", expect=3)
    assert [line.split()[0] for line in below.stdout.splitlines()] == ["removed"]
    assert "other: is in neither snapshot" in below.stderr
    check_error(cli("restore.py", "--diff", "3", expect=10), "restore.py", 10, "the newest")
    check_error(cli("restore.py", "--diff", "1", "7", expect=10), "restore.py", 10)
    check_error(cli("restore.py", "--diff", "1", "--snapshot", "2", expect=2), "restore.py", 2)


def test_deleted(cli: Cli, tmp_path: Path) -> None:
    """A file that is gone is named with its last snapshot, and with a command that brings it back."""
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d" / "the thesis").write_text("all of it")
    (source / "here").write_text("stays")
    cli.backup(source)
    (source / "d" / "the thesis").unlink()
    cli.backup(source)
    result = cli("restore.py", "--find", "*", "--deleted")
    path, when, command = result.stdout.splitlines()
    assert path.endswith(f"{source}/d/the thesis")
    assert "last in snapshot 1 (" in when
    assert "gone in snapshot 2 (" in when
    words = shlex.split(command)
    assert words[words.index("--snapshot") :] == ["--snapshot", "1", "DIRECTORY", "./d/the thesis"]
    script = next(place for place, word in enumerate(words) if word.endswith("restore.py"))
    options = [str(tmp_path / "back") if word == "DIRECTORY" else word for word in words[script + 1 :]]
    cli.runner("restore.py", *options, env=cli.environment)
    assert (tmp_path / "back" / "d" / "the thesis").read_text() == "all of it"
    [event, _] = map(json.loads, cli("restore.py", "--find", "the*", "--deleted", "--json").stdout.splitlines())
    assert (event["path"], event["last"], event["gone"], event["inside"]) == ("d/the thesis", 1, 2, 0)
    assert "nothing that matches is gone" in cli("restore.py", "--find", "here", "--deleted").stderr
    check_error(cli("restore.py", "--list", "--deleted", expect=2), "restore.py", 2)
