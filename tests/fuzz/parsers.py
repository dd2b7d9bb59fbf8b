"""Every parser of stored bytes, with what it may raise, what it gives, and the bytes to begin from.

The corpus is what the frozen vaults hold (tests/vectors/vaults): whatever the format gets, its vault brings along.
"""

from __future__ import annotations

import atexit
import base64
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import zstandard

from azbackup.cli.recovery import _read
from azbackup.crypto.eras import PastEra, decode_eras, encode_eras
from azbackup.crypto.kdf import DEFAULT_COSTS, KdfCosts
from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Damaged
from azbackup.format.compression import decode_bodies, decode_payload, encode_payload
from azbackup.format.entries import EntryWriter
from azbackup.format.framing import frame, unframe
from azbackup.format.labels import CHUNK_MAX, RECORD_PLAIN_BYTES, SALT_BYTES, check_stamp, number_of
from azbackup.format.layers import read_entries
from azbackup.format.model import Entry, SealedRecord
from azbackup.format.payloads import (
    Fence,
    decode_numbered,
    decode_pack,
    decode_snapshot,
    encode_fence,
    encode_pack,
    encode_snapshot,
)
from azbackup.format.retirement import decode_retirement, encode_retirement
from azbackup.format.verdicts import decode_settlement, decode_verified, encode_verdict
from azbackup.records.key_record import decode_copy, encode_copy, from_values
from azbackup.records.keystore import Keystore
from azbackup.records.record_store import RecordStore
from azbackup.storage.local.journal import Journal
from azbackup.storage.local.looks import LookNote
from azbackup.storage.local.rollback import HighestSnapshot
from azbackup.storage.local.salt import RememberedSalt
from azbackup.storage.protocols import Look
from tests.contract.memory import MemoryBlobs, MemoryRows, MemoryTable, md5_of
from tests.vectors import vaults

_STAMP = "20261127T000000Z-0123456789abcdef"
_KEYS = derive(Secret(bytes(32)))
_VAULTS = ("plain", "merged-layers", "retired", "recalled", "settled", "verified", "rules", "tags-and-a-note")


@dataclass(frozen=True)
class Parser:
    """`parse` gives a value or raises AzbackupError; `write` makes its bytes again, None where nothing does."""

    parse: Callable[[bytes], Any]
    write: Callable[[Any], bytes] | None
    seeds: list[bytes] = field(default_factory=list)


@cache
def _corpus() -> dict[str, list[bytes]]:
    """The plaintexts of all records of the frozen vaults, by kind; the copies and the key's copies as they are."""
    found: dict[str, list[bytes]] = {}
    for name in _VAULTS:
        frozen = vaults.load(name)
        blobs, table = MemoryBlobs(), MemoryTable()
        copies = {each: base64.b64decode(data) for each, data in frozen.blobs.items() if each.startswith("records/")}
        key = max(each for each in copies if "/key-" in each)
        blobs.put_new(f"vault/{key}", copies[key], "hot", md5_of(copies[key]))
        rows: Any = MemoryRows(table, "vault")
        store: Any = blobs
        keys = derive(Keystore(rows, store, "vault").open(Secret(vaults.PASSWORD.encode())).data_key)
        records = RecordStore(rows, store, keys, "vault", lambda _: None)
        for each, data in copies.items():
            kind = "key" if "/key-" in each else "copy"
            found.setdefault(kind, []).append(data)
            for row in unframe(data) if kind == "copy" else ():
                plain = records.open(row)
                found.setdefault(row.name.partition("-")[0], []).append(plain)
                found.setdefault("payload", []).append(encode_payload(plain))
    return found


def _entries(data: bytes) -> list[Entry]:
    return [item for item in read_entries([data], full=False) if isinstance(item, Entry)]


def _write_entries(entries: list[Entry]) -> bytes:
    writer = EntryWriter(lambda payload: payload)
    payloads = [each for entry in entries for each in writer.add(entry)] + [*writer.finish()]
    return payloads[0] if payloads else b"\x90"


def _renewed() -> bytes:
    """A key record of a partition that has had other data keys."""
    blobs = vaults.load("renewed-key").blobs
    return base64.b64decode(blobs[max(name for name in blobs if "/key-" in name)])


def _eras(data: bytes) -> list[tuple[int, bytes]]:
    return [(era.last, era.data_key.reveal()) for era in decode_eras(data)]


def _write_eras(eras: list[tuple[int, bytes]]) -> bytes:
    return encode_eras([PastEra(last, Secret(key)) for last, key in eras])


def _fence(data: bytes) -> Fence:
    found = decode_numbered("snapshot-00000001", data)
    if not isinstance(found, Fence):
        raise Damaged("a snapshot")
    return found


