"""The password prompt, on a terminal of the test's own: twice before a key is made, once afterwards."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, ScriptRunner, Vault

CTRL_C = "\x03"


def on_terminal(arguments: list[str], environment: dict[str, str], typed: list[str]) -> tuple[int, str]:
    """Return (exit status, what the terminal showed) of a script whose user types these lines, one a prompt."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(REPOSITORY)
        os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606  the script itself
    shown = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the terminal's other end is closed: the script has ended
            break
        if not part:
            break
        shown += part
        if shown.endswith((b"password: ", b"again: ", b"[y/N] ", b"[Y/n] ")) and typed:
            line = typed.pop(0)
            os.write(terminal, (line if line == CTRL_C else f"{line}\n").encode())
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


@pytest.fixture
def environment(vault: Vault, tmp_path: Path) -> dict[str, str]:
    """Return an environment with everything but the password."""
    found = {name: value for name, value in vault.environment.items() if name != "AZBACKUP_PASSWORD"}
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm", **found}


def test_a_new_partition_asks_twice_and_a_known_one_once(
    vault: Vault, environment: dict[str, str], tmp_path: Path
) -> None:
    """Nothing typed is shown, and what was typed opens the partition afterwards."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("contents")
    line = ["backup.py", *vault.arguments, str(source)]
    status, shown = on_terminal(line, environment, ["y", *["right horse", "wrong horse"] * 3])
    assert (status, shown.count("the two passwords differ")) == (2, 3)
    status, shown = on_terminal(line, environment, ["y", "right horse", "wrong horse", *["right horse"] * 2])
    assert (status, shown.count("password again: ")) == (0, 2)
    assert "horse" not in shown
    status, shown = on_terminal(line, environment, ["right horse"])
    assert (status, shown.count("password: ")) == (0, 1)


@pytest.fixture
def known(vault: Vault, environment: dict[str, str], tmp_path: Path, run_script: ScriptRunner) -> list[str]:
    """Give the command line of a backup that was made before."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("contents")
    line = [*vault.arguments, str(tmp_path / "source")]
    made = run_script("backup.py", *line, env={**environment, "AZBACKUP_PASSWORD": "right horse"})
    assert made.returncode == 0, made
    return ["backup.py", *line]


def test_a_wrong_password_is_asked_for_three_times(
    vault: Vault, environment: dict[str, str], tmp_path: Path, known: list[str]
) -> None:
    """The third one may be right; after three wrong ones it is 12. Nothing typed is shown."""
    out = ["restore.py", *vault.arguments, str(tmp_path / "out")]
    status, shown = on_terminal(out, environment, ["no horse", "no horse", "no horse", "right horse"])
    assert (status, shown.count("password: "), shown.count("; try again")) == (12, 3, 2)
    assert "horse" not in shown
    assert not (tmp_path / "out").exists()
    status, shown = on_terminal(out, environment, ["no horse", "no horse", "right horse"])
    assert (status, shown.count("password: ")) == (0, 3)
    status, shown = on_terminal(known, environment, ["no horse", "right horse"])
    assert (status, shown.count("password: "), shown.count("again: ")) == (0, 2, 0)


def test_a_wrong_old_password_is_said_to_be_wrong_before_a_new_one_is_typed(
    vault: Vault, environment: dict[str, str], known: list[str]
) -> None:
    """Two wrong ones, the right one, then the new one twice, once for all tries."""
    assert known
    typed = ["no horse", "no horse", "right horse", "new horse", "new horse"]
    status, shown = on_terminal(["change_password.py", *vault.arguments], environment, typed)
    assert (status, shown.count("old password: "), shown.count("new password: ")) == (0, 3, 1)
    status, shown = on_terminal(known, environment, ["right horse", "new horse"])
    assert (status, "it was changed on 20" in shown) == (0, True)


def test_a_mistyped_partition_is_asked_for_before_the_password(
    vault: Vault, environment: dict[str, str], known: list[str]
) -> None:
    """It says which there are; any answer but yes makes nothing (10), also with the password at hand."""
    line = [*known[:-1], "--partition", "usr1", known[-1]]
    for answer in ("n", "", "what?"):
        given = {**environment, "AZBACKUP_PASSWORD": "right horse"}
        status, shown = on_terminal(line, given, [answer])
        assert (status, "password: " in shown) == (10, False), shown
        assert f'There is no partition "usr1" in devstoreaccount1/{vault.container}.' in shown
        assert f"There are: {vault.partition}\r\n" in shown
        assert 'Make a new vault "usr1"? [y/N]' in shown
    status, shown = on_terminal(line, environment, ["y", "new horse", "new horse"])
    assert (status, shown.count("Make a new vault")) == (0, 1), shown
    assert "in new partition usr1 on devstoreaccount1" in shown


@pytest.mark.parametrize("script", ["restore.py", "change_password.py"])
def test_no_password_is_asked_for_where_nothing_is(
    vault: Vault, environment: dict[str, str], known: list[str], script: str
) -> None:
    """The mistyped partition is said to be none before anything is typed."""
    assert known
    out = ["out"] if script == "restore.py" else []
    status, shown = on_terminal([script, *vault.arguments, "--partition", "usr1", *out], environment, [])
    assert (status, "password: " in shown, f"there are: {vault.partition}" in shown) == (10, False, True)


def test_the_first_line_names_partition_and_account(
    vault: Vault, environment: dict[str, str], known: list[str]
) -> None:
    """On a terminal, before anything is read; a partition that is known is not asked about."""
    status, shown = on_terminal(known, {**environment, "AZBACKUP_PASSWORD": "right horse"}, [])
    first = f"backup.py: {vault.partition} in devstoreaccount1/{vault.container}: {known[-1]}"
    assert (status, shown.splitlines()[0]) == (0, first)
    assert "[y/N]" not in shown


@pytest.mark.parametrize("typed", [[CTRL_C], ["y", CTRL_C]])
def test_a_question_that_is_interrupted(environment: dict[str, str], known: list[str], typed: list[str]) -> None:
    """Ctrl-C at a question or a prompt is 130, and its line begins at the left."""
    line = [*known[:-1], "--partition", "usr1", known[-1]]
    status, shown = on_terminal(line, environment, typed)
    assert status == 130
    assert "backup.py: interrupted" in shown.splitlines(), shown
