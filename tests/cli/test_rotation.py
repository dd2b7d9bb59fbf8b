"""A new data key for what comes, by the real scripts: what is new, what stays readable, and what somebody may plant."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from azbackup.crypto.kdf import Stretcher
from azbackup.crypto.sealing import derive, seal_record
from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged
from azbackup.format.compression import encode_payload
from azbackup.format.framing import frame
from azbackup.format.labels import FENCE_BYTES, snapshot_name
from azbackup.format.model import SealedRecord
from azbackup.format.payloads import decode_snapshot, encode_snapshot
from azbackup.records.keystore import Keystore
from azbackup.records.record_store import RecordStore
from azbackup.storage.azure.tables import from_properties, to_properties
from emulator.azurite import Azurite
from emulator.trees import differences
from tests.cli.conftest import Cli, check_error, check_secrets, summary
from tests.cli.stored import Stored, read_stored
from tests.cli.test_before import now
from tests.cli.test_verify import vault_of
from tests.conftest import PASSWORD
from tests.contract.memory import MemoryBlobs, MemoryRows, MemoryTable, md5_of

OLD, NEW, LAPTOP = PASSWORD, "blatt kanne ufer mond sieben", "laptop: leise wolke regen"


@dataclass(frozen=True)
class Rotated:
    """A partition with two data keys: a snapshot under each, the trees, and the key that leaked."""

    cli: Cli
    stored: Stored
    before: Path
    after: Path
    leaked: Secret
    said: str
    pages: tuple[tuple[Path, str], tuple[Path, str]]  # of before and of after, with their words
    then: str  # when nothing was stored yet under the second key


def rotate(cli: Cli, *options: str, expect: int = 0) -> str:
    """Run change_password.py --rotate-key; what it said."""
    env = {"AZBACKUP_PASSWORD": OLD, "AZBACKUP_NEW_PASSWORD": NEW}
    result = cli("change_password.py", "--rotate-key", *options, env=env, expect=expect)
    check_secrets(result, OLD, NEW)
    return result.stdout + result.stderr


def data_key(stored: Stored, partition: str, password: str) -> Secret:
    """The data key that a password opens, as whoever has both can tell."""
    rows, values = MemoryRows(MemoryTable(), partition), stored.rows["key"]
    rows.insert_plain("key", values)
    return Keystore(rows, MemoryBlobs(), partition, Stretcher()).open(Secret(password.encode())).data_key


@pytest.fixture(scope="module")
def rotated(module_cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Rotated:
    """Give it."""
    folder, cli = tmp_path_factory.mktemp("rotation"), module_cli
    source = folder / "source"
    source.mkdir()
    (source / "file").write_text("content, much of it\n" * 99)
    cli.backup(source, "--tier", "hot")
    cli("change_password.py", "--add-password", "laptop", env={"AZBACKUP_NEW_PASSWORD": LAPTOP})
    old_page = cli("change_password.py", "--export-key", folder / "old page").stdout.strip()
    leaked = data_key(read_stored(cli.vault), cli.vault.partition, OLD)
    (before := folder / "before").mkdir()
    cli.restore(before / "tree")
    untouched = read_stored(cli.vault)
    asked = cli("change_password.py", "--rotate-key", env={"AZBACKUP_NEW_PASSWORD": NEW}, expect=2)
    check_error(asked, "change_password.py", 2, "--yes", "dropped, and to be added again by --add-password: laptop")
    assert read_stored(cli.vault) == untouched
    said = rotate(cli, "--yes")
    cli = opening(cli, NEW)
    new_page = cli("change_password.py", "--export-key", folder / "new page").stdout.strip()
    then = now(cli.vault)
    (source / "more").write_text("of after\n")
    made = cli.backup_summary(source, "--tier", "hot")
    assert (made["new"], made["unchanged"], made["snapshot"]) == (2, 0, 3)  # everything anew; 2 is a fence
    (source / "more still").write_text("and again\n")
    assert cli.backup_summary(source, "--tier", "hot")["unchanged"] == 2
    pages = ((folder / "old page", old_page), (folder / "new page", new_page))
    return Rotated(cli, read_stored(cli.vault), before / "tree", source, leaked, said, pages, then)


def of(rotated: Rotated, azurite: Azurite, stored: Stored) -> Cli:
    """The scripts in a vault of their own that holds what is stored."""
    return opening(vault_of(rotated.cli, azurite, stored), NEW)


def opening(cli: Cli, password: str) -> Cli:
    """The same scripts with another password."""
    return Cli(cli.runner, cli.vault, {**cli.environment, "AZBACKUP_PASSWORD": password})


def numbers(cli: Cli, expect: int = 0, options: tuple[str, ...] = ()) -> list[int]:
    """The snapshots that are listed."""
    lines = cli("restore.py", "--snapshots", "--json", *options, expect=expect).stdout.splitlines()
    return [each["snapshot"] for each in map(json.loads, lines) if each["event"] == "snapshot"]


def test_what_is_said(rotated: Rotated) -> None:
    """How much is stored anew and what that costs, whose password is dropped, and what is to be done."""
    assert "1 file, 1.9 KiB, of 1 source" in rotated.said
    assert "USD once" in rotated.said
    assert "laptop" in rotated.said
    assert "recovery page" in rotated.said


def test_old_and_new_come_back(rotated: Rotated, tmp_path: Path) -> None:
    """Each snapshot through its own store; the old passwords open nothing; all commands see all of them."""
    cli = rotated.cli
    cli.restore(tmp_path / "new")
    cli.restore(tmp_path / "old", "--snapshot", "1")
    assert differences(rotated.after, tmp_path / "new") == differences(rotated.before, tmp_path / "old") == []
    for word in (OLD, LAPTOP):
        assert cli("restore.py", "--snapshots", env={"AZBACKUP_PASSWORD": word}, expect=12)
        assert cli.backup(rotated.after, env={"AZBACKUP_PASSWORD": word}, expect=12)
    assert numbers(cli) == [1, 3, 4]
    found = [json.loads(line) for line in cli("restore.py", "--find", "file", "--json").stdout.splitlines()]
    assert found[0]["snapshots"] == [[1, 4]]  # one version: contents cannot be compared, size and time are the same
    diff = summary(cli("restore.py", "--diff", "1", "3", "--json"))
    assert (diff["added"], diff["contents"], diff["removed"]) == (1, 0, 0)
    assert summary(cli("restore.py", "--verify", "--json"))["snapshots"] == 3
    then = ("--before", rotated.then)
    assert numbers(cli, options=then) == [1]
    assert summary(cli("restore.py", "--verify", "--json", *then))["snapshots"] == 1
    cli.restore(tmp_path / "then", *then)
    assert differences(rotated.before, tmp_path / "then") == []
    report = json.loads(cli("restore.py", "--report", "-").stdout.splitlines()[0])
    assert (len(report["snapshots"]), report["packs"]) == (3, 3)


def test_nothing_new_is_under_the_old_key(rotated: Rotated) -> None:
    """Whoever has the old key opens no record of after, and finds no chunk of after by its id."""
    stored, partition = rotated.stored, rotated.cli.vault.partition
    new = {name.rpartition("/")[2]: values for name, values in stored.rows.items() if name.startswith(".")}
    assert len(new) > 6
    keys, opened = derive(rotated.leaked), 0
    for space in (partition, f"{partition}/2"):
        records = RecordStore(None, MemoryBlobs(), keys, space, lambda _: None)
        for name, values in {**stored.rows, **new}.items():
            with suppress(Damaged):
                records.open_sealed(SealedRecord(name, from_properties(values)))
                assert name not in new
                opened += 1
    assert opened == 5  # pack, files, snapshot and its two heads, of before


def test_the_partition_is_one(rotated: Rotated) -> None:
    """It is listed once, with all that it has; a fence counts as no backup."""
    fence = rotated.stored.blobs[f"{rotated.cli.vault.partition}/records/snapshot-00000002"]
    assert len(fence) <= FENCE_BYTES
    lines = [json.loads(line) for line in rotated.cli("restore.py", "--partitions", "--json").stdout.splitlines()]
    partitions = [each for each in lines if each["event"] == "partition"]
    assert [(each["partition"], each["snapshots"], each["packs"]) for each in partitions] == [
        (rotated.cli.vault.partition, 3, 3)
    ]


@pytest.mark.parametrize("where", ["row and copy", "copy"])
def test_a_snapshot_that_is_planted_under_the_old_key(
    rotated: Rotated, azurite: Azurite, tmp_path: Path, where: str
) -> None:
    """Behind the end of the old key's numbers it is damage: named, never chosen, and settled once."""
    stored, partition = rotated.stored.clone(), rotated.cli.vault.partition
    records = RecordStore(None, MemoryBlobs(), derive(rotated.leaked), partition, lambda _: None)
    name, planted = snapshot_name(1), snapshot_name(9)
    genuine = decode_snapshot(name, records.open_sealed(SealedRecord(name, from_properties(stored.rows[name]))))
    sealed = seal_record(derive(rotated.leaked), partition, planted, encode_payload(encode_snapshot(genuine)))
    if "row" in where:
        stored.rows[planted] = dict(to_properties(sealed))
    if "copy" in where:
        stored.blobs[f"{partition}/records/{planted}"] = frame([SealedRecord(planted, sealed)])
    cli = of(rotated, azurite, stored)
    assert numbers(cli, 13 if "row" in where else 0) == [1, 3, 4]
    cli.restore(tmp_path / "new", expect=13 if "row" in where else 0)
    assert differences(rotated.after, tmp_path / "new") == []
    verified = cli("restore.py", "--verify", expect=13)
    assert f"{planted}: was stored under an earlier data key" in verified.stdout
    cli.backup(rotated.after, "--tier", "hot")
    cli("backup.py", "--repair", "--settle")
    cli("restore.py", "--verify")
    assert numbers(cli) == [1, 3, 4, 5]


