"""Output that nobody can take: the work is done all the same, and its status is told."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, ScriptRunner, Vault


def shell(line: str, vault: Vault, home: Path) -> int:
    """Return the exit status of a script whose streams a shell has redirected."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **vault.environment}
    return subprocess.run(["/bin/bash", "-c", f"set -o pipefail; {line}"], env=environment, check=False).returncode


@pytest.mark.parametrize(
    "streams",
    ["2>&-", "<&- >&- 2>&-", "2>/dev/full", "2>&1 | true", "--json >/dev/full", "--json >&-", "--json | true"],
)
def test_streams_that_take_nothing(streams: str, vault: Vault, run_script: ScriptRunner, tmp_path: Path) -> None:
    """Closed, full or broken: the snapshot is made, with status 0, and can be restored."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("contents")
    os.mkfifo(source / "a fifo")
    script = shlex.join([sys.executable, str(REPOSITORY / "backup.py"), *vault.arguments, str(source)])
    assert shell(f"{script} {streams}", vault, tmp_path) == 0
    restored = run_script("restore.py", *vault.arguments, tmp_path / "restored", env=vault.environment)
    assert restored.returncode == 0
    assert (tmp_path / "restored" / "file").read_text() == "contents"


@pytest.mark.parametrize("script", ["backup.py", "restore.py"])
def test_an_empty_directory_name_is_no_directory(script: str, vault: Vault, run_script: ScriptRunner) -> None:
    """An unset variable in a script must not mean the directory that it happens to run in."""
    result = run_script(script, *vault.arguments, "", env=vault.environment)
    assert result.returncode == 2
    assert "is an empty string" in result.stderr
    assert "hint: " in result.stderr


def test_two_slashes_are_one(vault: Vault, run_script: ScriptRunner, tmp_path: Path) -> None:
    """`//dir` is the same source as `/dir`: nothing is new the second time."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("contents")
    assert run_script("backup.py", *vault.arguments, source, env=vault.environment).returncode == 0
    again = run_script("backup.py", *vault.arguments, f"/{source}", env=vault.environment)
    assert "0 new, 0 changed, 1 unchanged" in again.stderr


def test_the_endpoint_that_fails_is_the_one_that_is_named(
    vault: Vault, run_script: ScriptRunner, tmp_path: Path
) -> None:
    """A wrong table endpoint is not blamed on the blob endpoint."""
    source = tmp_path / "source"
    source.mkdir()
    text = vault.environment["AZURE_STORAGE_CONNECTION_STRING"]
    parts = [part for part in text.split(";") if part and not part.startswith("TableEndpoint=")]
    wrong = ";".join([*parts, "TableEndpoint=http://127.0.0.1:1/devstoreaccount1"])
    environment = {**vault.environment, "AZURE_STORAGE_CONNECTION_STRING": wrong}
    result = run_script("backup.py", *vault.arguments, "--wait-for-network", "0", source, env=environment)
    assert result.returncode == 14
    assert "127.0.0.1:1:" in result.stderr
