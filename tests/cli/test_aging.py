"""Packs that rest online and go to the archive later: where they are, who may move them, and when."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

from azure.storage.blob import ContainerClient

from emulator.trees import differences
from tests.cli.conftest import Cli, check_error, next_second, summary
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


def test_a_rule_of_the_account(cli: Cli, tmp_path: Path) -> None:
    """A dry run prints the command that makes it: for the packs of this partition, and for nothing else."""
    (tmp_path / "one").write_bytes(os.urandom(1_000_000))
    command = shlex.split(cli.backup(tmp_path, "--archive-after", "29.5", "--dry-run").stdout.splitlines()[-1])
    assert command[:5] == ["az", "storage", "account", "management-policy", "create"]
    [rule] = json.loads(command[-1])["rules"]
    after = {"daysAfterCreationGreaterThan": 30, "daysAfterLastTierChangeGreaterThan": 30}
    assert rule["definition"]["actions"] == {"baseBlob": {"tierToArchive": after}}
    [prefix] = rule["definition"]["filters"]["prefixMatch"]
    cli.backup(tmp_path, "--tier", "hot")
    where = cli.environment["AZURE_STORAGE_CONNECTION_STRING"]
    with ContainerClient.from_connection_string(where, cli.vault.container) as container:
        names = [f"{cli.vault.container}/{blob.name}" for blob in container.list_blobs()]
    assert [name.startswith(prefix) for name in names] == ["/packs/" in name for name in names]
    said = cli("backup.py", "--retention-only", "--archive-after", "29.5", "--dry-run", "--json").stdout
    found = [each for each in map(json.loads, said.splitlines()) if each["event"] == "lifecycle_rule"]
    assert [each["policy"] for each in found] == [{"rules": [rule]}]


def test_a_dry_run_counts_the_move(cli: Cli, tmp_path: Path) -> None:
    """What moving costs, and what a month costs from then on; out of cool before its 30 days also the rest of them."""
    (tmp_path / "one").write_bytes(os.urandom(1_000_000))
    at_once = summary(cli.backup(tmp_path, "--dry-run", "--json"))
    assert (at_once["cost_moving"], at_once["cost_month_archived"]) == (None, None)
    said = cli.backup(tmp_path, "--dry-run", "--archive-after", "10").stderr
    assert "for moving it after 10 days, then" in said
    hot = summary(cli.backup(tmp_path, "--dry-run", "--archive-after", "10", "--json"))
    assert hot["cost_month_archived"] == at_once["cost_month"] < hot["cost_month"]
    assert hot["cost_moving"] == 0.00001  # a write into the archive tier
    cool = summary(cli.backup(tmp_path, "--dry-run", "--archive-after", "10", "--tier", "cool", "--json"))
    padded = 1_048_576 / 1e9  # GB: a million bytes in a pack of 16 times 64 KiB
    assert cool["cost_moving"] == round(0.00001 + padded * 0.0152 * 20 / 30, 6)


def test_days_that_cannot_be(cli: Cli, tmp_path: Path) -> None:
    """A number, of ten years at most."""
    for value in ("-1", "many", "4000"):
        check_error(cli.backup(tmp_path, f"--archive-after={value}", expect=2), "backup.py", 2, "days are expected")