def test_an_altered_key_record(rotated: Rotated, azurite: Azurite) -> None:
    """The row is not believed: its copy serves, and that is damage."""
    stored = rotated.stored.clone()
    value = stored.rows["key"]["eras"]
    stored.rows["key"]["eras"] = value[:-1] + bytes([value[-1] ^ 1])
    result = of(rotated, azurite, stored)("restore.py", "--snapshots", "--json", expect=13)
    assert "the key record's row was altered" in result.stdout
    assert sum('"event": "snapshot"' in line for line in result.stdout.splitlines()) == 3


def test_older_key_records_that_are_put_in_its_place(rotated: Rotated, azurite: Azurite) -> None:
    """With the row lost the old password is an older one, also where whoever has the old key makes it the newest."""
    stored, partition = rotated.stored.clone(), rotated.cli.vault.partition
    del stored.rows["key"]
    table = MemoryTable()
    rows, blobs = MemoryRows(table, partition), MemoryBlobs()
    last = max(name for name in stored.blobs if "/key-" in name and stored.blobs[name].find(b"marks") < 0)
    for name in sorted(name for name in stored.blobs if "/key-" in name and name <= last):
        blobs.put_new(name, stored.blobs[name], "hot", md5_of(stored.blobs[name]))
    keystore = Keystore(rows, blobs, partition, Stretcher())
    keystore.rewrite(Secret(OLD.encode()), lambda opened: opened.record.slots, "2027-01-01T00:00:00Z")
    forged = max(blobs.blobs)
    stored.blobs.setdefault(forged.replace(forged[-1], "9"), blobs.blobs[forged].data)
    cli = of(rotated, azurite, stored)
    assert cli("restore.py", "--snapshots", env={"AZBACKUP_PASSWORD": OLD}, expect=12)
    assert numbers(cli) == [1, 3, 4]


