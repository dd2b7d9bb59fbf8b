"""Many problems of one kind, through the scripts: a few lines on the screen, every one in the file and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from tests.cli.conftest import Cli, check_error
from tests.cli.stored import read_stored

FILES = 30


@pytest.fixture
def lost(cli: Cli, tmp_path: Path) -> Cli:
    """Give the scripts in a vault of which one pack is gone: the contents of all files below cache/."""
    source = tmp_path / "source"
    (source / "letters").mkdir(parents=True)
    (source / "letters" / "kept").write_text("kept")
    cli.backup(source, "--tier", "hot")
    before = set(read_stored(cli.vault).packs())
    (source / "cache").mkdir()
    for number in range(FILES):
        (source / "cache" / f"{number:02}").write_text(f"contents {number}")
    cli.backup(source, "--tier", "hot")
    [gone] = set(read_stored(cli.vault).packs()) - before
    with BlobServiceClient.from_connection_string(cli.vault.endpoints.connection_string) as service:
        service.get_blob_client(cli.vault.container, gone).delete_blob()
    return cli


def test_a_missing_pack_is_a_few_lines(lost: Cli, tmp_path: Path) -> None:
    """Five files, then how many more, where and why; -v names each, and the file has each whatever is shown."""
    file = tmp_path / "problems"
    result = lost.restore(tmp_path / "one", "--problems", str(file), expect=13)
    named = [line for line in result.stderr.splitlines() if line.startswith("restore.py: cache/")]
    assert [line.split(":")[1] for line in named] == [f" cache/{number:02}" for number in range(5)]
    assert "restore.py: ... and 25 more, all below cache/: its contents are in pack " in result.stderr
    assert result.stderr.count(f"restore.py: all 30 problems are in {file}\n") == 1
    assert [line.split(":")[0] for line in file.read_text().splitlines()[1:]] == [f"cache/{n:02}" for n in range(30)]
    assert (tmp_path / "one" / "letters" / "kept").read_text() == "kept"
    every = lost.restore(tmp_path / "two", "-v", expect=13).stderr
    assert every.count("restore.py: cache/") == FILES
    assert "more, all below" not in every


def test_a_plan_says_which_pack_is_missing_and_for_how_many_files(lost: Cli) -> None:
    """What can be restored is counted without them; nothing is written."""
    result = lost("restore.py", "--plan", expect=13)
    assert "to restore:  1 file, 4 B" in result.stdout
    assert "30 files cannot be restored" in result.stdout
    assert "all below cache/ (-v names them)" in result.stdout
    assert " is missing\n" in result.stdout
    assert result.stderr.count("restore.py: cache/") == 5
    assert lost("restore.py", "--plan", "-v", expect=13).stderr.count("restore.py: cache/") == FILES


def test_programs_hear_of_each(lost: Cli) -> None:
    """One event for each problem; the plan has the losses, the summary the number."""
    events = [json.loads(line) for line in lost("restore.py", "--plan", "--json", expect=13).stdout.splitlines()]
    problems = [event["path"] for event in events if event["event"] == "problem"]
    assert problems == [f"cache/{number:02}" for number in range(FILES)]
    [plan] = [event for event in events if event["event"] == "plan"]
    assert (plan["files"], plan["lost"]["files"], plan["lost"]["where"]) == (1, FILES, "all below cache/")
    assert len(plan["lost"]["packs"]) == 1
    [summary] = [event for event in events if event["event"] == "summary"]
    assert summary["problems"] == FILES


def test_what_a_backup_cannot_read(cli: Cli, open_path: Path, bound_user: int | None) -> None:
    """The same in a backup, also when quiet."""
    source = open_path / "source"
    (source / "private").mkdir(parents=True)
    for number in range(FILES):
        file = source / "private" / f"{number:02}"
        file.write_text("secret")
        file.chmod(0o600 if bound_user is not None else 0)
    file = open_path / "problems"
    result = cli.backup(source, "--quiet", "--problems", str(file), expect=3, user=bound_user)
    assert result.stderr.splitlines()[5:] == [
        "backup.py: ... and 25 more, all below private/: cannot be read: Permission denied",
        f"backup.py: all 30 problems are in {file}",
    ]
    assert len(file.read_text().splitlines()) == 1 + FILES
    for path in (source / "private").iterdir():
        path.chmod(0o600)


def test_a_file_that_is_something_else_is_refused_first(cli: Cli, tmp_path: Path) -> None:
    """2, before anything is sent; the file is not touched."""
    (tmp_path / "thesis.odt").write_text("three years of work")
    result = cli.backup(tmp_path, "--problems", str(tmp_path / "thesis.odt"), expect=None)
    check_error(result, "backup.py", 2, "--problems", "thesis.odt", "not touched")
    assert (tmp_path / "thesis.odt").read_text() == "three years of work"
