"""What is said of the options: help, README's tables, manual pages and completions, against the parsers."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from azbackup.cli.completion import completion_text
from azbackup.cli.options.backup import backup_parser
from azbackup.cli.options.change_password import change_password_parser
from azbackup.cli.options.common import Parser
from azbackup.cli.options.restore import restore_parser
from tests.conftest import REPOSITORY

MAKERS: list[Callable[[], Parser]] = [backup_parser, restore_parser, change_password_parser]
SCREEN = 50
WAYS = ("-file", "-command")  # of giving a secret: README names them once


def options(parser: Parser) -> set[str]:
    """The long options of a script, but for the other ways of giving a secret."""
    every = {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")}
    return {flag for flag in every if not any(flag.removesuffix(way) in every - {flag} for way in WAYS)}


# --- --help


@pytest.mark.parametrize("make", MAKERS)
def test_help_fits_a_screen(make: Callable[[], Parser]) -> None:
    """80 columns; under headings, and what every run needs comes first."""
    lines = make().format_help().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= SCREEN
    assert lines[4] == "every day:"
    assert lines[-1] == f"All options: {make().prog} --help-all"


@pytest.mark.parametrize("make", MAKERS)
def test_the_whole_help_fits_80_columns(make: Callable[[], Parser], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option says what it does, in as many lines as it takes."""
    monkeypatch.setenv("COLUMNS", "80")
    parser = make()
    assert max(map(len, argparse.ArgumentParser.format_help(parser).splitlines())) <= 80
    assert [action.dest for action in parser._actions if not action.help] == []


# --- README


def rows() -> list[tuple[str, str]]:
    """(scripts, options) of README's option tables; '' for all three."""
    text = (REPOSITORY / "README.md").read_text().partition("\n## Options\n")[2].partition("\n## ")[0]
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")]
        if line.startswith(("| `--", "| `-v")):
            found.append(("", cells[0]))
        elif ".py" in cells[0]:
            found.append((cells[0], cells[1]))
    return found


@pytest.mark.parametrize("make", MAKERS)
def test_readme_has_each_option_and_no_other(make: Callable[[], Parser]) -> None:
    """A row for each one, under its script or under all of them; what has a row is there."""
    parser = make()
    mine = {flag for who, cell in rows() if not who or parser.prog in who for flag in re.findall(r"--[a-z-]+", cell)}
    credentials = {"--account", "--accesskey", "--sas-token", "--connection-string", "--auth-mode", "--partition"}
    passwords = {"--password", "--old-password", "--new-password"}
    assert sorted(options(parser) - mine - credentials - passwords) == []
    assert sorted(mine - {flag for action in parser._actions for flag in action.option_strings}) == []


def test_documents_name_no_option_that_is_not_there() -> None:
    """Whatever follows the name of a script on a line of its own in the documents."""
    known = {flag for make in MAKERS for action in make()._actions for flag in action.option_strings}
    wrong = set()
    for path in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]:
        for line in path.read_text().splitlines():
            command = re.match(r"    .*(?:backup|restore|change_password)\.py (?!.*: )(.*)", line)
            if command:
                wrong |= {
                    f"{path.name}: {flag}" for flag in re.findall(r"(?<!\S)--[a-z-]+", command[1]) if flag not in known
                }
    assert wrong == set()


def test_readme_says_what_each_dependency_is_for() -> None:
    """Each one of requirements.txt has its row, and no other one has."""
    required = re.findall(r"^[a-z0-9-]+", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    text = (REPOSITORY / "README.md").read_text().partition("\n## Dependencies\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| ([a-z][a-z0-9-]+) \|", text, re.MULTILINE)) == sorted([*required, "package"])


# --- manual pages


def test_manual_pages_have_every_option(tmp_path: Path) -> None:
    """One for each script; examples keep their lines."""
    script = REPOSITORY / "docs" / "manpages.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=300)
    for make in MAKERS:
        text = (tmp_path / f"{make().prog}.1").read_text()
        plain = text.replace("\\-", "-")
        assert text.startswith(".TH ")
        assert [flag for flag in options(make()) - {"--help"} if f"{flag}\\fR" not in plain] == []
        assert ".nf\nexamples:\n" in text


# --- completion


def completed(words: list[str], tmp_path: Path) -> list[str]:
    """What bash offers for the last word of a command line."""
    (tmp_path / "azbackup.bash").write_text(completion_text("bash", [make() for make in MAKERS]))
    script = """
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        asked=$(complete -p "${1##*/}"); asked=${asked##*-F }
        "${asked%% *}" 2>/dev/null
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    command = ["bash", "-c", script, "bash", str(tmp_path / "azbackup.bash"), *words]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, cwd=tmp_path)
    return found.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["backup.py", "--ti"], ["--tier"]),
        (["./restore.py", "--priority", ""], ["standard", "high", "mixed"]),
        (["python", "change_password.py", "--new-password-"], ["--new-password-file", "--new-password-command"]),
        ([".venv/bin/python", "/opt/azbackup/backup.py", "--tier", "co"], ["cold", "cool"]),
        (["python3", "restore.py", "--prices", "azbackup.b"], ["azbackup.bash"]),
        (["python3", "another.py", "--ti"], []),
        (["python", "back"], []),
    ],
)
def test_bash_completes(words: list[str], offered: list[str], tmp_path: Path) -> None:
    """Options, their values and files, of the scripts as they are and behind a Python; nothing of other commands."""
    assert completed(words, tmp_path) == offered


def test_any_script_prints_it() -> None:
    """No partition and no account is needed, and all three scripts are in it."""
    command = [sys.executable, REPOSITORY / "restore.py", "--print-completion", "zsh"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert found.stdout == completion_text("zsh", [make() for make in MAKERS])
    assert found.stderr == ""


def test_zsh_is_told_every_option() -> None:
    """For each script, with its help; zsh itself looks through `python SCRIPT`."""
    text = completion_text("zsh", [make() for make in MAKERS])
    for make in MAKERS:
        part = text.partition(f"#compdef {make().prog}\n")[2].partition("#compdef ")[0]
        assert [flag for flag in options(make()) if flag not in part] == []
