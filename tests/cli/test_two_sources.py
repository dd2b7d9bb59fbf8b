"""Several sources of one partition, restored together, are as they would be if each were restored by itself."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_hard_links_are_of_one_source(cli: Cli, tmp_path: Path) -> None:
    """A file system that is mounted at one place, then at another, has the same inodes: its files are not joined."""
    monday, tuesday = tmp_path / "monday", tmp_path / "tuesday"
    monday.mkdir()
    (monday / "a").write_text("of both days")
    (monday / "b").hardlink_to(monday / "a")
    cli.backup(monday)
    monday.rename(tuesday)
    cli.backup(tuesday)
    cli.restore(tmp_path / "restored", "--all")
    names = [path / name for path in (monday, tuesday) for name in "ab"]
    found = [tmp_path / "restored" / str(name).lstrip("/") for name in names]
    numbers = [path.stat().st_ino for path in found]
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3]
