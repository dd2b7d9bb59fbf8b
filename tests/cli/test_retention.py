"""Retention through the script: rules after a backup, alone, by number, in advance; and credentials that may not."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableClient

from azbackup.commands.maintenance.keeping import Rules
from azbackup.commands.maintenance.retention import Retention, Wish
from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.format.labels import stamp
from azbackup.packs.run import Clock
from azbackup.records.catalog import Catalog
from azbackup.records.keystore import Keystore
from azbackup.records.partition import Partition
from azbackup.records.record_store import RecordStore
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.removal import AzureRemoval
from azbackup.storage.azure.tables import AzureRows
from azbackup.storage.prices import load_prices
from tests.cli.conftest import Cli, check_error, summary
from tests.cli.test_choosing import numbers
from tests.conftest import PASSWORD
from tests.listener import Silent
from tests.restore.conftest import sas


def events(text: str, name: str) -> list[dict[str, Any]]:
    """Return the JSON events of a name."""
    found = [json.loads(line) for line in text.splitlines()]
    return [event for event in found if event["event"] == name]


def test_rules(cli: Cli, tmp_path: Path) -> None:
    """Rules hold after a backup for its source, and say why; alone for all; gaps that they make are no damage."""
    source, other = tmp_path / "source", tmp_path / "other"
    for tree in (source, other):
        tree.mkdir()
        (tree / "file").write_bytes(os.urandom(1000))
    cli.backup(source, "--tag", "first")
    cli.backup(other)
    (source / "file").write_bytes(os.urandom(1000))
    cli.backup(source)
    cli.backup(other)
    (source / "file").write_bytes(os.urandom(1000))
    result = cli.backup(source, "--keep-last", "1", "--keep-tag", "first")
    assert "retention: 1 snapshot (3) removed, 2 kept" in result.stderr
    assert numbers(cli) == [1, 2, 4, 5]
    planned = cli("backup.py", "--retention-only", "--dry-run", "--keep-last", "1")
    lines = [line.split() for line in planned.stdout.splitlines()]
    marks = {line[1]: line[0] for line in lines if line[0] in ("keep", "remove")}
    assert marks == {"1": "remove", "2": "remove", "4": "keep", "5": "keep"}
    assert "2 snapshots (1, 2) would be removed" in planned.stderr
    assert "2 packs (128.0 KiB) free, and deleted when they are old enough" in planned.stderr
    assert "hold nothing that is kept" in planned.stdout
    assert numbers(cli) == [1, 2, 4, 5]
    alone = cli("backup.py", "--retention-only", "--keep-last", "1", "--delete-early", "--json")
    found = summary(alone)
    assert (found["removed"], found["kept"], found["condemned"], found["deleted"]) == ([1, 2], 2, 2, 0)
    reasons = {event["snapshot"]: event["reasons"] for event in events(alone.stdout, "verdict")}
    assert reasons == {1: [], 2: [], 4: ["newest", "last"], 5: ["newest", "last"]}
    assert numbers(cli) == [4, 5]
    cli.restore(tmp_path / "out", "--source", str(source))
    assert (tmp_path / "out" / "file").read_bytes() == (source / "file").read_bytes()
    cli("restore.py", "--verify")
    assert cli.backup_summary(source)["snapshot"] == 6


def test_packs_are_deleted(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was condemned is deleted from a real account, as if the days had passed; all that is kept is whole."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "stays").write_bytes(os.urandom(1000))
    for _ in range(3):
        (source / "changes").write_bytes(os.urandom(1000))
        cli.backup(source, "--tier", "hot")
    cli("backup.py", "--retention-only", "--keep-last", "1", "--delete-early")
    monkeypatch.setattr("azbackup.commands.maintenance.ledger.GRACE_DAYS", 0)
    account = Account(connection({"connection_string": cli.environment["AZURE_STORAGE_CONNECTION_STRING"]}, {}))
    vault = cli.vault
    damage: list[str] = []
    rows, blobs = AzureRows(account, vault.table, vault.partition), AzureBlobs(account, vault.container)
    keys = derive(Keystore(rows, blobs, vault.partition).open(Secret(PASSWORD.encode())).data_key)
    records = RecordStore(rows, blobs, keys, vault.partition, damage.append)
    partition = Partition(vault.partition, keys, blobs, records)
    removal = AzureRemoval(account, vault.container, vault.table, vault.partition)
    clock = Clock(time.time_ns, lambda: stamp(time.time(), os.urandom(8)))
    wish = Wish(Rules(last=1), load_prices(None), early=True, always=True)
    outcome = Retention(partition, Catalog(records), removal, time.localtime, clock).run(wish, Silent())
    assert (len(outcome.deleted), outcome.records, damage) == (1, 2, [])
    names = list(blobs.names(f"{vault.partition}/"))
    assert len([name for name in names if "/packs/" in name]) == 2
    assert [name for name in names if "/snapshot-" in name] == [f"{vault.partition}/records/snapshot-00000003"]
    assert [row.name for row in rows.range("snapshot-", "snapshot.")] == ["snapshot-00000003"]
    cli("restore.py", "--verify")
    cli.restore(tmp_path / "out")
    assert (tmp_path / "out" / "changes").read_bytes() == (source / "changes").read_bytes()
    assert cli.backup_summary(source)["snapshot"] == 4


def test_by_number(cli: Cli, tmp_path: Path) -> None:
    """--forget removes what it names, and makes no backup; mistakes in options are told."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(4):
        (source / "file").write_text(str(number))
        cli.backup(source)
    result = cli("backup.py", "--forget", "1-2", "--forget", "4")
    assert "retention: 3 snapshots (1, 2, 4) removed" in result.stderr
    assert numbers(cli) == [3]
    assert "retention: snapshot 2 recalled" in cli("backup.py", "--recall", "2").stderr
    assert numbers(cli) == [2, 3]
    cli("backup.py", "--forget", "2")
    check_error(cli("backup.py", "--recall", "3", expect=10), "backup.py", 10, "1, 2, 4")
    result = cli.restore(tmp_path / "out")
    assert (tmp_path / "out" / "file").read_text() == "2"
    assert "snapshot 4 of the same source is newer and was removed by --forget" in result.stderr
    cli.restore(tmp_path / "newest", "--snapshot", "4")
    assert (tmp_path / "newest" / "file").read_text() == "3"
    assert "is newer" not in cli.restore(tmp_path / "named", "--snapshot", "3", expect=None).stderr
    check_error(cli("backup.py", "--forget", "9", expect=10), "backup.py", 10)
    check_error(cli("backup.py", "--forget", "3", "--keep-last", "1", expect=2), "backup.py", 2)
    check_error(cli("backup.py", "--delete-early", source, expect=2), "backup.py", 2)
    check_error(cli("backup.py", "--retention-only", tmp_path, "--keep-last", "1", expect=10), "backup.py", 10)


def test_credentials_that_cannot_delete(cli: Cli, tmp_path: Path) -> None:
    """With a token that can create and read alone a backup is made, retention says plainly that it was not."""
    source = tmp_path / "source"
    source.mkdir()
    cli.backup(source, "--allow-empty")
    table = TableClient.from_connection_string(cli.environment["AZURE_STORAGE_CONNECTION_STRING"], cli.vault.table)
    stored = {entity["RowKey"] for entity in table.list_entities()}
    environment = sas(cli.vault.endpoints, "rwlac")  # no d
    result = cli.backup(source, "--allow-empty", "--keep-last", "1", env=environment, expect=14)
    assert "snapshot 2" in result.stderr
    assert "may not delete" in result.stderr
    assert "--retention-only" in result.stderr
    assert {entity["RowKey"] for entity in table.list_entities()} >= stored
    assert numbers(cli) == [1, 2]
