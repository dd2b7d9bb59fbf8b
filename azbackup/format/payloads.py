"""The payloads of snapshot and pack records: msgpack maps, strict where they are read.

Promises that what was decoded can be used as it is: every value is within its bounds (model), ids have the form of ids,
a source is an absolute path that leads nowhere else, and the columns of a pack agree with each other and with its
size. Whatever else somebody stored, with the password or without, is Damaged. Pure.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from azbackup.errors import Damaged
from azbackup.format.decoding import decoded
from azbackup.format.labels import (
    CHUNK_ID_BYTES,
    ERAS,
    FILE_RECORDS,
    PACK_BYTES,
    PACK_MAGIC,
    PACK_PREFIX,
    SNAPSHOT_PREFIX,
    check_stamp,
    number_of,
)
from azbackup.format.model import PackId, PackRecord, Snapshot
from azbackup.format.paths import check_source

_snapshot_decoder = msgspec.msgpack.Decoder(Snapshot)
_pack_decoder = msgspec.msgpack.Decoder(PackRecord)
_encoder = msgspec.msgpack.Encoder()


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """A snapshot's payload: a msgpack map, without the number that its record's name says."""
    return _encoder.encode(msgspec.structs.replace(snapshot, number=0))


def decode_snapshot(name: str, payload: bytes) -> Snapshot:
    """The snapshot of a record. Raises Damaged if it is malformed."""
    snapshot = decoded(_snapshot_decoder, payload, f"record {name}")
    if sum(layer.records for layer in snapshot.layers) > FILE_RECORDS:
        raise Damaged(f"record {name} claims more than {FILE_RECORDS:,} file records")
    try:
        for run in (snapshot.run, *(layer.run for layer in snapshot.layers)):
            check_stamp(run)
        check_source(snapshot.source)
    except Damaged as error:
        raise Damaged(f"record {name} is malformed: {error.message}") from None
    return msgspec.structs.replace(snapshot, number=number_of(name, SNAPSHOT_PREFIX))


class Fence(msgspec.Struct, frozen=True):
    """What stands at the number at which an era ends instead of a snapshot: `fence` is the number of the next era."""

    fence: Annotated[int, Meta(ge=2, le=ERAS)]


_fence_decoder = msgspec.msgpack.Decoder(Fence)


def encode_fence(fence: Fence) -> bytes:
    """A fence's payload: a msgpack map."""
    return _encoder.encode(fence)


def decode_numbered(name: str, payload: bytes) -> Snapshot | Fence:
    """The snapshot of a record, or the fence that stands there. Raises Damaged if it is neither."""
    try:
        return decode_snapshot(name, payload)
    except Damaged:
        try:
            return decoded(_fence_decoder, payload, f"record {name}")
        except Damaged:
            pass
        raise


def pack_of(name: str) -> PackId:
    """The pack id in the name of a pack record. Raises Damaged if it is none."""
    try:
        return PackId(check_stamp(name.removeprefix(PACK_PREFIX)))
    except Damaged:
        raise Damaged(f"record {name!r} has no pack id in its name") from None


def encode_pack(record: PackRecord) -> bytes:
    """A pack record's payload: a msgpack map."""
    return _encoder.encode(record)


def decode_pack(name: str, payload: bytes) -> tuple[PackId, PackRecord]:
    """(pack id, pack record). Raises Damaged if the columns do not fit each other or the pack's size."""
    pack_id = pack_of(name)
    record = decoded(_pack_decoder, payload, f"record {name}")
    count = len(record.sealed)
    whole = len(PACK_MAGIC) + sum(record.sealed)
    columns = len(record.ids) == count * CHUNK_ID_BYTES and len(record.plain) == count >= record.padding
    if not columns or whole != record.size or whole > PACK_BYTES:
        raise Damaged(f"the columns of record {name} do not agree")
    return pack_id, record
