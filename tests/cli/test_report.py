"""--report through the scripts: a page of one partition or of all, or the same as JSON; no other file is replaced."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, check_error
from tests.cli.stored import Stored, read_stored, write_stored
from tests.cli.test_damage import at_home

NAME = '<b>bold & "odd"\'.txt'


@pytest.fixture
def backed_up(cli: Cli, tmp_path: Path) -> Cli:
    """Give a vault with two snapshots of one source and one of another."""
    first, second = tmp_path / "first", tmp_path / "second"
    for source in (first, second):
        (source / "d").mkdir(parents=True)
    (first / "d" / NAME).write_bytes(os.urandom(300_000))
    (second / "d" / "file").write_bytes(os.urandom(1000))
    cli.backup(first)
    (first / "d" / "more").write_bytes(os.urandom(500_000))
    cli.backup(first, second)
    return cli


def figures(cli: Cli, *options: str, expect: int = 0) -> dict[str, Any]:
    """What --report - prints: one object."""
    [line] = cli("restore.py", "--report", "-", *options, expect=expect).stdout.splitlines()
    return dict(json.loads(line))


def test_figures(backed_up: Cli, tmp_path: Path) -> None:
    """Sources, snapshots, what is stored and where, paths that grew, what a restore takes: all from records."""
    found = figures(backed_up)
    assert found["event"] == "report"
    first, second = found["sources"]
    assert (first["path"], first["snapshots"], first["files"]) == (str(tmp_path / "first"), 2, 2)
    assert (second["size"], second["too_old"]) == (1000, False)
    assert [each["number"] for each in found["snapshots"]] == [1, 2, 3]
    assert (found["protected"], found["versions"]) == (801_000, 300_000 + 801_000)
    assert found["packs"] == 3
    assert found["tiers"] == {"archive": found["stored"]}
    assert found["snapshots"][-1]["stored_then"] == found["stored"]
    paths = {(each["source"], each["path"]): (each["size"], each["before"]) for each in found["growth"]}
    assert paths[0, "d"] == (800_000, 300_000)
    assert paths[0, f"d/{NAME}"] == (300_000, 300_000)
    restore = found["restore"]
    assert (restore["files"], restore["size"], restore["packs"]) == (3, 801_000, 3)
    assert restore["thaw"] == restore["whole"]
    assert 1.0 <= restore["fragmentation"] < 1.3  # small packs, padded to multiples of 64 KiB
    assert restore["hours"]["standard"] == 15.0
    assert found["damage"] == []
    assert figures(backed_up, "--source", str(tmp_path / "second"))["protected"] == 1000


def test_a_page(backed_up: Cli, tmp_path: Path) -> None:
    """It is private, is replaced by the next one, and its names are escaped; any other file stays."""
    page = tmp_path / "report.html"
    result = backed_up("restore.py", "--report", page)
    assert "2 sources, 3 snapshots" in result.stderr
    assert result.stdout == ""
    text = page.read_text()
    assert "&lt;b&gt;bold &amp; &quot;odd&quot;" in text
    assert "<b>bold" not in text
    assert "all is well" in text
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    backed_up("restore.py", "--report", page, "--quiet")
    assert page.read_text().startswith("<!DOCTYPE html>")
    (tmp_path / "mine.html").write_text("<!DOCTYPE html>\nmine")
    (tmp_path / "link.html").symlink_to(page)
    for name, words in (("mine.html", "is there already and is no page"), ("link.html", "cannot be read")):
        check_error(backed_up("restore.py", "--report", tmp_path / name, expect=2), "restore.py", 2, words)
    assert (tmp_path / "mine.html").read_text() == "<!DOCTYPE html>\nmine"
    assert sorted(path.name for path in tmp_path.glob("*.html")) == ["link.html", "mine.html", "report.html"]


def test_too_old(backed_up: Cli, tmp_path: Path) -> None:
    """With --max-age the status is 15 where a source, or a partition, is too old; the page is there all the same."""
    page = tmp_path / "report.html"
    result = backed_up("restore.py", "--report", page, "--max-age", "0.00001min", expect=15)
    assert "2 sources without a backup that is new enough" in result.stderr
    assert "2 sources too old" in page.read_text()
    assert figures(backed_up, "--max-age", "1h")["sources"][0]["expected"] == 3600


def test_all_partitions(backed_up: Cli, tmp_path: Path) -> None:
    """No password is needed, and nothing of one is known: names, sizes and times."""
    other = backed_up.elsewhere(partition="other")
    other.backup(tmp_path / "second", "--tier", "hot")
    vault = backed_up.vault
    env = {name: value for name, value in backed_up.environment.items() if name != "AZBACKUP_PASSWORD"}
    where = ("--account", vault.endpoints.account, "--container", vault.container, "--table", vault.table)

    def fleet(*options: str | Path) -> Any:
        result = backed_up.runner("restore.py", *where, "--all-partitions", "--report", *options, env=env)
        assert result.returncode == 0, result
        return result

    found = json.loads(fleet("-").stdout)
    assert [each["partition"] for each in found["partitions"]] == sorted(["other", vault.partition])
    assert [each["too_old"] for each in found["partitions"]] == [False, False]
    page = tmp_path / "fleet.html"
    fleet(page)
    assert vault.partition in page.read_text()
    assert str(tmp_path) not in page.read_text()


def test_damage_is_on_the_page(backed_up: Cli, tmp_path: Path) -> None:
    """A pack that is missing is 13, and the page says so."""
    stored: Stored = read_stored(backed_up.vault)
    del stored.blobs[stored.packs()[0]]
    damaged = backed_up.elsewhere(container=backed_up.vault.container + "x", table=backed_up.vault.table + "x")
    write_stored(damaged.vault, stored)
    damaged = at_home(damaged, "damaged")
    page = tmp_path / "report.html"
    result = damaged("restore.py", "--report", page, expect=13)
    assert "is missing" in result.stderr
    assert "<h2>Damage</h2>" in page.read_text()
    assert "cannot be restored" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--report", "x.html", "--list"], "not allowed with"),
        (["--report", "x.html", "--wait"], "--report and --wait do not go together"),
        (["--all-partitions"], "--all-partitions goes with --report only"),
        (["--report", "x.html", "there"], "--report takes no destination"),
        (["--report", "/nowhere/x.html"], "/nowhere/x.html cannot be written"),
    ],
)
def test_what_does_not_go_together(cli: Cli, arguments: list[str], words: str) -> None:
    """Each is an error before a password is asked for."""
    result = cli("restore.py", *arguments, expect=None)
    assert result.returncode in (1, 2)
    assert words in result.stderr
