"""What the key record says, as a row and as a copy: typed and within bounds, or Damaged.

    row  = plain properties                copy = "azbkrec1" || msgpack map of the same names

Format 1 has one password and nothing but it protects the record: whoever can write may have put anything there, and
every number in it is checked before it is used. Format 2 has up to KEY_SLOTS passwords, each a slot of its own, and a
proof of all that it says under the data key. Format 3 has earlier data keys besides (crypto/eras), under the one that
its passwords open. What is of none of them may be newer, or nonsense: whoever asks decides.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from azbackup.crypto.kdf import KdfCosts
from azbackup.crypto.keywrap import WrappedKey, is_proof, is_successor_salt, proof_of, successor_salt
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Damaged
from azbackup.format import labels
from azbackup.format.decoding import decoded
from azbackup.format.labels import (
    COMMITMENT_BYTES,
    ERAS,
    GENERATIONS,
    KEY_FORMAT_ERAS,
    KEY_FORMAT_SLOTS,
    MAIN_SLOT,
    PROOF_BYTES,
    RECORD_MAGIC,
    SALT_BYTES,
    WRAPPED_BYTES,
)
from azbackup.storage.protocols import RowValue

if TYPE_CHECKING:
    from azbackup.crypto.eras import PastEra

T = TypeVar("T", int, str, bytes)

SEALED_FORMATS = (KEY_FORMAT_SLOTS, KEY_FORMAT_ERAS)  # those that have a proof

COPY_BYTES = 8192  # a copy has 250, and 161 for each further password, 60 for each earlier data key; no more than this
_ERAS_BYTES = 2048
_TIME_CHARACTERS = 32
_WHEN = "%Y-%m-%dT%H:%M:%SZ"
_values_decoder = msgspec.msgpack.Decoder(dict[str, Any])
_slots_decoder = msgspec.msgpack.Decoder(list[tuple[str, int, int, int, int, bytes, bytes, bytes]])


class NewerFormat(AzbackupError):
    """A key record of a format that this version does not know."""


class Slot(NamedTuple):
    """One password: its name, when it was set (Unix seconds, 0 if that is not known), the data key under it."""

    name: str
    made: int
    wrapped: WrappedKey

    @property
    def work(self) -> int:
        """KiB of memory times passes: what trying it costs."""
        return self.wrapped.costs.memory_kib * self.wrapped.costs.passes


class KeyRecord(msgspec.Struct, frozen=True):
    """The key record's contents. Times are `YYYY-MM-DDTHH:MM:SSZ`.

    `mark` and `proof` are empty in format 1. `mark` is a successor's salt: to versions that know format 1 alone it says
    that this record follows theirs, so that they refuse it instead of opening an older one. `eras` (sealed) and `marks`
    are empty where there was never another data key.
    """

    generation: int
    slots: tuple[Slot, ...]
    created: str
    changed: str
    mark: bytes = b""
    proof: bytes = b""
    eras: bytes = b""
    marks: bytes = b""

    @property
    def era(self) -> int:
        """The number of the data key that its passwords open, from 1 on."""
        return 1 + len(self.marks) // SALT_BYTES


def first_record(wrapped: WrappedKey, now: str) -> KeyRecord:
    """The record of a data key that was just made: one password."""
    return KeyRecord(1, (Slot(MAIN_SLOT, seconds_of(now), wrapped),), now, now)


def following_record(
    slots: tuple[Slot, ...],
    created: str,
    now: str,
    data_key: Secret,
    partition: str,
    generation: int,
    earlier: Sequence[PastEra] = (),
) -> KeyRecord:
    """The record that takes another one's place, with its proof; `earlier` are the data keys before this one.

    Raises Damaged if there is no such number.
    """
    if not GENERATIONS[0] <= generation <= GENERATIONS[1]:
        raise Damaged(f"no key record can come after number {generation - 1}")
    record = KeyRecord(generation, slots, created, now, successor_salt(data_key))
    if earlier:
        from azbackup.crypto.eras import new_marks, seal_eras

        if len(earlier) >= ERAS:
            raise Damaged(f"the partition has had {ERAS} data keys, which is the most")
        eras, marks = seal_eras(data_key, earlier, partition), new_marks(earlier)
        record = msgspec.structs.replace(record, eras=eras, marks=marks)
    proof = proof_of(data_key, _body(record, partition), _label(record))
    return msgspec.structs.replace(record, proof=proof)


def is_proven(record: KeyRecord, data_key: Secret, partition: str) -> bool:
    """Whether whoever wrote all of this had the data key. Nothing proves a record of format 1."""
    return bool(record.proof) and is_proof(data_key, _body(record, partition), record.proof, _label(record))


def is_successor(values: Mapping[str, object], data_key: Secret, partition: str) -> bool:
    """Whether whoever wrote these values had the data key: by proof or mark, or by the salt where there is neither."""
    if values.get("format") not in SEALED_FORMATS:
        return is_successor_salt(data_key, values.get("salt"))
    try:
        record = from_values(values)
    except AzbackupError:
        return False
    return is_proven(record, data_key, partition) or is_later_era(record, data_key)


def is_later_era(record: KeyRecord, data_key: Secret) -> bool:
    """Whether a record is of a later data key, and whoever wrote it had this one."""
    if not record.marks:
        return False
    from azbackup.crypto.eras import is_marked

    return is_marked(record.marks, data_key)


def earlier_eras(record: KeyRecord, data_key: Secret, partition: str) -> tuple[PastEra, ...]:
    """The data keys before the one that a record is of. Raises Damaged if they do not open."""
    if not record.eras:
        return ()
    from azbackup.crypto.eras import open_eras

    found = open_eras(data_key, record.eras, partition)
    if len(found) != record.era - 1:
        raise Damaged("the key record has more earlier data keys than marks of them, or less")
    return found


def _label(record: KeyRecord) -> bytes:
    return labels.LABEL_PROOF_ERAS if record.eras else labels.LABEL_PROOF


def _body(record: KeyRecord, partition: str) -> bytes:
    """What the proof is about: everything."""
    slots = _encode_slots(record.slots)
    parts: tuple[object, ...] = (partition, record.generation, record.created, record.changed, record.mark, slots)
    if record.eras:
        parts = (*parts, record.eras, record.marks)
    return msgspec.msgpack.encode(parts)


# --- as properties


def to_values(record: KeyRecord) -> dict[str, RowValue]:
    """The plain properties of the row; a copy is the same as a msgpack map behind RECORD_MAGIC."""
    numbered: dict[str, RowValue] = {
        "generation": record.generation,
        "created": record.created,
        "changed": record.changed,
    }
    if record.proof:
        eras: dict[str, RowValue] = {"eras": record.eras, "marks": record.marks} if record.eras else {}
        return {
            "format": KEY_FORMAT_ERAS if record.eras else KEY_FORMAT_SLOTS,
            "kdf": labels.KDF_NAME,
            "salt": record.mark,
            "slots": _encode_slots(record.slots),
            "proof": record.proof,
            **eras,
            **numbered,
        }
    wrapped = record.slots[0].wrapped
    return {
        "format": labels.FORMAT,
        "kdf": labels.KDF_NAME,
        **dict(zip(("memory", "passes", "lanes"), wrapped.costs, strict=True)),
        "salt": wrapped.salt,
        "commitment": wrapped.commitment,
        "wrapped": wrapped.wrapped,
        **numbered,
    }


def from_values(values: Mapping[str, object]) -> KeyRecord:
    """The key record of a row.

    Raises Damaged if something is missing, of the wrong type or out of bounds, NewerFormat for another format.
    """
    known = (labels.FORMAT, *SEALED_FORMATS)
    if _take(values, "format", int) not in known or _take(values, "kdf", str) != labels.KDF_NAME:
        raise NewerFormat(
            f"this version does not know the key record's format {values['format']} or KDF {values.get('kdf')}",
            "use a newer azbackup",
        )
    numbered = _number(values, "generation", GENERATIONS), _time(values, "created"), _time(values, "changed")
    generation, created, changed = numbered
    salt = _bytes(values, "salt", SALT_BYTES)
    if values["format"] in SEALED_FORMATS:
        slots, proof = _decode_slots(_take(values, "slots", bytes)), _bytes(values, "proof", PROOF_BYTES)
        eras = _eras(values) if values["format"] == KEY_FORMAT_ERAS else (b"", b"")
        return KeyRecord(generation, slots, created, changed, salt, proof, *eras)
    costs = KdfCosts(*(_number(values, name, most) for name, most in _COSTS))
    commitment = _bytes(values, "commitment", COMMITMENT_BYTES)
    wrapped = WrappedKey(costs, salt, commitment, _bytes(values, "wrapped", WRAPPED_BYTES))
    return KeyRecord(generation, (Slot(MAIN_SLOT, seconds_of(changed), wrapped),), created, changed)


def _eras(values: Mapping[str, object]) -> tuple[bytes, bytes]:
    """(the earlier data keys as they are sealed, their marks)."""
    eras, marks = _take(values, "eras", bytes), _take(values, "marks", bytes)
    if not 0 < len(eras) <= _ERAS_BYTES:
        raise Damaged("the key record has no valid 'eras'")
    if len(marks) % SALT_BYTES or not 0 < len(marks) // SALT_BYTES < ERAS:
        raise Damaged("the key record has no valid 'marks'")
    return eras, marks


_COSTS = (
    ("memory", labels.KDF_MEMORY_KIB),
    ("passes", labels.KDF_PASSES),
    ("lanes", labels.KDF_LANES),
)


def _encode_slots(slots: tuple[Slot, ...]) -> bytes:
    """A msgpack array of arrays: name, made, memory, passes, lanes, salt, commitment, wrapped."""
    rows = [
        (slot.name, slot.made, *slot.wrapped.costs, slot.wrapped.salt, slot.wrapped.commitment, slot.wrapped.wrapped)
        for slot in slots
    ]
    return msgspec.msgpack.encode(rows)


def _decode_slots(data: bytes) -> tuple[Slot, ...]:
    """The slots: at least one, no name twice, all within bounds, and in the one form that there is of them."""
    if len(data) > COPY_BYTES:
        raise Damaged("the key record has more passwords than there can be")
    slots = tuple(_slot(*each) for each in decoded(_slots_decoder, data, "the key record's slots"))
    if not 1 <= len(slots) <= labels.KEY_SLOTS or len({slot.name for slot in slots}) != len(slots):
        raise Damaged("the key record has no valid 'slots'")
    if _encode_slots(slots) != data:
        raise Damaged("the key record's slots are in another form than any writer's")
    return slots


def _slot(name: str, made: int, memory: int, passes: int, lanes: int, *parts: bytes) -> Slot:
    salt, commitment, wrapped = parts
    numbers = zip((made, memory, passes, lanes), (labels.MADE_SECONDS, *(most for _, most in _COSTS)), strict=True)
    lengths = (SALT_BYTES, COMMITMENT_BYTES, WRAPPED_BYTES)
    if not labels.is_slot_name(name) or not all(low <= number <= high for number, (low, high) in numbers):
        raise Damaged("a slot of the key record has a name, a time or costs out of bounds")
    if tuple(map(len, parts)) != lengths:
        raise Damaged("a slot of the key record has something of the wrong length")
    return Slot(name, made, WrappedKey(KdfCosts(memory, passes, lanes), salt, commitment, wrapped))


def changed_at(record: KeyRecord) -> int | None:
    """The Unix time at which the one password was changed; None if it never was, or nobody knows when."""
    if record.generation == 1 or len(record.slots) > 1:
        return None
    return seconds_of(record.changed) or None


def seconds_of(when: str) -> int:
    """The Unix time of a time in the record's form; 0 for another text."""
    try:
        seconds = calendar.timegm(time.strptime(when, _WHEN))
    except ValueError:
        return 0
    return seconds if labels.MADE_SECONDS[0] <= seconds <= labels.MADE_SECONDS[1] else 0


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
