"""The password prompt, on a terminal of the test's own: twice before a key is made, once afterwards."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Vault


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
        if shown.endswith((b"password: ", b"again: ")) and typed:
            os.write(terminal, typed.pop(0).encode() + b"\n")
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
    status, shown = on_terminal(line, environment, ["right horse", "wrong horse"])
    assert (status, "the two passwords differ" in shown) == (2, True)
    status, shown = on_terminal(line, environment, ["right horse", "right horse"])
    assert (status, shown.count("password again: ")) == (0, 1)
    assert "horse" not in shown
    status, shown = on_terminal(line, environment, ["right horse"])
    assert (status, shown.count("password")) == (0, 1)
    status, shown = on_terminal(["restore.py", *vault.arguments, str(tmp_path / "out")], environment, ["no horse"])
    assert status == 12
    assert "horse" not in shown
