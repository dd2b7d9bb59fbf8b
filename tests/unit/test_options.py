"""Options that cannot be right: an empty one is no missing one, whatever it is for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from azbackup.cli.options.backup import backup_parser
from azbackup.cli.options.common import absolute_path
from azbackup.cli.options.restore import restore_parser
from azbackup.errors import UsageError
from azbackup.records.selection import Selection, matcher

EMPTY = ["account", "endpoint-suffix", "container", "table", "partition", "prices", "include", "exclude", "find"]


@pytest.mark.parametrize("option", EMPTY)
def test_an_empty_option_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A variable that was not set is not taken for an option that was not given; the option is named."""
    with pytest.raises(SystemExit) as caught:
        restore_parser().parse_args(["--partition", "p", f"--{option}", "", "to"])
    assert caught.value.code == 2
    assert f"restore.py: --{option} is an empty string" in capsys.readouterr().err


def test_an_empty_path_is_refused() -> None:
    """It means neither everything nor the directory one is in."""
    with pytest.raises(UsageError, match="a path is an empty string"):
        Selection([b"letters", b""], [], [])
    for name in ("directory", "destination", "--source"):
        with pytest.raises(UsageError, match=f"the {name} argument is an empty string"):
            absolute_path("", name)


def test_the_command_line_cannot_drive_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What it complains about is shown with its control characters escaped."""
    with pytest.raises(SystemExit):
        backup_parser().parse_args(["--partition", "p", "dir", "--no\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err


def test_a_current_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path has no meaning there, and says so; an absolute one has."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UsageError, match="relative to the current directory, which was removed"):
        absolute_path("x", "directory")
    assert absolute_path("/x", "directory") == b"/x"
    monkeypatch.chdir(os.sep)


@pytest.mark.parametrize("pattern", ["[z-a]", "[\\", "!", "a[b-a]c", "**[9-0]"])
def test_patterns_that_cannot_be_read(pattern: str) -> None:
    """The option is named; a pattern that can be read after all is one."""
    for make in (lambda: matcher("--find", [pattern]), lambda: Selection([], [], [pattern])):
        try:
            make()
        except UsageError as error:
            assert "has a pattern that cannot be read" in error.message  # noqa: PT017
