"""docs/reader.py, written from docs/format.md alone, reads what backup.py stored, and nothing that was altered."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag

from azbackup.format import entries
from azbackup.format.model import Entry, Kind
from emulator.azurite import Azurite
from tests.conftest import PASSWORD, REPOSITORY, ScriptRunner, Vault
from tests.vectors.storage import dump

READER = REPOSITORY / "docs" / "reader.py"
NEW_PASSWORD = "a new one, with ümläuts"
ODD_NAME = os.fsdecode(b"not \xff UTF-8\n")


def make(root: Path) -> None:
    """Make a small tree with many files, two of several chunks, and names that are no text."""
    for folder in ("docs/deep/er", "gone/below", "turns into a file"):
        (root / folder).mkdir(parents=True)
    for number in range(40):
        (root / "docs" / f"{number:02}.txt").write_text(f"file {number}\n" * number)
    (root / "docs" / "deep" / "er" / ODD_NAME).write_bytes(b"odd")
    (root / "docs.txt").write_text("comes after everything in docs/")
    (root / "gone" / "below" / "file").write_text("will be removed")
    (root / "turns into a file" / "inner").write_text("will be removed")
    (root / "large").write_bytes(random.Random(1).randbytes(5_000_000))
    (root / "twin").write_bytes((root / "large").read_bytes())
    (root / "link").symlink_to("docs/01.txt")
    (root / "dangling").symlink_to(b"/nowhere/\xff".decode("utf-8", "surrogateescape"))


def change(root: Path) -> None:
    """Change the tree: contents, kinds, something new, something gone."""
    large = (root / "large").read_bytes()
    (root / "large").write_bytes(b"a few bytes at the front" + large)
    (root / "docs" / "05.txt").write_text("changed")
    (root / "docs" / "06.txt").unlink()
    shutil.rmtree(root / "gone")
    shutil.rmtree(root / "turns into a file")
    (root / "turns into a file").write_text("now a file")
    (root / "new").mkdir()
    (root / "new" / "file").write_text("new")


def contents(root: Path) -> dict[str, bytes | str | None]:
    """Return what the reader restores: bytes of files, targets of symlinks, None for directories."""
    found: dict[str, bytes | str | None] = {}
    for folder, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = Path(folder, name)
            key = str(path.relative_to(root))
            found[key] = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
    return found


@dataclass(frozen=True)
class Stored:
    """What was backed up, and where its dump is: `directory` is the test's own copy."""

    source: Path
    partition: str
    directory: Path

    def read(self, destination: Path, password: str = NEW_PASSWORD) -> subprocess.CompletedProcess[str]:
        """Run the reader as a process that could not import azbackup if it tried (-I)."""
        arguments = [str(self.directory), self.partition, str(self.source), str(destination)]
        return subprocess.run(
            [sys.executable, "-I", str(READER), *arguments],
            input=f"{password}\n",
            capture_output=True,
            text=True,
            check=False,
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as JSON has them."""
        found: list[dict[str, Any]] = json.loads((self.directory / "rows.json").read_text())
        return found

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        """Put other rows in their place."""
        (self.directory / "rows.json").write_text(json.dumps(rows))


@pytest.fixture(scope="module")
def stored_once(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Give a partition with two sources, five snapshots, one of them retired, and a changed password, dumped."""
    folder = tmp_path_factory.mktemp("stored")
    vault = Vault(azurite, "user1", container="readertest", table="readertest")
    runner = ScriptRunner(folder)

    def run(name: str, *arguments: str, password: str = PASSWORD) -> None:
        env = {**vault.environment, "AZBACKUP_PASSWORD": password, "AZBACKUP_NEW_PASSWORD": NEW_PASSWORD}
        result = runner(name, *vault.arguments, *arguments, env=env)
        assert result.returncode == 0, result.stderr

    source, other = folder / "source", folder / "other"
    make(source)
    run("backup.py", str(source))
    change(source)
    run("backup.py", str(source))
    run("change_password.py")
    (source / "docs" / "06.txt").write_text("back again")
    (source / "docs" / "07.txt").unlink()
    run("backup.py", str(source), password=NEW_PASSWORD)
    other.mkdir()
    (other / "file").write_text("of another source")
    run("backup.py", str(other), password=NEW_PASSWORD)
    (other / "file").write_text("of another day")
    run("backup.py", str(other), password=NEW_PASSWORD)
    run("backup.py", "--forget", "4", password=NEW_PASSWORD)
    runner.stop()
    dump(vault, folder / "dump")
    return Stored(source, vault.partition, folder / "dump")


@pytest.fixture
def stored(stored_once: Stored, tmp_path: Path) -> Stored:
    """Give the same with a copy of the dump that may be tampered with."""
    shutil.copytree(stored_once.directory, tmp_path / "dump")
    return replace(stored_once, directory=tmp_path / "dump")


def test_reader_restores_the_latest_snapshot(stored: Stored, tmp_path: Path) -> None:
    """Three layers with changes and removals, under the second password, come out as the source is now."""
    result = stored.read(tmp_path / "restored")
    assert result.returncode == 0, result.stderr
    assert contents(tmp_path / "restored") == contents(stored.source)
    runs = {row["RowKey"].rpartition("-")[0] for row in stored.rows()}
    assert len([run for run in runs if run.startswith("files-")]) == 5


def test_reader_refuses_the_old_password(stored: Stored, tmp_path: Path) -> None:
    """The key record of now does not open with the password of before."""
    result = stored.read(tmp_path / "restored", PASSWORD)
    assert result.returncode != 0
    assert "wrong password" in result.stderr
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("where", ["magic", "nonce", "middle", "tag", "cut", "extended"])
def test_reader_refuses_a_tampered_pack(where: str, stored: Stored, tmp_path: Path) -> None:
    """One byte of a pack changed, one less, one more: the reader ends before it writes anything."""
    pack = max((stored.directory / "packs").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(pack.read_bytes())
    if where == "cut":
        del data[-1]
    elif where == "extended":
        data.append(0)
    else:
        data[{"magic": 0, "nonce": 8, "middle": len(data) // 2, "tag": -1}[where]] ^= 1
    pack.write_bytes(data)
    result = stored.read(tmp_path / "restored")
    assert result.returncode != 0
    assert not (tmp_path / "restored").exists()


def test_reader_refuses_swapped_rows(stored: Stored, tmp_path: Path) -> None:
    """Two records that change their names do not open."""
    rows = stored.rows()
    one, two = [row for row in rows if row["RowKey"].startswith("pack-")][:2]
    one["RowKey"], two["RowKey"] = two["RowKey"], one["RowKey"]
    stored.write_rows(rows)
    result = stored.read(tmp_path / "restored")
    assert "InvalidTag" in result.stderr
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("prefix", ["pack-", "files-", "snapshot-"])
def test_reader_refuses_to_do_without_a_record(prefix: str, stored: Stored, tmp_path: Path) -> None:
    """A first record of any sort that is missing ends the reader."""
    rows = stored.rows()
    rows.remove(min((row for row in rows if row["RowKey"].startswith(prefix)), key=lambda row: row["RowKey"]))
    stored.write_rows(rows)
    assert stored.read(tmp_path / "restored").returncode != 0


# --- single steps, in this process


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """Give the reader as a module."""
    spec = importlib.util.spec_from_file_location("independent_reader", READER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_byte_of_a_pack_can_change(
    reader: ModuleType, vault: Vault, run_script: ScriptRunner, tmp_path: Path
) -> None:
    """Whichever byte of a small pack is changed, it is refused, even if the MD5 in its record agrees."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(b"some text, some text, some text, some text")
    (source / "b").write_bytes(bytes(range(64)))
    assert run_script("backup.py", *vault.arguments, str(source), env=vault.environment).returncode == 0
    dump(vault, tmp_path / "dump")
    rows = {
        row["RowKey"]: row for row in json.loads((tmp_path / "dump/rows.json").read_text(), object_hook=reader.unwrap)
    }
    partition = vault.partition.encode()
    data_key = reader.open_key(rows["key"], PASSWORD.encode(), partition)
    id_key, chunk_key, record_key = (
        reader.hkdf(data_key, b"azbackup/1 " + role) for role in (b"chunk-id", b"chunk", b"record")
    )
    (pack,) = (tmp_path / "dump" / "packs").iterdir()
    record = reader.open_record(rows, f"pack-{pack.name}", record_key, partition)
    data = bytearray(pack.read_bytes())
    assert len(reader.read_pack(record, bytes(data), id_key, chunk_key)) == 3  # the last one is padding
    contents = 8 + sum(record["sealed"][:2])
    for at in (*range(contents + 12 + 17), *range(contents + 29, len(data), 997), *range(len(data) - 16, len(data))):
        data[at] ^= 0x10
        record["md5"] = hashlib.md5(data, usedforsecurity=False).digest()
        with pytest.raises((SystemExit, InvalidTag)):
            reader.read_pack(record, bytes(data), id_key, chunk_key)
        data[at] ^= 0x10


def test_reader_joins_what_azbackup_splits(reader: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of more chunks than one item holds goes on in MORE, also in the next record."""
    monkeypatch.setattr(entries, "MORE_CHUNKS", 2)
    chunks = bytes(range(32)) * 7
    writer = entries.EntryWriter(lambda payload: payload if len(payload) < 300 else None)
    payloads = [
        *writer.add(Entry(b"", int(Kind.DIRECTORY))),
        *writer.add(Entry(b"file", int(Kind.FILE), size=7, chunks=chunks)),
        *writer.finish(),
    ]
    items: list[Any] = [item for payload in payloads for item in msgspec.msgpack.decode(payload)]
    assert len(payloads) > 1
    assert writer.count == len(items) == 5
    joined = reader.join_more(items)
    assert [entry[0] for entry in joined] == [b"", b"file"]
    assert joined[1][12] == chunks


# --- the copies, as docs/format.md section 5 frames them


def test_copies_hold_the_same_sealed_bytes_as_the_rows(stored: Stored, reader: ModuleType) -> None:
    """Taken apart by the page, the copies give every record's row again, byte for byte; heads have no copies."""
    alone = ("key", "head-")
    found = (reader_row(reader, row) for row in stored.rows())
    rows = {row["RowKey"]: row for row in found if not row["RowKey"].startswith(alone)}
    copied: dict[str, bytes] = {}
    for file in (stored.directory / "records").iterdir():
        if not file.name.startswith("key-"):
            copied |= unframed(file.read_bytes())
    assert copied == {name: b"".join(row[key] for key in sorted(row) if key != "RowKey") for name, row in rows.items()}


def reader_row(reader: ModuleType, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its bytes."""
    return {key: reader.unwrap(value) if isinstance(value, dict) else value for key, value in row.items()}


def unframed(data: bytes) -> dict[str, bytes]:
    """Return the records of a copy: "azbkrec1", then length(2) name length(4) sealed, again and again."""
    assert data[:8] == b"azbkrec1"
    found, at = {}, 8
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        name = data[at + 2 : end].decode("ascii")
        at = end + 4 + int.from_bytes(data[end : end + 4], "big")
        found[name] = data[end + 4 : at]
    assert at == len(data)
    return found


def test_key_copies_hold_the_key_records(stored: Stored, reader: ModuleType) -> None:
    """There is a copy for each of the two passwords, and the newer one is what the row says."""
    (row,) = (reader_row(reader, row) for row in stored.rows() if row["RowKey"] == "key")
    copies = [
        msgspec.msgpack.decode(
            (stored.directory / "records" / f"key-{number:08d}").read_bytes().removeprefix(b"azbkrec1")
        )
        for number in (1, 2)
    ]
    assert copies[1] == {key: value for key, value in row.items() if key != "RowKey"}
    assert [copy["format"] for copy in copies] == [1, 2]
    assert copies[0]["commitment"] not in copies[1]["slots"]
