"""Records in a row: the bytes of a copy in Blob Storage, and of the local journal.

    copy = "azbkrec1" || for each record: name length u16 || name, ASCII || sealed length u32 || sealed

Promises that what was cut gives the records that are whole. Checks no seal: every record has one of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from azbackup.errors import Damaged
from azbackup.format.batches import batches
from azbackup.format.labels import RECORD_BYTES, RECORD_MAGIC
from azbackup.format.model import SealedRecord

_NAME = struct.Struct(">H")
_SEALED = struct.Struct(">I")
_BLOB_BYTES = 16 * 1024 * 1024
COPY_BYTES = 2 * _BLOB_BYTES  # no copy of a run's records is larger, with the names of the smallest ones
SNAPSHOT_COPY_BYTES = RECORD_BYTES + 4096  # nor any of a snapshot
_MOST = 262_144  # records of a copy that are read: of 28 bytes and more, and never so many; planted ones have none


def frame(rows: Sequence[SealedRecord]) -> bytes:
    """The bytes of a copy of some records."""
    parts = [RECORD_MAGIC]
    for row in rows:
        name = row.name.encode("ascii")
        parts += [_NAME.pack(len(name)), name, _SEALED.pack(len(row.sealed)), row.sealed]
    return b"".join(parts)


def unframe(data: bytes) -> list[SealedRecord]:
    """The records of a copy; of one that was cut, those that are whole.

    Raises Damaged if it does not begin like one.
    """
    if not data.startswith(RECORD_MAGIC):
        raise Damaged(f"a copy of records does not begin with {RECORD_MAGIC.decode()}")
    rows: list[SealedRecord] = []
    at = len(RECORD_MAGIC)
    try:
        while at < len(data) and len(rows) < _MOST:
            (length,) = _NAME.unpack_from(data, at)
            name = data[at + _NAME.size : at + _NAME.size + length].decode("ascii")
            at += _NAME.size + length
            (length,) = _SEALED.unpack_from(data, at)
            at += _SEALED.size
            if at + length > len(data):
                break
            rows.append(SealedRecord(name, data[at : at + length]))
            at += length
    except (struct.error, UnicodeDecodeError):
        pass  # cut, or altered: what came before is whole, and every record has a seal of its own
    return rows


def groups(rows: Sequence[SealedRecord]) -> Iterator[list[SealedRecord]]:
    """The rows in order, in groups for one blob each."""
    return batches(rows, lambda row: len(row.sealed), _BLOB_BYTES)
