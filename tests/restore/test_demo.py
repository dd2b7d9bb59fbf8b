"""`make demo-archive` shows what it says, and its exit status is honest."""

from __future__ import annotations

import pytest

from emulator import demo_archive
from emulator.archive import ArchiveSimulator


def test_demo_of_the_archive(capfd: pytest.CaptureFixture[str]) -> None:
    """It comes to its end: pending twice, then complete."""
    assert demo_archive.main([]) == 0
    shown = capfd.readouterr()
    assert "nothing is left in the staging container" in shown.out
    assert shown.err.count("to go on later, run again") == 2


def test_demo_that_fails(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """When the thaw does not come to its end the demo says so, and ends with 1."""
    monkeypatch.setattr(ArchiveSimulator, "advance", lambda *_: None)
    assert demo_archive.main([]) == 1
    assert "FAILED: restore.py ended with exit status 75 instead of 0" in capfd.readouterr().out
