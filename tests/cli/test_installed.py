"""A Python without the libraries: a line and what to do, for each script, before anything else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from azbackup.cli.installed import words
from tests.conftest import REPOSITORY

MISSING = ModuleNotFoundError("No module named 'msgspec'", name="msgspec")


@pytest.mark.parametrize("script", ["backup.py", "restore.py", "change_password.py"])
def test_no_library_at_all(script: str, tmp_path: Path) -> None:
    """Without a traceback, with 1; nothing is asked of the options."""
    command = [sys.executable, "-S", str(REPOSITORY / script), "--no-such-option"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    message, hint = done.stderr.splitlines()
    assert message.startswith(f"{script}: {sys.executable} does not have the library ")
    assert hint.startswith("hint: ")


def test_a_library_that_only_some_runs_need() -> None:
    """What is loaded late is told of in the same way, as an error of the run."""
    program = "import sys; sys.modules['azure.core'] = None; from azbackup.cli.start_restore import restore_main as run"
    options = ["--account", "devstoreaccount1", "--partition", "user1", "--password", "horse", "--snapshots"]
    command = [sys.executable, "-c", f"{program}; run()", *options]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert f"restore.py: {sys.executable} does not have the library azure" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the environment, use it, or bring it up to date; names that the shell would take apart are quoted."""
    here = tmp_path / "my checkout"
    python = f"'{here}/.venv/bin/python'"
    install = f"{python} -m pip install -r '{here}/requirements.txt'"
    assert words("backup.py", MISSING, here) == (
        f"{sys.executable} does not have the library msgspec",
        f"python3 -m venv '{here}/.venv' && {install}; then {python} backup.py ...",
    )
    (here / ".venv").mkdir(parents=True)
    used = f"use the Python of the virtual environment: {python} '{here}/backup.py' ..."
    assert words("backup.py", MISSING, here)[1] == used
    monkeypatch.setattr(sys, "prefix", str(here / ".venv"))
    assert words("backup.py", MISSING, here)[1] == install


def test_a_module_of_its_own() -> None:
    """One of azbackup's modules is not missing but a bug, which keeps its traceback."""
    with pytest.raises(ModuleNotFoundError):
        words("backup.py", ModuleNotFoundError("No module named 'azbackup.x'", name="azbackup.x"))
