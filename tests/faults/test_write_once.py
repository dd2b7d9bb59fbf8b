"""Credentials that can only add (SAS rights rlac), modelled on the memory store: what they can do, what they can plant.

Of Azure's rights r reads, l lists, a creates rows, c creates blobs, thawed copies too. None overwrites, deletes,
moves a blob's tier or changes a row. tests/cli/test_write_once.py asks Azurite the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.errors import Unavailable
from azbackup.format.model import PackRecord, SealedRecord
from azbackup.format.payloads import decode_pack, encode_pack
from azbackup.format.retirement import Retirement, encode_retirement
from azbackup.records.keystore import Keystore
from azbackup.records.record_store import RecordStore
from emulator.trees import differences
from tests.contract.memory import Blob, MemoryRows, md5_of
from tests.faults.commands import MemoryAccount
from tests.faults.world import make_source

NEW = {"AZBACKUP_NEW_PASSWORD": "another password of some length"}
_MAY = {
    *("get", "get_plain", "get_range", "range", "ranges", "first", "versions", "names", "listed"),
    *("insert", "insert_plain", "put_new", "put_first", "thaw"),
}


class OnlyAdds:
    """A store as rights rlac show it: everything else is refused, as Azure says it."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "mark":
            return self._mark
        if name in _MAY:
            return getattr(self._store, name)  # type: ignore[no-any-return]
        return self._refuse

    def _mark(self, name: str) -> None:
        if name in self._store.blobs:
            self._refuse()
        self._store.mark(name)

    @staticmethod
    def _refuse(*_: Any) -> None:
        code = "AuthorizationPermissionMismatch"
        raise Unavailable(f"Azure answered 403 {code}", "look at the credentials", code, passing=False)


def only_adds(_what: str, store: Any) -> OnlyAdds:
    """What a run gets of each store."""
    return OnlyAdds(store)


@pytest.fixture
def account(tmp_path: Path) -> MemoryAccount:
    """Give a vault with two snapshots, whose source has changed since."""
    (tmp_path / "home").mkdir()
    (tmp_path / "source").mkdir()
    found = MemoryAccount(tmp_path / "home")
    make_source(tmp_path / "source", unit=3000)
    for day in ("one", "two"):
        (tmp_path / "source" / day).write_text(f"of day {day}\n")
        assert found.backup("--tier", "hot", tmp_path / "source").status == 0
        shutil.copytree(tmp_path / "source", tmp_path / day, symlinks=True)
    (tmp_path / "source" / "three").write_bytes(os.urandom(5000))
    return found


def stored(account: MemoryAccount) -> dict[Any, Any]:
    """Everything that is stored, byte for byte, with the tiers."""
    found: dict[Any, Any] = {name: (blob.data, blob.tier) for name, blob in account.blobs.blobs.items()}
    return {**found, **account.table.rows}


def test_every_command_changes_nothing_that_is_there(account: MemoryAccount, tmp_path: Path) -> None:
    """Backups, restores, verifications, repairs do their work; a new password and retention are refused (14)."""
    before = stored(account)
    source = tmp_path / "source"
    commands: list[tuple[set[int], list[str | Path]]] = [
        ({0}, ["backup", "--tier", "hot", source]),
        ({0}, ["restore", "--verify"]),
        ({0}, ["restore", "--verify", "--read-data"]),
        ({0}, ["restore", tmp_path / "to"]),
        ({0}, ["backup", "--repair"]),
        ({14}, ["change_password"]),
        ({14}, ["backup", "--retention-only", "--keep-last", "1"]),
        ({0, 14}, ["backup", "--recall", "1"]),
        ({0}, ["restore", "--snapshots"]),
    ]
    for statuses, (script, *arguments) in commands:
        done = account.run(str(script), *arguments, wrap=only_adds, **NEW)
        assert done.status in statuses | ({10} if "--recall" in arguments else set()), (script, arguments, done)
        assert before.items() <= stored(account).items()
    assert differences(source, tmp_path / "to") == []


def plant_without_the_password(account: MemoryAccount) -> None:
    """Everything that rights rlac can put where a run would look, without a key."""

    def put(name: str, data: bytes) -> None:
        name = f"{account.partition}/{name}"
        account.blobs.blobs.setdefault(name, Blob(data, "hot", md5_of(data), created=account.blobs.now))

    for number in range(3, 153):
        put(f"records/snapshot-{number:08d}", b"azbkrec1" + os.urandom(90))
    for number in range(60):
        stamp = f"20261126T000000Z-{number:016x}"
        put(f"packs/{stamp}", b"azbkpak1" + os.urandom(300))
        put(f"records/{stamp}-0001", b"azbkrec1" + os.urandom(90))
        put(f"records/retired-{number + 1:08d}", b"azbkrec1" + os.urandom(90))
        put(f"records/key-{number + 2:08d}", b"azbkrec1" + os.urandom(90))
        for name in (f"pack-{stamp}", f"files-{stamp}-0001", f"retired-{number + 1:08d}", f"settled-{stamp}"):
            account.table.rows.setdefault((account.partition, name), os.urandom(200))