def test_recovery_pages(rotated: Rotated, azurite: Azurite, tmp_path: Path) -> None:
    """The new page opens everything; the old one is refused, and opens the old part if nothing else is left."""
    (old, old_words), (new, new_words) = rotated.pages
    cli = of(rotated, azurite, rotated.stored)
    env = {"AZBACKUP_NEW_PASSWORD": LAPTOP, "AZBACKUP_PASSWORD": ""}

    def recover(cli: Cli, page: Path, words: str, expect: int = 0) -> str:
        how = {**env, "AZBACKUP_RECOVERY_PHRASE": words}
        return cli("change_password.py", "--recover", page, env=how, expect=expect).stderr

    assert "from before the data key was renewed" in recover(cli, old, old_words, expect=2)
    recover(cli, new, new_words)
    its = opening(cli, LAPTOP)
    assert numbers(its) == [1, 3, 4]
    lost = rotated.stored.clone()
    del lost.rows["key"]
    for name in lost.copies("key-"):
        del lost.blobs[name]
    cli = of(rotated, azurite, lost)
    recover(cli, new, new_words)
    its = opening(cli, LAPTOP)
    assert numbers(its) == [1, 3, 4]
    its.restore(tmp_path / "new")
    cli = of(rotated, azurite, lost)
    recover(cli, old, old_words)
    its = opening(cli, LAPTOP)
    assert numbers(its) == [1]


def test_retention_counts_all_and_removes_in_each(rotated: Rotated, azurite: Azurite, tmp_path: Path) -> None:
    """Rules are for the snapshots of all data keys together; the old one's are recalled by number too.

    Another password that is added has all of them.
    """
    cli = of(rotated, azurite, rotated.stored)
    preview = summary(cli.backup(rotated.after, "--dry-run", "--json"))
    assert (preview["new"], preview["unchanged"]) == (0, 3)
    cli("change_password.py", "--add-password", "laptop", env={"AZBACKUP_NEW_PASSWORD": LAPTOP})
    cli = opening(cli, LAPTOP)
    assert summary(cli("backup.py", "--retention-only", "--keep-last", "2", "--json"))["removed"] == [1]
    assert numbers(cli) == [3, 4]
    cli("backup.py", "--recall", "1")
    assert numbers(cli) == [1, 3, 4]
    assert summary(cli("backup.py", "--retention-only", "--forget", "3", "--json"))["removed"] == [3]
    cli.restore(tmp_path / "old", "--snapshot", "1")
    assert differences(rotated.before, tmp_path / "old") == []
