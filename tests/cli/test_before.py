"""--before through the scripts: what the storage took later counts for nothing, whatever it says of itself."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from azbackup.records.older import OlderBlobs
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.tables import AzureRows
from tests.cli.conftest import Cli, check_error, summary
from tests.cli.test_incremental import noise
from tests.conftest import Vault, until


class BrokenInto(NamedTuple):
    """The scripts in a vault, a time, what was there then, and what a thief made of it."""

    cli: Cli
    then: str
    trees: Path


def services_times(vault: Vault) -> tuple[float, float]:
    """The service's time, of its table and of its blobs: they may be apart, and from here."""
    connection_string = vault.endpoints.connection_string
    with TableServiceClient.from_connection_string(connection_string) as tables:
        table = tables.get_table_client(vault.table)
        table.upsert_entity({"PartitionKey": "probe", "RowKey": "probe"})
        row = table.get_entity("probe", "probe").metadata["timestamp"]
    with BlobServiceClient.from_connection_string(connection_string) as service:
        blob = service.get_blob_client(vault.container, "probe")
        blob.upload_blob(b"", overwrite=True)
        written = blob.get_blob_properties().last_modified
        assert row is not None
        assert written is not None
        return row.timestamp(), written.timestamp()


def now(vault: Vault) -> str:
    """A time after all that was stored, and before all that will be."""
    then = int(max(services_times(vault))) + 2
    until(lambda: min(services_times(vault)) > then)
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(then))


@pytest.fixture(scope="module")
def broken_into(module_cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> BrokenInto:
    """Give two snapshots; after them one with other contents of the same size, and a record that retires another."""
    folder = tmp_path_factory.mktemp("before")
    source = folder / "source"
    source.mkdir()
    (source / "stays").write_bytes(noise(1, 50_000))
    module_cli.backup(source)
    (source / "comes").write_bytes(noise(2, 50_000))
    module_cli.backup(source)
    (folder / "then").mkdir()
    for name in ("stays", "comes"):
        (folder / "then" / name).write_bytes((source / name).read_bytes())
    then = now(module_cli.vault)
    (source / "stays").write_bytes(noise(3, 50_000))
    module_cli.backup(source, "--reread")
    module_cli("backup.py", "--retention-only", "--forget", "2")
    return BrokenInto(module_cli, then, folder)


def test_restores_lists_and_verifies_what_was_there(broken_into: BrokenInto, tmp_path: Path) -> None:
    """The snapshot that was newest then, though it was retired since; the planted one is counted, and left out."""
    cli, then, trees = broken_into
    assert "3" in cli("restore.py", "--snapshots", "--json").stdout
    said = cli("restore.py", "--snapshots", "--json", "--before", then)
    events = [json.loads(line) for line in said.stdout.splitlines()]
    assert [each["snapshot"] for each in events if each["event"] == "snapshot"] == [1, 2]
    assert "1 later snapshot left out" in said.stdout
    restored = cli.restore(tmp_path / "to", "--before", then)
    assert {path.name: path.read_bytes() for path in (tmp_path / "to").iterdir()} == {
        path.name: path.read_bytes() for path in (trees / "then").iterdir()
    }
    assert "by its own clock" in restored.stderr
    listed = cli("restore.py", "--list", "-R", "--before", then, "stays", "--json").stdout
    assert '"snapshot": 2' in listed or '"snapshot":2' in listed
    found = cli("restore.py", "--find", "stays", "--before", then, "--json").stdout
    assert [json.loads(line)["snapshots"] for line in found.splitlines() if '"found"' in line] == [[[1, 2]]]
    plan = cli("restore.py", "--plan", "--json", "--before", then).stdout
    assert [json.loads(line)["snapshots"] for line in plan.splitlines() if '"plan"' in line] == [[2]]
    verified = summary(cli("restore.py", "--verify", "--json", "--before", then))
    assert (verified["snapshots"], verified["damages"]) == (2, 0)
    assert "verified on" not in cli("restore.py", "--snapshots").stderr  # that was not all


def test_nothing_is_so_old(broken_into: BrokenInto) -> None:
    """That is status 10, with what the times are; a snapshot that came later is none."""
    cli, then, _ = broken_into
    check_error(
        cli("restore.py", "--plan", "--before", "2001-01-01", expect=None), "restore.py", 10, "--before", "copied"
    )
    result = cli("restore.py", "--plan", "--snapshot", "3", "--before", then, expect=10)
    assert "there are 1 to 2" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--partitions"], ["--report", "-"], ["--account-check"], ["--discard-thawed"], ["--verify", "--read-data"]],
    ids=lambda each: each[0] if isinstance(each, list) else None,
)
def test_what_it_does_not_go_with(broken_into: BrokenInto, arguments: list[str]) -> None:
    """Where it would mean nothing it is refused."""
    result = broken_into.cli("restore.py", *arguments, "--before", "2026-11-20", expect=None)
    check_error(result, "restore.py", 2, "--before")


def test_times_are_the_services(broken_into: BrokenInto) -> None:
    """Rows and blobs are told apart by the times that the service gave them; one row by name, too."""
    cli, then, _ = broken_into
    vault = cli.vault
    account = Account(connection({"connection_string": vault.endpoints.connection_string}, {}))
    before = time.mktime(time.strptime(then, "%Y-%m-%d %H:%M:%SZ")) - time.timezone
    rows = AzureRows(account, vault.table, vault.partition, before)
    names = [row.name for row in rows.range("snapshot-", "snapshot.")]
    assert names == ["snapshot-00000001", "snapshot-00000002"]
    assert [row.name for row in rows.first("snapshot-00000002", "snapshot.", 2)] == names[1:]
    assert [name for name, _ in rows.versions("snapshot-", "snapshot.")] == names
    assert rows.get("snapshot-00000002")
    with pytest.raises(Exception, match="not there before"):
        rows.get("snapshot-00000003")
    older = OlderBlobs(AzureBlobs(account, vault.container), before)
    prefix = f"{vault.partition}/records/snapshot-"
    assert [name.removeprefix(prefix) for name in older.names(prefix)] == ["00000001", "00000002"]


def test_differences_of_then(broken_into: BrokenInto) -> None:
    """--diff knows no later snapshot, and shows what came between the two."""
    cli, then, _ = broken_into
    assert "comes" in cli("restore.py", "--diff", "1", "2", "--before", then).stdout
    cli("restore.py", "--diff", "1", "3", "--before", then, expect=10)
