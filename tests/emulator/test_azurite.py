"""Azurite starts where it is told to, keeps what it is told to keep, and never outlives anybody."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emulator import azurite as azurite_module
from emulator.azurite import AzuriteError, running_azurite
from tests.conftest import REPOSITORY
from tests.emulator.conftest import service

_CHILD = """
from emulator.azurite import running_azurite
with running_azurite() as azurite:
    print(azurite.pid, flush=True)
    input()
"""


def test_data_on_disk_survives_a_restart(tmp_path: Path) -> None:
    """With a location, what one Azurite was given the next one has; the first is gone."""
    with running_azurite(tmp_path / "data") as first, service(first) as client:
        client.create_container("kept").upload_blob("data", b"x")
    with running_azurite(tmp_path / "data") as second, service(second) as client:
        assert client.get_blob_client("kept", "data").download_blob().readall() == b"x"
    assert not _is_running(first.pid)
    assert not _is_running(second.pid)


def test_azurite_dies_with_a_killed_parent() -> None:
    """SIGKILL of the process that started it ends Azurite too."""
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        watched = os.pidfd_open(pid)
        try:
            parent.send_signal(signal.SIGKILL)
            ended, _, _ = select.select([watched], [], [], 4)
        finally:
            os.close(watched)
    assert ended


def test_missing_azurite_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Azurite there is a message with the way out, not a skipped test."""
    monkeypatch.setattr(azurite_module, "_PROGRAM", tmp_path / "azurite.js")
    with pytest.raises(AzuriteError, match="run make set-up"), running_azurite():
        pass


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
