"""A source that has lost its files: no snapshot passes for a good one, and a restore of nothing says what there was.

The class: success that is only the absence of work. A disk that is not mounted, a tree that somebody removed, a rule
that leaves out everything.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, check_error
from tests.cli.test_incremental import small_files
from tests.cli.trees import differences
from tests.conftest import PASSWORD


def empty(source: Path) -> None:
    """Remove everything below a directory."""
    for path in source.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_an_emptied_source(cli: Cli, tmp_path: Path) -> None:
    """3, named, no snapshot; the latest one is still the one with files. --allow-empty makes one, a restore says so."""
    source = small_files(tmp_path / "source", 12)
    cli.backup(source, "--tier", "hot")
    before = tmp_path / "before"
    shutil.copytree(source, before, copy_function=shutil.copy2)
    empty(source)
    (source / "only a directory").mkdir()
    result = cli.backup(source, expect=3)
    check_error(result, "backup.py", 3, "snapshot 1 had 12 files", "--allow-empty")
    cli.restore(tmp_path / "restored")
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == sorted(
        path.name for path in before.iterdir()
    )
    cli.backup(source, "--allow-empty")
    result = cli.restore(tmp_path / "nothing")
    assert "snapshot 2 has no files; snapshot 1 of the same source has 12: --snapshot 1" in result.stderr
    cli.backup(source)  # empty before and after: nothing to say


def test_another_directory_with_hardly_anything(cli: Cli, tmp_path: Path) -> None:
    """What an unmounted disk leaves is another directory with a stray file; a new tree of as many files is not."""
    source = small_files(tmp_path / "source", 40)
    cli.backup(source, "--tier", "hot")
    source.rename(tmp_path / "mounted elsewhere")
    source.mkdir()
    (source / "stray").write_bytes(b"written while the disk was away")
    check_error(cli.backup(source, expect=3), "backup.py", 3, "another directory", "snapshot 1 had 40 files")
    small_files(source, 40)
    for path in source.iterdir():
        path.rename(path.with_name(f"new {path.name}"))
    cli.backup(source)


def test_a_clean_up_is_everyday(cli: Cli, tmp_path: Path) -> None:
    """In the same directory all but one file may go."""
    source = small_files(tmp_path / "source", 40)
    cli.backup(source, "--tier", "hot")
    for path in sorted(source.iterdir())[1:]:
        shutil.rmtree(path)
    cli.backup(source)


def test_rules_that_leave_out_everything(cli: Cli, tmp_path: Path) -> None:
    """They are said to, with 3."""
    source = small_files(tmp_path / "source", 3)
    cli.backup(source, "--tier", "hot")
    result = cli.backup(source, "--exclude", "*", "--quiet", expect=3)
    check_error(result, "backup.py", 3, "left out", "snapshot 1 had 3 files")


def test_one_of_several(cli: Cli, tmp_path: Path) -> None:
    """Of two directories the emptied one is named, the other has its snapshot; the status is 3."""
    one, two = small_files(tmp_path / "one", 3), small_files(tmp_path / "two", 3)
    cli("backup.py", one, two, "--tier", "hot")
    empty(one)
    (two / "more").write_bytes(b"more")
    result = cli("backup.py", one, two, expect=3)
    assert f"{one}: it is empty" in result.stderr
    assert f"{two}" in result.stderr
    assert cli("restore.py", "--snapshots").stdout.count(str(two)) >= 1


# --- the destination was forgotten


@pytest.mark.parametrize("path", ["f00", "./f00", "f00/", "{source}/f00"])
def test_the_destination_was_forgotten(cli: Cli, tmp_path: Path, path: str) -> None:
    """A first argument that is a path of the snapshot, and no directory here: 2, and what was meant."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "f00").mkdir()
    (source / "f00" / "x").write_bytes(b"x")
    cli.backup(source, "--tier", "hot")
    typed = path.format(source=source)
    shutil.rmtree(source)
    result = cli("restore.py", typed, expect=2)
    check_error(result, "restore.py", 2, "DIRECTORY", "f00")
    assert PASSWORD not in result.stderr
    assert not source.exists()


def test_a_directory_of_that_name_that_is_there(cli: Cli, tmp_path: Path) -> None:
    """Whoever means it makes it first; a path that the snapshot does not have is a new directory, as ever."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "letters").mkdir()
    (source / "letters" / "x").write_bytes(b"x")
    cli.backup(source, "--tier", "hot")
    (tmp_path / "letters").mkdir()
    cli("restore.py", tmp_path / "letters")
    assert differences(source, tmp_path / "letters") == []
    cli("restore.py", tmp_path / "new")