def test_what_is_planted_without_the_password(account: MemoryAccount, tmp_path: Path) -> None:
    """It is named, costs a bounded number of requests, hides nothing, and ends nothing once it is settled."""
    clean = account.clone(tmp_path / "home")
    few = len(clean.restore("--snapshot", "2", tmp_path / "clean").calls)
    plant_without_the_password(account)
    genuine = stored(account)
    done = account.restore("--snapshot", "2", tmp_path / "to")
    assert done.status in (0, 13)
    assert differences(tmp_path / "two", tmp_path / "to") == []
    assert len(done.calls) < few + 500
    backup = account.backup("--tier", "hot", tmp_path / "source")
    assert backup.status == 13
    assert backup.damage
    assert len(backup.calls) < 900
    number = str(backup.of("summary")[0]["snapshot"])
    assert account.restore("--verify").status == 13
    assert account.backup("--repair", "--settle").status in (0, 13)
    settled = account.backup("--tier", "hot", tmp_path / "source")
    assert (settled.status, settled.damage) == (0, [])
    assert account.restore("--snapshot", number, tmp_path / "newest").status == 0
    assert differences(tmp_path / "source", tmp_path / "newest") == []
    blobs = {name: value for name, value in genuine.items() if isinstance(name, str)}
    assert blobs.items() <= stored(account).items()


def records_of(account: MemoryAccount) -> RecordStore:
    """What somebody with the password can seal records with."""
    rows: Any = MemoryRows(account.table, account.partition)
    blobs: Any = account.blobs
    opened = Keystore(rows, blobs, account.partition).open(Secret(account.password.encode()))
    return RecordStore(rows, blobs, derive(opened.data_key), account.partition, lambda _: None)


def test_a_pack_that_claims_what_others_hold(account: MemoryAccount, tmp_path: Path) -> None:
    """Somebody with the password says that a pack of noise holds all that is stored: it is tried and named (13)."""
    records = records_of(account)
    rows = account.table.rows.items()
    packs = [(name, row) for (_, name), row in rows if name.startswith("pack-") and isinstance(row, bytes)]
    ids = b"".join(decode_pack(name, records.open(SealedRecord(name, sealed)))[1].ids for name, sealed in packs)
    count = len(ids) // 32
    noise = b"azbkpak1" + os.urandom(60 * count)
    name = "pack-20261126T000000Z-00000000000000aa"
    record = PackRecord(len(noise), md5_of(noise), "hot", ids, [60] * count, [1000] * count)
    row = records.seal(name, encode_pack(record))
    account.table.rows[account.partition, name] = row.sealed
    blob = f"{account.partition}/packs/{name[5:]}"
    account.blobs.blobs[blob] = Blob(noise, "hot", md5_of(noise), created=account.blobs.now)
    done = account.restore("--snapshot", "2", tmp_path / "to")
    assert done.status in (0, 13)
    assert differences(tmp_path / "two", tmp_path / "to") == []
    assert account.restore("--verify", "--read-data").status == 13


def test_a_retired_record_that_takes_everything(account: MemoryAccount, tmp_path: Path) -> None:
    """Somebody with the password retires all snapshots and condemns all packs: all can be recalled, nothing is gone."""
    records = records_of(account)
    packs = [name[5:] for _, name in account.table.rows if name.startswith("pack-")]
    everything = Retirement(numbers=[(1, 2)], removed=[1, 2], condemned=packs)
    row = records.seal("retired-00000001", encode_retirement(everything))
    account.table.rows[account.partition, row.name] = row.sealed
    before = stored(account)
    done = account.restore("--snapshot", "2", tmp_path / "to")
    assert differences(tmp_path / "two", tmp_path / "to") == []
    assert done.status in (0, 13)
    assert account.backup("--retention-only", "--keep-last", "1").status in (0, 10, 13)  # on the same day
    assert before.items() <= stored(account).items()
    assert account.backup("--recall", "1", "--recall", "2").status == 0
    numbers = [event["snapshot"] for event in account.restore("--snapshots").of("snapshot")]
    assert numbers == [1, 2]
