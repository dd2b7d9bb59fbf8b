"""What the key record says, as a row and as a copy: typed and within bounds, or Damaged.

    row  = plain properties                copy = "azbkrec1" || msgpack map of the same names

Nothing but the password protects it: whoever can write may have put anything there, and every number in it is checked
before it is used. What this version does not know may be a newer format, or nonsense: whoever asks decides (Keystore).
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from azbackup.crypto.kdf import KdfCosts
from azbackup.crypto.keywrap import WrappedKey
from azbackup.errors import AzbackupError, Damaged
from azbackup.format import labels
from azbackup.format.decoding import decoded
from azbackup.format.labels import COMMITMENT_BYTES, GENERATIONS, RECORD_MAGIC, SALT_BYTES, WRAPPED_BYTES
from azbackup.storage.protocols import RowValue

T = TypeVar("T", int, str, bytes)

COPY_BYTES = 4096  # a copy has 250; a larger one is none
_TIME_CHARACTERS = 32
_values_decoder = msgspec.msgpack.Decoder(dict[str, Any])


class NewerFormat(AzbackupError):
    """A key record of a format that this version does not know."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The key record's contents. Times are `YYYY-MM-DDTHH:MM:SSZ`."""

    generation: int
    wrapped: WrappedKey
    created: str
    changed: str


def to_values(record: KeyRecord) -> dict[str, RowValue]:
    """The plain properties of the row; a copy is the same as a msgpack map behind RECORD_MAGIC."""
    wrapped = record.wrapped
    return {
        "format": labels.FORMAT,
        "kdf": labels.KDF_NAME,
        "memory": wrapped.costs.memory_kib,
        "passes": wrapped.costs.passes,
        "lanes": wrapped.costs.lanes,
        "salt": wrapped.salt,
        "commitment": wrapped.commitment,
        "wrapped": wrapped.wrapped,
        "generation": record.generation,
        "created": record.created,
        "changed": record.changed,
    }


def from_values(values: Mapping[str, object]) -> KeyRecord:
    """The key record of a row.

    Raises Damaged if something is missing, of the wrong type or out of bounds, NewerFormat for another format.
    """
    if _take(values, "format", int) != labels.FORMAT or _take(values, "kdf", str) != labels.KDF_NAME:
        raise NewerFormat(
            f"this version does not know the key record's format {values['format']} or KDF {values.get('kdf')}",
            "use a newer azbackup",
        )
    costs = KdfCosts(*(_number(values, name, most) for name, most in _COSTS))
    salt = _bytes(values, "salt", SALT_BYTES)
    commitment = _bytes(values, "commitment", COMMITMENT_BYTES)
    return KeyRecord(
        _number(values, "generation", GENERATIONS),
        WrappedKey(costs, salt, commitment, _bytes(values, "wrapped", WRAPPED_BYTES)),
        _time(values, "created"),
        _time(values, "changed"),
    )


_COSTS = (
    ("memory", labels.KDF_MEMORY_KIB),
    ("passes", labels.KDF_PASSES),
    ("lanes", labels.KDF_LANES),
)


def changed_at(record: KeyRecord) -> int | None:
    """The Unix time at which the password was changed; None if it never was, or the record has no such time."""
    if record.generation == 1:
        return None
    try:
        return calendar.timegm(time.strptime(record.changed, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return None


def _take(values: Mapping[str, object], name: str, kind: type[T]) -> T:
    value = values.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Damaged(f"the key record has no valid {name!r}")
    return value


def _number(values: Mapping[str, object], name: str, bounds: tuple[int, int]) -> int:
    number = _take(values, name, int)
    if not bounds[0] <= number <= bounds[1]:
        raise Damaged(f"the key record has {number} as {name!r}, which is out of bounds")
    return number


def _bytes(values: Mapping[str, object], name: str, length: int) -> bytes:
    value = _take(values, name, bytes)
    if len(value) != length:
        raise Damaged(f"the key record has {len(value)} bytes of {name!r}, not {length}")
    return value


def _time(values: Mapping[str, object], name: str) -> str:
    text = _take(values, name, str)
    if len(text) > _TIME_CHARACTERS:
        raise Damaged(f"the key record has no valid {name!r}")
    return text


def encode_copy(record: KeyRecord) -> bytes:
    """The bytes of a copy."""
    return RECORD_MAGIC + msgspec.msgpack.encode(to_values(record))


def decode_copy(data: bytes) -> dict[str, Any]:
    """The values of a copy: not yet a record, for which `from_values` asks.

    Raises Damaged if it does not decode.
    """
    if not data.startswith(RECORD_MAGIC) or len(data) > COPY_BYTES:
        raise Damaged("a copy of the key record is none")
    return decoded(_values_decoder, data[len(RECORD_MAGIC) :], "a copy of the key record")
