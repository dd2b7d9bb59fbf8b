"""A key record of several passwords that was stored once opens for ever, by azbackup and by docs/reader.py."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged, WrongPassword
from azbackup.records.key_record import NewerFormat, decode_copy, encode_copy, from_values
from azbackup.records.keystore import Keystore
from tests.conftest import REPOSITORY
from tests.contract.memory import Blob, MemoryBlobs, MemoryRows, MemoryTable
from tests.vectors import slots

VECTOR = json.loads((Path(__file__).parent / "slots.json").read_text())
COPY = bytes.fromhex(VECTOR["copy"])
PASSWORDS = [(name, Secret.text(password)) for name, password in VECTOR["passwords"].items()]


def row() -> dict[str, Any]:
    """Return the row's properties."""
    return {
        name: bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for name, value in VECTOR["row"].items()
    }


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """Give the independent reader as a module."""
    spec = importlib.util.spec_from_file_location("reader_of_slots", REPOSITORY / "docs" / "reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keystore(*, in_row: bool) -> Keystore:
    """Return the keystore of a partition that has the vector as its row or as its only copy."""
    blobs, rows = MemoryBlobs(), MemoryRows(MemoryTable(), VECTOR["partition"])
    if in_row:
        rows.insert_plain("key", row())
    else:
        blobs.blobs["user1/records/key-00000007"] = Blob(COPY, "hot", b"")
    return Keystore(rows, blobs, VECTOR["partition"])


def test_it_is_what_the_format_says() -> None:
    """The stored bytes are those that are computed from the page, and azbackup writes the same."""
    assert slots.vector() == VECTOR
    assert encode_copy(from_values(decode_copy(COPY))) == COPY


@pytest.mark.parametrize("in_row", [True, False], ids=["row", "copy"])
def test_each_password_opens(in_row: bool) -> None:
    """Each gives the data key and its name; another one is wrong."""
    for name, password in PASSWORDS:
        opened = keystore(in_row=in_row).open(password)
        assert (opened.data_key.reveal().hex(), opened.name) == (VECTOR["data_key"], name)
    with pytest.raises(WrongPassword):
        keystore(in_row=in_row).open(Secret(b"another"))


def test_the_reader_opens_any_slot(reader: ModuleType) -> None:
    """With each password; not with another; not if anything was altered."""
    for _, password in PASSWORDS:
        assert reader.open_key(row(), password.reveal(), b"user1").hex() == VECTOR["data_key"]
    with pytest.raises(SystemExit, match="wrong password"):
        reader.open_key(row(), b"another", b"user1")
    for altered in ({"generation": 8}, {"created": "x"}, {"proof": bytes(32)}, {"salt": bytes(16)}):
        with pytest.raises(SystemExit, match="altered"):
            reader.open_key({**row(), **altered}, PASSWORDS[0][1].reveal(), b"user1")
    with pytest.raises(InvalidTag):
        reader.open_key(row(), PASSWORDS[0][1].reveal(), b"user2")


def test_what_was_altered_does_not_open() -> None:
    """The twin: one byte of the only copy is another, at every place."""
    tried = 0
    for at in range(len(COPY)):
        blobs = MemoryBlobs()
        data = COPY[:at] + bytes([COPY[at] ^ 1]) + COPY[at + 1 :]
        blobs.blobs["user1/records/key-00000007"] = Blob(data, "hot", b"")
        with pytest.raises((Damaged, WrongPassword, NewerFormat)):
            Keystore(MemoryRows(MemoryTable(), "user1"), blobs, "user1").open(PASSWORDS[0][1])
        tried += 1
    assert tried > 500
