"""What somebody with the password stored to do harm, met by the real scripts: 13, named, and nothing outside."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from azure.data.tables import TableServiceClient, UpdateMode
from azure.storage.blob import BlobServiceClient

from azbackup.crypto.keywrap import unwrap_data_key
from azbackup.crypto.sealing import derive, open_record, seal_record
from azbackup.crypto.secret import Secret
from azbackup.format.compression import decode_payload, encode_payload
from azbackup.format.framing import frame
from azbackup.format.labels import record_blob
from azbackup.format.model import SealedRecord
from azbackup.records.key_record import from_values
from tests.cli.conftest import Cli
from tests.cli.trees import differences
from tests.conftest import PASSWORD

SNAPSHOT = "snapshot-0000000%d"


class Adversary:
    """Whoever knows the password and may add rows to the table."""

    def __init__(self, cli: Cli) -> None:
        self._vault = cli.vault
        service = TableServiceClient.from_connection_string(cli.vault.endpoints.connection_string)
        self._table = service.get_table_client(cli.vault.table)
        row = {name: getattr(value, "value", value) for name, value in self._row("key").items()}
        record = from_values(row)
        self._keys = derive(unwrap_data_key(record.slots[0].wrapped, Secret(PASSWORD.encode()), cli.vault.partition))

    def _row(self, name: str) -> dict[str, object]:
        return dict(self._table.get_entity(self._vault.partition, name))

    def read(self, name: str) -> dict[str, object]:
        """Return what a record says."""
        found = msgspec.msgpack.decode(self.payload(name), strict=False)
        assert isinstance(found, dict)
        return found

    def payload(self, name: str) -> bytes:
        """Return a record's payload."""
        sealed = self._row(name)["d00"]
        assert isinstance(sealed, bytes)
        return decode_payload(open_record(self._keys, self._vault.partition, name, sealed))

    def plant(self, name: str, payload: bytes) -> None:
        """Seal a record and put it into the table and into a copy."""
        sealed = seal_record(self._keys, self._vault.partition, name, encode_payload(payload))
        self._put({"RowKey": name, "d00": sealed})
        copy = name.removeprefix("files-") if name.startswith("files-") else name.removeprefix("pack-") + "-0001"
        copy = name if name.startswith("snapshot-") else copy
        with BlobServiceClient.from_connection_string(self._vault.endpoints.connection_string) as service:
            blob = service.get_blob_client(self._vault.container, record_blob(self._vault.partition, copy))
            blob.upload_blob(frame([SealedRecord(name, sealed)]))

    def alter_key(self, **values: object) -> None:
        """Alter the key record's row."""
        self._put({**self._row("key"), "RowKey": "key", **values})

    def _put(self, row: dict[str, object]) -> None:
        self._table.upsert_entity({**row, "PartitionKey": self._vault.partition}, mode=UpdateMode.REPLACE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a source of two files."""
    (tmp_path / "source").mkdir()
    for name in ("one", "two"):
        (tmp_path / "source" / name).write_bytes(name.encode() * 1000)
    return tmp_path / "source"


def test_a_source_that_leads_out_is_restored_nowhere(cli: Cli, source: Path, tmp_path: Path) -> None:
    """Beside an honest source each goes below the destination by its path: the one with dots is damage, by name."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "one").write_text("precious")
    cli.backup(source)
    cli.backup(source / ".." / "victim")
    adversary = Adversary(cli)
    planted = {**adversary.read(SNAPSHOT % 1), "source": b"/.." * 20 + os.fsencode(victim)}
    adversary.plant(SNAPSHOT % 3, msgspec.msgpack.encode(planted))
    result = cli.restore(tmp_path / "a" / "restored", "--all", expect=13)
    assert SNAPSHOT % 3 in result.stderr
    assert (victim / "one").read_text() == "precious"
    assert differences(source, tmp_path / "a" / "restored" / os.fspath(source).strip("/")) == []


@pytest.mark.parametrize("payload", [b"\x81\xa4host\xa2\xff\xfe", b"\x91" * 100_000], ids=["bad text", "nesting"])
def test_a_malformed_record_ends_nobodys_runs(cli: Cli, source: Path, tmp_path: Path, payload: bytes) -> None:
    """A pack and a snapshot record: restores are whole, listings list, a backup uploads nothing again; all say 13."""
    cli.backup(source)
    adversary = Adversary(cli)
    adversary.plant(SNAPSHOT % 2, payload)
    adversary.plant("pack-20261201T000000Z-00000000000000aa", payload)
    cli.restore(tmp_path / "restored", expect=13)
    assert differences(source, tmp_path / "restored") == []
    assert cli("restore.py", "--snapshots", expect=13).stdout.count(os.fspath(source)) == 1
    (source / "three").write_bytes(b"three")
    found = cli.backup_summary(source, expect=13)
    assert (found["snapshot"], found["read"]) == (3, 5)


def test_a_malformed_file_record_costs_itself(cli: Cli, tmp_path: Path) -> None:
    """One of three: the others are restored, listed, found and planned, and the range is named; all say 13.

    The next backup says so too, reads what is hidden alone, and is sound: after it all is well.
    """
    source = tmp_path / "source"
    source.mkdir()
    for number in range(6):
        (source / f"f{number}").write_bytes(b"%d" % number * 1000)
    cli.backup(source)
    adversary = Adversary(cli)
    planted = adversary.read(SNAPSHOT % 1)
    run = "20261201T000000Z-00000000000000aa"
    items = msgspec.msgpack.decode(adversary.payload(f"files-{planted['run']}-0001"))
    for number, payload in enumerate((items[:3], None, items[5:]), 1):
        data = b"\x91" * 100_000 if payload is None else msgspec.msgpack.encode(payload)
        adversary.plant(f"files-{run}-{number:04}", data)
    adversary.plant(SNAPSHOT % 2, msgspec.msgpack.encode({**planted, "layers": [[run, 3, 7]]}))
    result = cli.restore(tmp_path / "restored", expect=13)
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["f0", "f1", "f4", "f5"]
    told = "the paths between 'f1' and 'f4' are not known"
    assert told in result.stderr
    plan = cli.restore(tmp_path / "other", "--plan", expect=13)
    assert told in plan.stderr
    assert not (tmp_path / "other").exists()
    listed = cli("restore.py", "--list", expect=13)
    assert told in listed.stderr
    assert ["f2" in listed.stdout, "f4" in listed.stdout] == [False, True]
    found = cli("restore.py", "--find", "f[24]", expect=13)
    assert told in found.stderr
    assert [line.split()[-1] for line in found.stdout.splitlines()] == ["1", "1-2"]  # of f2 and f4: the snapshots
    alone = cli("restore.py", tmp_path / "other", "f2", expect=13)
    assert "'f2' is not known" in alone.stderr
    assert told in alone.stderr
    made = cli.backup_summary(source, expect=13)
    assert (made["snapshot"], made["read"], made["packs"]) == (3, 2000, 0)
    assert cli.backup_summary(source)["snapshot"] == 4
    cli.restore(tmp_path / "whole")
    assert differences(source, tmp_path / "whole") == []


def test_a_key_record_that_costs_too_much_is_asked_about(cli: Cli, source: Path, tmp_path: Path) -> None:
    """4 GiB and 64 passes are not spent unasked: the copy opens, as for any altered row; so it does for a change."""
    cli.backup(source)
    Adversary(cli).alter_key(memory=4 * 1024 * 1024, passes=64, lanes=64)
    result = cli.restore(tmp_path / "restored", expect=13, timeout=200)
    assert "altered" in result.stderr
    assert differences(source, tmp_path / "restored") == []
    environment = {"AZBACKUP_NEW_PASSWORD": "another one"}
    cli("change_password.py", env=environment, expect=13)
    cli.restore(tmp_path / "again", env={"AZBACKUP_PASSWORD": "another one"})
