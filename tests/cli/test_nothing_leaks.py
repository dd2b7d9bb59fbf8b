"""Whoever reads the storage learns no name, no path, no contents, and has no hash to test a guess against."""

from __future__ import annotations

import hashlib
import os
import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from blake3 import blake3

from tests.cli.conftest import Cli
from tests.cli.stored import Stored, read_stored
from tests.cli.test_incremental import noise
from tests.conftest import PASSWORD

HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_256")
TEXT = b"the quick brown fox jumps over the lazy dog, and nobody but the owner may know\n"
NAMES = ["confidential-report.txt", "naïve-käse.dat", "secret-folder", "link-to-somewhere", "large-and-random.bin"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tree whose names and contents are easy to find again."""
    root = tmp_path_factory.mktemp("leaks") / "private-source-directory"
    (root / NAMES[2]).mkdir(parents=True)
    (root / NAMES[0]).write_bytes(TEXT * 40)
    (root / NAMES[1]).write_bytes(noise(1, 5_000))
    (root / NAMES[2] / "incompressible").write_bytes(noise(2, 60_000))
    (root / NAMES[3]).symlink_to("/target-of-the-link/far-away")
    (root / NAMES[4]).write_bytes(noise(3, 2_500_000))
    (root / "repeated").write_bytes(noise(1, 5_000))
    return root


@pytest.fixture(scope="module")
def stored(module_cli: Cli, source: Path) -> Stored:
    """Give all that lies in the storage after two backups, a restore and a change of the password."""
    module_cli.backup(source)
    (source / "added-later").write_bytes(TEXT * 3)
    module_cli.backup(source)
    module_cli("change_password.py", env={"AZBACKUP_NEW_PASSWORD": "another secret"})
    return read_stored(module_cli.vault)


def everything(stored: Stored) -> Iterator[tuple[str, bytes]]:
    """(where, bytes) of all names and all contents of blobs and rows."""
    for name, data in stored.blobs.items():
        yield f"the name of {name}", name.encode()
        yield f"blob {name}", data
    for name, values in stored.rows.items():
        yield f"the name of row {name}", name.encode()
        for key, value in values.items():
            yield f"row {name}, {key}", value if isinstance(value, bytes) else f"{key}={value}".encode()


def check_absent(stored: Stored, needles: dict[str, bytes]) -> None:
    """None of the needles is anywhere."""
    places = list(everything(stored))
    assert sum(len(data) for _, data in places) > 2_500_000, "there is something to look through"
    for what, needle in needles.items():
        for where, data in places:
            assert needle not in data, f"{what} is in {where}"


def files(source: Path) -> list[Path]:
    """The regular files of the tree."""
    return [path for path in source.rglob("*") if path.is_file() and not path.is_symlink()]


def test_no_name_and_no_path(stored: Stored, source: Path) -> None:
    """No file's name, directory's name, link's target, nor the source's path, nor this host's name is stored."""
    needles = {name: name.encode() for name in (*NAMES, "incompressible", "added-later", "target-of-the-link")}
    needles |= {part: part.encode() for part in (str(source), source.name, str(source.parent))}
    if len(socket.gethostname()) >= 6:  # a shorter one is found by chance
        needles["the host's name"] = socket.gethostname().encode()
    needles |= {f"{name} in UTF-16": name.encode("utf-16-le") for name in NAMES}
    needles |= {f"{name} in base64": b64encode(name.encode())[:-4] for name in NAMES}
    check_absent(stored, needles)


def test_no_contents(stored: Stored, source: Path) -> None:
    """No run of 16 bytes of any file is stored as it is."""
    needles = {}
    for path in files(source):
        data = path.read_bytes()
        for at in (0, 1, len(data) // 2, len(data) - 16):
            needles[f"{path.name} at {at}"] = data[at : at + 16]
    needles["a word of the text"] = b"quick brown fox"
    check_absent(stored, needles)


def test_no_plain_hash(stored: Stored, source: Path) -> None:
    """No unkeyed hash of a file, a name or a path is stored, raw, in hex, or in base64."""
    plain = {f"contents of {path.name}": path.read_bytes() for path in files(source)}
    plain |= {f"name {path.name}": os.fsencode(path.name) for path in source.rglob("*")}
    plain |= {f"path {path}": os.fsencode(path) for path in (*source.rglob("*"), source)}
    needles = {}
    for what, data in plain.items():
        digests = {name: hashlib.new(name, data).digest() for name in HASHES} | {"blake3": blake3(data).digest()}
        for name, digest in digests.items():
            needles[f"{name} of {what}"] = digest
            needles[f"{name} of {what}, in hex"] = digest.hex().encode()
            needles[f"{name} of {what}, in base64"] = b64encode(digest).rstrip(b"=")
    check_absent(stored, needles)


def test_no_password(stored: Stored) -> None:
    """Neither password is stored, nor a plain hash of one."""
    needles = {}
    for password in (PASSWORD, "another secret"):
        needles[password] = password.encode()
        needles |= {f"{name} of {password}": hashlib.new(name, password.encode()).digest() for name in HASHES}
    check_absent(stored, needles)


def test_metadata_of_blobs_says_nothing(module_cli: Cli, stored: Stored) -> None:
    """Blobs have no metadata, no tags, and one content type for all."""
    connection = module_cli.vault.endpoints.connection_string
    with BlobServiceClient.from_connection_string(connection) as service:
        container = service.get_container_client(module_cli.vault.container)
        blobs = list(container.list_blobs(include=["metadata", "tags"]))
    assert len(blobs) == len(stored.blobs)
    assert {blob.content_settings.content_type for blob in blobs} == {"application/octet-stream"}
    assert [blob.name for blob in blobs if blob.metadata or blob.tags] == []


def test_names_are_all_of_the_documented_form(module_cli: Cli, stored: Stored) -> None:
    """A name tells the partition, a kind, a time or a number, a keyed hash, and nothing that came from the files."""
    connection = module_cli.vault.endpoints.connection_string
    with TableServiceClient.from_connection_string(connection) as tables:
        rows = [each["PartitionKey"] for each in tables.get_table_client(module_cli.vault.table).list_entities()]
    assert set(rows) == {module_cli.vault.partition}
    kinds = {name.split("-")[0] for name in stored.rows}
    assert kinds == {"key", "pack", "files", "snapshot", "head"}
    for name in stored.blobs:
        partition, kind, rest = name.split("/")
        assert (partition, kind in ("packs", "records")) == (module_cli.vault.partition, True)
        assert set(rest) <= set("0123456789abcdefTZ-keysnapshot")


def test_equal_files_look_different_in_two_partitions(cli: Cli, source: Path, stored: Stored) -> None:
    """The same tree in another partition, under the same password, has nothing in common with the first."""
    cli.backup(source)
    other = read_stored(cli.vault)
    blocks = {data[at : at + 32] for data in stored.blobs.values() for at in range(8, len(data) - 32, 32)}
    for name in other.packs():
        data = other.blobs[name]
        assert not [at for at in range(8, len(data) - 32) if data[at : at + 32] in blocks]
