"""`make demo-archive` shows what it says, and its exit status is honest."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator import demo_archive
from emulator.archive import ArchiveSimulator
from emulator.azurite import Endpoints


def test_demo_of_the_archive(capfd: pytest.CaptureFixture[str]) -> None:
    """It comes to its end: pending twice, then complete."""
    assert demo_archive.main([]) == 0
    shown = capfd.readouterr()
    assert "nothing is left in the staging container" in shown.out
    assert shown.err.count("to go on later, run again") == 2


def test_demo_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A restored tree that differs ends the demo with 1 and the difference."""

    def play(azurite: Endpoints, archive: ArchiveSimulator, _workspace: Path) -> None:
        for name in ("source", "restored"):
            (tmp_path / name).mkdir()
        (tmp_path / "restored" / "stranger").touch()
        demo_archive._check(azurite, archive, tmp_path / "source", tmp_path / "restored")

    monkeypatch.setattr(demo_archive, "_play", play)
    assert demo_archive.main([]) == 1
    assert "stranger: only in" in capsys.readouterr().out
