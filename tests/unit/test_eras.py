"""A key record with earlier data keys: what it proves, which of several counts, and catalogs of several eras."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from azbackup.crypto.eras import PastEra, decode_eras, encode_eras, open_eras, seal_eras
from azbackup.crypto.kdf import KdfCosts
from azbackup.crypto.keywrap import wrap_data_key
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Damaged
from azbackup.format.labels import ERAS, FENCE_BYTES, KEY_SLOTS, row_partition, space_of
from azbackup.records.key_copies import KeyCopies, KeyCopy
from azbackup.records.key_record import (
    COPY_BYTES,
    KeyRecord,
    Slot,
    earlier_eras,
    encode_copy,
    following_record,
    from_values,
    is_later_era,
    is_proven,
    is_successor,
    to_values,
)
from tests.contract.memory import MemoryBlobs

FIRST, SECOND, THIRD = (Secret(bytes([number]) * 32) for number in range(3))
NOW = "2027-01-01T00:00:00Z"
PARTITION = "user1"
EARLIER = (PastEra(3, FIRST), PastEra(7, SECOND))


def record_of(key: Secret, earlier: tuple[PastEra, ...], number: int = 5, slots: int = 1) -> KeyRecord:
    """A record under a key, with earlier ones."""
    wrapped = wrap_data_key(key, Secret(b"a password"), PARTITION, KdfCosts(8192, 1, 1))
    every = tuple(Slot(f"a-name-of-all-that-there-can-be-{at:02d}"[-32:], 2**31, wrapped) for at in range(slots))
    return following_record(every, NOW, NOW, key, PARTITION, number, earlier)


def test_values_come_back() -> None:
    """A record is the same after it was a row's properties; the newest key opens the earlier ones, no other does."""
    record = record_of(THIRD, EARLIER)
    assert from_values(to_values(record)) == record
    assert to_values(record)["format"] == 3
    assert record.era == 3
    found = earlier_eras(record, THIRD, PARTITION)
    assert [(era.last, era.data_key.reveal()) for era in found] == [(3, FIRST.reveal()), (7, SECOND.reveal())]
    for wrong, partition in ((FIRST, PARTITION), (SECOND, PARTITION), (THIRD, "user2")):
        with pytest.raises(Damaged):
            earlier_eras(record, wrong, partition)


def test_who_knows_that_it_came_later() -> None:
    """Whoever has an earlier key, by its mark; nobody else, and nobody of a record without one."""
    record = record_of(THIRD, EARLIER)
    assert [is_later_era(record, key) for key in (FIRST, SECOND, THIRD, Secret(b"x" * 32))] == [
        True,
        True,
        False,
        False,
    ]
    assert is_proven(record, THIRD, PARTITION)
    assert not is_proven(record, FIRST, PARTITION)
    assert not is_later_era(record_of(FIRST, ()), FIRST)


def test_every_byte_of_the_record() -> None:
    """One that is another makes it none, or none that is proven."""
    record = record_of(THIRD, EARLIER)
    tried = 0
    for name, value in to_values(record).items():
        data = value if isinstance(value, bytes) else b""
        for at in range(len(data)):
            altered = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            tried += 1
            try:
                found = from_values({**to_values(record), name: altered})
            except AzbackupError:
                continue
            assert not is_proven(found, THIRD, PARTITION), (name, at)
    assert tried > 300
    for name in ("eras", "marks"):
        with pytest.raises(Damaged):
            from_values({key: value for key, value in to_values(record).items() if key != name})


def test_the_largest_record_is_no_more_than_a_copy() -> None:
    """All passwords and all data keys that there can be."""
    earlier = tuple(PastEra(10 * number, FIRST) for number in range(1, ERAS))
    record = record_of(SECOND, earlier, slots=KEY_SLOTS)
    assert len(encode_copy(record)) <= COPY_BYTES
    assert from_values(to_values(record)) == record
    with pytest.raises(Damaged):
        record_of(SECOND, (*earlier, PastEra(10**6, FIRST)))


def last_number(of: KeyRecord, key: Secret, records: list[KeyRecord]) -> int:
    """The number of the record that counts, for whoever opened one of them."""
    copies = [KeyCopy(each.generation, dict(to_values(each))) for each in records]
    return KeyCopies(MemoryBlobs(), PARTITION).last_of(KeyCopy(of.generation, dict(to_values(of))), key, copies).number


@pytest.mark.parametrize("order", [lambda records: records, lambda records: records[::-1]])
def test_which_record_counts(order: Callable[[list[KeyRecord]], list[KeyRecord]]) -> None:
    """What is of a later data key, whatever number somebody with an earlier one gives theirs."""
    old, renewed = record_of(FIRST, (), 2), record_of(SECOND, EARLIER[:1], 3)
    forged = record_of(FIRST, (), 99)
    every = order([old, renewed, forged])
    assert last_number(old, FIRST, every) == 3
    assert last_number(forged, FIRST, every) == 3
    assert last_number(renewed, SECOND, every) == 3
    newest = record_of(THIRD, EARLIER, 4)
    assert last_number(renewed, SECOND, order([*every, newest, record_of(SECOND, EARLIER[:1], 50)])) == 4
    assert last_number(old, FIRST, order([*every, newest])) == 4


def test_a_mark_that_was_taken_from_elsewhere() -> None:
    """One who has no key may copy marks: then the record is proven by nothing that a newer key opens."""
    renewed = record_of(SECOND, EARLIER[:1], 3)
    planted = msgspec.structs.replace(renewed, generation=9)
    assert is_successor(to_values(planted), FIRST, PARTITION)  # an old password is refused, as it is anyway
    assert not is_successor(to_values(planted), SECOND, PARTITION)
    assert last_number(renewed, SECOND, [renewed, planted]) == 3


MALFORMED = {
    "nothing": b"",
    "more behind it": b"\x90\x00",
    "no number": msgspec.msgpack.encode([(0, bytes(32))]),
    "a short key": msgspec.msgpack.encode([(3, bytes(31))]),
    "numbers that do not rise": encode_eras([PastEra(7, FIRST), PastEra(7, SECOND)]),
    "too many": encode_eras([PastEra(number, FIRST) for number in range(1, ERAS + 2)]),
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
def test_malformed_eras(payload: bytes) -> None:
    """They are damage."""
    with pytest.raises(Damaged):
        decode_eras(payload)


def test_sealed_eras_are_of_one_partition_and_key() -> None:
    """Cut, or too short for anything, they are damage as well."""
    sealed = seal_eras(SECOND, EARLIER[:1], PARTITION)
    assert open_eras(SECOND, sealed, PARTITION)[0].last == 3
    for wrong in (sealed[:-1], b"", sealed[:11]):
        with pytest.raises(Damaged):
            open_eras(SECOND, wrong, PARTITION)


def test_names() -> None:
    """The first era lies where a partition has always been; no two spaces have one name."""
    assert (space_of("user", 1), row_partition("user")) == ("user", "user")
    assert (space_of("user", 2), row_partition("user/2")) == ("user/2", ".user.2")
    spaces = [space_of(name, era) for name in ("user", "user.2", "2") for era in (1, 2, 22)]
    assert len({row_partition(space) for space in spaces}) == len(spaces)
    assert FENCE_BYTES < 200
