"""Mistakes on the command line: each is answered with what was meant, and never with the value of an option."""

from __future__ import annotations

import argparse

import pytest

from azbackup.cli.options.backup import backup_parser
from azbackup.cli.options.change_password import change_password_parser
from azbackup.cli.options.restore import restore_parser

SECRET = "hunter2"


def said(parser: argparse.ArgumentParser, line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a parser says about a wrong command line, which ends with status 2."""
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(line.split())
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert SECRET not in text
    assert [each.split(":")[0] for each in text.splitlines()] == [parser.prog, "hint"]
    return text


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("--partiton user1 dir", "--partition"),
        ("-partition user1 dir", "--partition"),
        ("--partition user1 --pasword=hunter2 dir", "--password"),
        ("--partition user1 --Limit_Upload 5 dir", "--limit-upload"),
        ("--partition user1 dir --re-read", "--reread"),
    ],
)
def test_an_unknown_option_names_the_one_that_was_meant(
    line: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where something that is required is missing only because of it."""
    assert f"did you mean {meant}?" in said(backup_parser(), line, capsys)


def test_an_option_that_is_like_no_other_one_is_named_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Of one dash the letter alone: the rest may be a password, as other programs take it."""
    assert "there is no option --foobarbaz\n" in said(backup_parser(), "--partition p d --foobarbaz=1", capsys)
    assert "there is no option -p\n" in said(backup_parser(), "--partition p d -phunter2", capsys)


@pytest.mark.parametrize("value", ["-hunter2", "--hunter2", "-v"])
def test_a_value_that_begins_with_a_dash(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The hint says how it is given, and does not show it."""
    text = said(backup_parser(), f"--partition p --password {value} dir", capsys)
    assert "--password has no value" in text
    assert "--password=-..." in text
    assert backup_parser().parse_args(["--partition", "p", f"--password={value}", "dir"]).password == value


def test_several_directories() -> None:
    """Each word that is no option is one, wherever it stands; whether it is there is asked later."""
    args = backup_parser().parse_args(["--partition", "p", "one", "--quiet", "two"])
    assert args.directories == ["one", "two"]


def test_a_word_too_many_where_there_is_no_place_for_any(capsys: pytest.CaptureFixture[str]) -> None:
    """A new password with a blank has lost its quotes: it is not shown."""
    line = "--partition p --old-password a --new-password correct hunter2"
    assert "a word that belongs to no option" in said(change_password_parser(), line, capsys)


def test_no_partition(capsys: pytest.CaptureFixture[str]) -> None:
    """It says how to find out which there are."""
    assert "no partition is given\nhint: give --partition NAME; restore.py --partitions" in said(
        backup_parser(), "dir", capsys
    )


def test_what_is_right_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """Negative numbers, a lone dash and values with blanks are values; after -- nothing is an option."""
    args = restore_parser().parse_args(["--partition", "p", "--snapshot", "-1", "--exclude", "- a", "-", "-vv"])
    assert (args.snapshot, args.exclude, args.destination, args.verbose) == (-1, ["- a"], "-", 2)
    with pytest.raises(SystemExit) as caught:
        restore_parser().parse_args(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().err == ""