def _key_copy(data: bytes) -> Any:
    return from_values(decode_copy(data))


def _bounded(data: bytes, most: int) -> bytes:
    assert len(data) <= most
    return data


def _body(data: bytes) -> bytes:
    try:
        claimed = zstandard.frame_content_size(data[1:]) if data[:1] == b"\1" else len(data) - 1
    except zstandard.ZstdError:
        claimed = len(data)
    (found,) = decode_bodies([data], [min(max(claimed, 1), CHUNK_MAX)])
    if isinstance(found, AzbackupError):
        raise found
    return _bounded(bytes(found), CHUNK_MAX)


def _text(check: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda data: check(data.decode("utf-8", "surrogateescape"))


@cache
def _folder() -> Path:
    """Where files of this machine are played: in memory where there is such a place."""
    shared = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _page(data: bytes) -> bytes:
    (_folder() / "page").write_bytes(data)
    return _read(str(_folder() / "page"))


def _journal(data: bytes) -> list[SealedRecord]:
    path = _folder() / "journal"
    path.write_bytes(data)
    journal = Journal(path)
    try:
        return journal.rows()
    finally:
        os.close(journal._file)


def _seen(data: bytes) -> int:
    highest = HighestSnapshot(_folder(), _KEYS)
    highest._note._path.write_bytes(data)
    return highest.number()


class _Salt(RememberedSalt):
    """The one that a file remembers, without the second that stretching takes."""

    def _stretched(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        assert (len(salt), costs) == (SALT_BYTES, DEFAULT_COSTS)
        return password


def _salt(data: bytes) -> bytes | None:
    (_folder() / "salt").write_bytes(data)
    return _Salt(_folder() / "salt", Secret(b"password")).known


def _look(data: bytes) -> Look | None:
    note = LookNote(_folder(), _KEYS)
    note._note.write(data + b" " + note._check(data))
    return note.last()


def _unchecked_look(data: bytes) -> None:
    note = LookNote(_folder(), _KEYS)
    note._note._path.write_bytes(data)
    assert note.last() is None


def parsers() -> dict[str, Parser]:
    """All of them, by name."""
    corpus = _corpus()
    text = [name.encode() for name in (_STAMP, "snapshot-00000001", "snapshot-9999999999")]
    return {
        "file record": Parser(_entries, _write_entries, corpus["files"]),
        "snapshot": Parser(
            lambda data: decode_snapshot("snapshot-00000001", data), encode_snapshot, corpus["snapshot"]
        ),
        "pack record": Parser(
            lambda data: decode_pack(f"pack-{_STAMP}", data), lambda value: encode_pack(value[1]), corpus["pack"]
        ),
        "retired record": Parser(
            lambda data: decode_retirement("retired-00000001", data), encode_retirement, corpus["retired"]
        ),
        "verification": Parser(
            lambda data: decode_verified(f"verified-{_STAMP}", data), encode_verdict, corpus["verified"]
        ),
        "settlement": Parser(
            lambda data: decode_settlement(f"settled-{_STAMP}", data), encode_verdict, corpus["settled"]
        ),
        "payload": Parser(lambda data: _bounded(decode_payload(data), RECORD_PLAIN_BYTES), None, corpus["payload"]),
        "chunk body": Parser(_body, None, [b"\x00plain", *(b"\x01" + each for each in corpus["payload"])]),
        "copy": Parser(unframe, frame, corpus["copy"]),
        "key copy": Parser(_key_copy, encode_copy, [*corpus["key"], _renewed()]),
        "earlier data keys": Parser(_eras, _write_eras, [_write_eras([(3, bytes(32))])]),
        "fence": Parser(_fence, encode_fence, [encode_fence(Fence(2))]),
        "stamp": Parser(_text(check_stamp), lambda value: str(value).encode(), text),
        "number": Parser(_text(lambda name: number_of(name, "snapshot-")), None, text),
        "recovery page": Parser(_page, None, [b"<p>azbackup-recovery-1:" + b"A-_9" * 20 + b"</p>"]),
        "journal": Parser(_journal, frame, corpus["copy"]),
        "salt": Parser(_salt, None, [bytes(SALT_BYTES), bytes(SALT_BYTES) + b"+"]),
        "look": Parser(_look, None, [b"1 2 3 4", b"1 2 3", b"1 2 3 4 5"]),
        "look, by somebody else": Parser(_unchecked_look, None, [b"1 2 3 4 0123456789abcdef"]),
        "highest number": Parser(_seen, None, [b"17", b"17 0123456789abcdef"]),
    }
