"""A restore that costs more than is worth no word asks once, on a terminal, before anything is thawed or written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from emulator.archive import ArchiveSimulator
from tests.cli.conftest import Cli
from tests.cli.test_pending import thaws_asked, two_packs
from tests.cli.test_prompt import on_terminal
from tests.conftest import REPOSITORY


@pytest.fixture
def environment(pended: Cli, tmp_path: Path) -> dict[str, str]:
    """Give the environment of somebody at a terminal."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm", **pended.vault.environment}


def test_asked_once(pended: Cli, archive: ArchiveSimulator, environment: dict[str, str], tmp_path: Path) -> None:
    """`n` and no answer thaw and write nothing (1); after `y` the restore goes on unasked until it is complete."""
    two_packs(pended, tmp_path)
    to = tmp_path / "restored"
    line = ["restore.py", *pended.vault.arguments, str(to), "--ask-above", "0"]
    for answer in ("n", "what?", "\x04"):
        status, shown = on_terminal(line, environment, [answer])
        assert (status, shown.count("Go on? [Y/n]")) == (1, 1), shown
        assert "nothing was thawed, paid or restored" in shown
        for words in ("standard", "at most 15 h", "as asked for", "high", "at most 1 h", "USD"):
            assert words in shown
    assert (thaws_asked(archive), to.exists()) == ([], False)
    assert on_terminal([*line, "--max-cost", "0"], environment, ["y"])[1].count("Go on?") == 0  # it is not possible
    status, shown = on_terminal(line, environment, [""])
    assert (status, shown.count("Go on?"), len(thaws_asked(archive))) == (75, 1, 2), shown
    status, shown = on_terminal(line, environment, [])
    assert (status, shown.count("Go on?")) == (75, 0), shown
    status, shown = on_terminal([*line, "--priority", "high"], environment, ["n"])  # which is dearer
    assert (status, shown.count("Go on?")) == (1, 1), shown
    archive.release()
    status, shown = on_terminal(line, environment, [])
    assert (status, shown.count("Go on?")) == (0, 0), shown


def test_one_dollar_unless_told(
    pended: Cli, archive: ArchiveSimulator, environment: dict[str, str], tmp_path: Path
) -> None:
    """Nobody is asked for cents, nor where nobody sits; a profile may say how much is worth a word."""
    two_packs(pended, tmp_path)
    config = tmp_path / "config.toml"
    config.write_text("[profile.home]\nask-above = 0\n")
    named = [*pended.vault.arguments, str(tmp_path / "restored")]
    line = ["restore.py", *named]
    status, shown = on_terminal([*line, "--config", str(config), "--profile", "home"], environment, ["n"])
    assert (status, shown.count("Go on?")) == (1, 1), shown
    dear = json.loads((REPOSITORY / "azbackup" / "prices.json").read_text())
    dear["egress_gb"], dear["egress_free_gb"] = 1_000_000, 0
    (tmp_path / "dear.json").write_text(json.dumps(dear))
    status, shown = on_terminal([*line, "--prices", str(tmp_path / "dear.json")], environment, ["n"])
    assert (status, shown.count("Go on?")) == (1, 1), shown
    assert thaws_asked(archive) == []
    status, shown = on_terminal(line, environment, ["n"])
    assert (status, shown.count("Go on?")) == (75, 0), shown
    result = pended.restore(tmp_path / "other", "--prices", str(tmp_path / "dear.json"), "--ask-above", "0", expect=75)
    assert "Go on?" not in result.stderr
