"""What was stored once opens today as it did then: the golden partition of format 1 never changes."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, ScriptRunner, Vault
from tests.vectors import golden
from tests.vectors.storage import load

# SHA-256 over the names and bytes of every file in golden/: whoever changes one has to change this, and knows.
STORED = "d6cc53a8879d1e508f0b2e221eff6bce00f46d2217d8a6fc27d299e6126964ac"


def test_the_stored_bytes_are_the_same() -> None:
    """Nobody has written the golden partition anew to make another test pass."""
    digest = hashlib.sha256()
    for path in sorted(path for path in golden.GOLDEN.rglob("*") if path.is_file()):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(golden.GOLDEN)} {len(data)}\n".encode() + data)
    assert digest.hexdigest() == STORED


@pytest.fixture
def golden_vault(vault: Vault) -> Vault:
    """Give the golden partition's place in an empty container and table."""
    return replace(vault, partition=golden.PARTITION)


def trees() -> dict[str, dict[str, dict[str, Any]]]:
    """What is to come back: for an ordinary user, to whom the files belong then, without setuid and setgid."""
    found: dict[str, dict[str, dict[str, Any]]] = golden.expected("trees")
    special = 0 if os.geteuid() == 0 else stat.S_ISUID | stat.S_ISGID
    for entry in (entry for tree in found.values() for entry in tree.values() if entry["kind"] == stat.S_IFREG):
        entry["mode"] &= ~special
    return found


@pytest.mark.differs
def test_todays_code_opens_yesterdays_bytes(golden_vault: Vault, run_script: ScriptRunner, tmp_path: Path) -> None:
    """restore.py gives both snapshots back as they were: contents, kinds, modes, times, links."""
    load(golden.GOLDEN, golden_vault)
    assert golden.opened(golden_vault, run_script, tmp_path) == trees()


@pytest.mark.differs
def test_the_copies_alone_are_enough(golden_vault: Vault, run_script: ScriptRunner, tmp_path: Path) -> None:
    """Without the table restore.py gives the same."""
    load(golden.GOLDEN, golden_vault, table=False)
    assert golden.opened(golden_vault, run_script, tmp_path) == trees()


@pytest.mark.differs
@pytest.mark.parametrize("number", ["1", "2"])
def test_the_independent_reader_opens_them_too(number: str, tmp_path: Path) -> None:
    """docs/reader.py gives both snapshots back as they were."""
    command = [sys.executable, "-I", str(REPOSITORY / "docs" / "reader.py")]
    arguments = [str(golden.GOLDEN), golden.PARTITION, str(golden.SOURCE), str(tmp_path / "restored"), number]
    subprocess.run([*command, *arguments], input=f"{golden.PASSWORD}\n".encode(), check=True)
    assert golden.describe(tmp_path / "restored") == trees()[number]


def test_todays_code_goes_on_where_yesterdays_stopped(
    golden_vault: Vault, run_script: ScriptRunner, tmp_path: Path
) -> None:
    """A backup of the restored tree stores nothing: every chunk is cut and named as it was, and found again."""
    load(golden.GOLDEN, golden_vault)
    env = {**golden_vault.environment, "AZBACKUP_PASSWORD": golden.PASSWORD}
    result = run_script("restore.py", *golden_vault.arguments, str(tmp_path / "tree"), env=env)
    assert result.returncode == 0, result.stderr
    result = run_script("backup.py", *golden_vault.arguments, "--json", str(tmp_path / "tree"), env=env)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout.splitlines()[-1])
    assert (summary["snapshot"], summary["stored"]) == (3, 0)
    assert summary["read"] > 20 << 20


def test_files_are_cut_as_they_were() -> None:
    """A stretch of noise has the cut points and chunk ids that it had: deduplication goes on across versions."""
    assert [list(cut) for cut in golden.cuts()] == golden.expected("cuts")


def test_writing_refuses_to_replace() -> None:
    """The generator does not overwrite what is there."""
    with pytest.raises(FileExistsError):
        golden.write()
