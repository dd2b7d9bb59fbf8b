"""Packs that rest online and go to the archive later: where they are, who may move them, and when."""

from __future__ import annotations

import os
from pathlib import Path

from azure.storage.blob import ContainerClient

from emulator.trees import differences
from tests.cli.conftest import Cli, check_error, next_second
from tests.restore.conftest import sas

SOON = "0.000001"  # days: less than a tenth of a second


def tiers(cli: Cli) -> list[str]:
    """Return the tiers of the packs, the oldest first."""
    where = cli.environment["AZURE_STORAGE_CONNECTION_STRING"]
    with ContainerClient.from_connection_string(where, cli.vault.container) as container:
        return [str(blob.blob_tier) for blob in container.list_blobs() if "/packs/" in str(blob.name)]


def test_packs_rest_and_are_moved(cli: Cli, tmp_path: Path) -> None:
    """They are sent to Hot, stay for the days, are moved by a run that may; a restore and a verification know both."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "one").write_bytes(os.urandom(1000))
    first = cli.backup(source, "--archive-after", "30")
    assert "archive: 1 pack (64.0 KiB) online until 30 days old" in first.stderr
    assert tiers(cli) == ["Hot"]
    next_second()
    weak = cli.backup(source, "--archive-after", SOON, env=sas(cli.vault.endpoints, "rlac"))
    assert weak.stderr.count("archive: nothing was moved, 1 pack (64.0 KiB) stays online") == 1
    assert "docs/operations.md" in weak.stderr
    assert tiers(cli) == ["Hot"]
    assert "archive: 1 pack (64.0 KiB) moved" in cli("backup.py", "--retention-only", "--archive-after", SOON).stderr
    assert tiers(cli) == ["Archive"]
    (source / "two").write_bytes(os.urandom(1000))
    assert "online until 30 days old" in cli.backup(source, "--archive-after", "30", "--tier", "cool").stderr
    assert tiers(cli) == ["Archive", "Cool"]
    assert "1 pack is in another tier" not in cli("restore.py", "--verify").stdout
    cli.restore(tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []


def test_days_that_cannot_be(cli: Cli, tmp_path: Path) -> None:
    """A number, of ten years at most."""
    for value in ("-1", "many", "4000"):
        check_error(cli.backup(tmp_path, f"--archive-after={value}", expect=2), "backup.py", 2, "days are expected")
