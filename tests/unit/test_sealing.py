"""Keys and sealing: known answers, and for every seal what must not open it."""

from __future__ import annotations

import copy
import hmac
import json
import pickle
import random
import traceback
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from azbackup.crypto import sealing
from azbackup.crypto.kdf import DEFAULT_COSTS, KdfCosts
from azbackup.crypto.keywrap import WrappedKey, new_data_key, unwrap_data_key, wrap_data_key
from azbackup.crypto.sealing import (
    SEAL_BYTES,
    Keys,
    derive,
    open_chunk,
    open_record,
    seal_chunk,
    seal_record,
)
from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged, WrongPassword
from azbackup.format import labels
from azbackup.format.model import ChunkId
from tests.vectors import make

VECTORS: dict[str, Any] = json.loads((Path(make.__file__).parent / "crypto.json").read_text("utf-8"))
CHEAP = KdfCosts(8192, 1, 1)
KEYS = derive(Secret(bytes(range(32))))
CHUNK_KEY = KEYS.chunk_key.reveal()
CHUNK_ID = ChunkId(bytes(range(32)))
OTHER_ID = ChunkId(bytes(31) + b"\x01")
NAME = "files-20261122T210800Z-0123456789abcdef-0001"
MARKER = "do-not-show-me"


def flips(data: bytes) -> list[bytes]:
    """Return the bytes with one bit flipped: in the first, every seventh and the last byte."""
    places = sorted({0, *range(0, len(data), 7), len(data) - 1})
    return [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in places]


def cuts(data: bytes) -> list[bytes]:
    """Return the bytes cut short, cut at the front, extended, doubled and emptied."""
    found = [data[:-1], data[1:], data[:12], data[:27], data + b"\0", b"\0" + data, data + data, b""]
    return [each for each in found if each != data]


# --- known answers


def test_the_vectors_are_what_the_design_says() -> None:
    """The file of known answers is what a second implementation computes."""
    assert make.vectors() == VECTORS


def test_derived_keys_are_known() -> None:
    """The keys of the runs are those of the vectors."""
    keys = derive(Secret(bytes.fromhex(VECTORS["data_key"])))
    expected = VECTORS["derived"]
    for name in ("id_key", "chunk_key", "record_key"):
        assert getattr(keys, name).reveal().hex() == expected[name]
    assert keys.cut_seed == expected["cut_seed"]


@pytest.mark.parametrize("vector", VECTORS["chunks"], ids=lambda vector: f"{len(vector['plain']) // 2} bytes")
def test_a_known_chunk_has_its_id_and_opens(vector: dict[str, str]) -> None:
    """The chunk id is the known one, and the known sealed bytes open to codec 0 and the plaintext."""
    plain = bytes.fromhex(vector["plain"])
    chunk_id = sealing.chunk_id(KEYS.id_key.reveal(), plain)
    assert chunk_id.hex() == vector["id"]
    assert open_chunk(CHUNK_KEY, chunk_id, bytes.fromhex(vector["sealed"])) == b"\x00" + plain


def test_a_known_record_opens() -> None:
    """The known sealed record opens under its partition and name."""
    vector = VECTORS["record"]
    payload = open_record(KEYS, vector["partition"], vector["name"], bytes.fromhex(vector["sealed"]))
    assert payload.hex() == vector["payload"]


@pytest.mark.parametrize("vector", VECTORS["key_records"], ids=lambda vector: vector["password"])
def test_a_known_key_record_opens(vector: dict[str, Any]) -> None:
    """The known wrapped key opens under its password to the data key."""
    record = WrappedKey(KdfCosts(*vector["costs"]), *(bytes.fromhex(vector[k]) for k in WrappedKey._fields[1:]))
    data_key = unwrap_data_key(record, Secret.text(vector["password"]), vector["partition"])
    assert data_key.reveal().hex() == VECTORS["data_key"]


def test_todays_costs_are_those_of_the_design() -> None:
    """Argon2id with 64 MiB, 3 passes, 4 lanes: RFC 9106, second recommended option."""
    assert DEFAULT_COSTS == (65536, 3, 4)
    assert wrap_data_key(new_data_key(), Secret(b"p"), "user1").costs == DEFAULT_COSTS


# --- the data key under a password


@pytest.fixture(scope="module")
def wrapped() -> WrappedKey:
    """Give a data key wrapped under the password `secret` for partition user1."""
    return wrap_data_key(KEYS.id_key, Secret(b"secret"), "user1", CHEAP)


def test_the_data_key_comes_back(wrapped: WrappedKey) -> None:
    """The password opens the wrapped key."""
    assert unwrap_data_key(wrapped, Secret(b"secret"), "user1").reveal() == KEYS.id_key.reveal()


@pytest.mark.parametrize("password", [b"Secret", b"secret ", b"", b"secret\0", b"\xff"])
def test_another_password_is_wrong(wrapped: WrappedKey, password: bytes) -> None:
    """A wrong password is WrongPassword, not Damaged."""
    with pytest.raises(WrongPassword):
        unwrap_data_key(wrapped, Secret(password), "user1")


@pytest.mark.parametrize(("typed", "later"), [("é", "e\u0301"), ("e\u0301", "é"), ("Å", "\u212b")])
def test_a_password_is_the_same_from_every_keyboard(typed: str, later: str) -> None:
    """Composed and decomposed characters are one password."""
    record = wrap_data_key(KEYS.id_key, Secret.text(typed), "user1", CHEAP)
    assert unwrap_data_key(record, Secret.text(later), "user1").reveal() == KEYS.id_key.reveal()


def test_a_password_need_not_be_utf8() -> None:
    """Bytes that are no UTF-8 are a password as they are."""
    record = wrap_data_key(KEYS.id_key, Secret(b"\xff\xfe"), "user1", CHEAP)
    assert unwrap_data_key(record, Secret.text("\udcff\udcfe"), "user1").reveal() == KEYS.id_key.reveal()


def test_the_same_key_never_looks_the_same(wrapped: WrappedKey) -> None:
    """Salt, nonce and so everything else are fresh each time."""
    again = wrap_data_key(KEYS.id_key, Secret(b"secret"), "user1", CHEAP)
    assert again.salt != wrapped.salt
    assert again.wrapped[:12] != wrapped.wrapped[:12]
    assert again.commitment != wrapped.commitment


def test_an_altered_wrapped_key_is_damaged(wrapped: WrappedKey) -> None:
    """Where the commitment fits and the wrapped bytes were flipped or cut, it is not the password's fault."""
    for altered in [*flips(wrapped.wrapped), *cuts(wrapped.wrapped)]:
        with pytest.raises(Damaged):
            unwrap_data_key(wrapped._replace(wrapped=altered), Secret(b"secret"), "user1")


def test_an_altered_salt_or_commitment_does_not_open(wrapped: WrappedKey) -> None:
    """Flipped or cut, it is WrongPassword or Damaged, and never opens."""
    altered = [wrapped._replace(salt=each) for each in (*flips(wrapped.salt), *cuts(wrapped.salt))]
    commitment = wrapped.commitment
    altered += [wrapped._replace(commitment=each) for each in (*flips(commitment), *cuts(commitment))]
    for record in altered:
        with pytest.raises((WrongPassword, Damaged)):
            unwrap_data_key(record, Secret(b"secret"), "user1")


def test_a_wrapped_key_is_bound_to_its_partition(wrapped: WrappedKey) -> None:
    """Swapped into another partition it is damaged, though the password fits."""
    with pytest.raises(Damaged):
        unwrap_data_key(wrapped, Secret(b"secret"), "user2")


@pytest.mark.parametrize("costs", [(8193, 1, 1), (8192, 2, 1), (8192, 1, 2), (65536, 1, 1)])
def test_a_wrapped_key_is_bound_to_its_costs(wrapped: WrappedKey, costs: tuple[int, int, int]) -> None:
    """Other costs within the bounds do not open it."""
    with pytest.raises((WrongPassword, Damaged)):
        unwrap_data_key(wrapped._replace(costs=KdfCosts(*costs)), Secret(b"secret"), "user1")


@pytest.mark.parametrize(
    "costs",
    [
        (8191, 3, 4),
        (4 * 1024 * 1024 + 1, 3, 4),
        (2**40, 3, 4),
        (0, 3, 4),
        (-1, 3, 4),
        (65536, 0, 4),
        (65536, 65, 4),
        (65536, -3, 4),
        (65536, 3, 0),
        (65536, 3, 65),
        (65536, 2**70, 4),
    ],
)
def test_costs_out_of_bounds_are_refused_before_any_work(wrapped: WrappedKey, costs: tuple[int, int, int]) -> None:
    """Damaged, without the KDF having been started."""

    def started(*_: object) -> Secret:
        raise AssertionError("the KDF was started")

    with pytest.raises(Damaged, match="costs"):
        unwrap_data_key(wrapped._replace(costs=KdfCosts(*costs)), Secret(b"secret"), "user1", started)


# --- chunks


def seal(chunk_key: bytes, chunk_id: ChunkId, *body: bytes | memoryview) -> bytes:
    """Return a sealed chunk, whose body comes in parts."""
    room = bytearray(sum(map(len, body)) + SEAL_BYTES)
    seal_chunk(chunk_key, chunk_id, body, memoryview(room))
    return bytes(room)


def test_a_chunk_opens_as_itself_only() -> None:
    """Sealed bytes open under their id and key, and are different each time."""
    sealed = seal(CHUNK_KEY, CHUNK_ID, b"body")
    assert open_chunk(CHUNK_KEY, CHUNK_ID, sealed) == b"body"
    assert open_chunk(CHUNK_KEY, CHUNK_ID, memoryview(sealed)) == b"body"
    assert seal(CHUNK_KEY, CHUNK_ID, b"body")[:12] != sealed[:12]


@pytest.mark.parametrize("size", [0, 1, 15, 16, 65_507, 65_508, 65_509, 1_000_003])
def test_a_body_in_parts_is_sealed_as_their_sum(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large it is, and whatever the parts: the same bytes as AES-256-GCM makes of the whole (RFC 5116)."""
    monkeypatch.setattr(sealing.os, "urandom", bytes)  # the same nonce each time, as never elsewhere
    body = random.Random(size).randbytes(size)
    key = hmac.digest(CHUNK_KEY, CHUNK_ID, "sha256")
    expected = bytes(12) + AESGCM(key).encrypt(bytes(12), body, labels.LABEL_CHUNK + CHUNK_ID)
    assert seal(CHUNK_KEY, CHUNK_ID, body) == expected
    assert seal(CHUNK_KEY, CHUNK_ID, body[:1], memoryview(body)[1:]) == expected
    assert seal(CHUNK_KEY, CHUNK_ID, body[:100], b"", memoryview(body)[100:]) == expected
    assert open_chunk(CHUNK_KEY, CHUNK_ID, expected) == body


def test_an_altered_chunk_is_damaged() -> None:
    """Every region flipped (nonce, body, tag) and every cut is noticed."""
    sealed = seal(CHUNK_KEY, CHUNK_ID, b"a body of some length" * 3)
    for altered in [*flips(sealed), *cuts(sealed)]:
        with pytest.raises(Damaged):
            open_chunk(CHUNK_KEY, CHUNK_ID, altered)


def test_a_swapped_chunk_is_damaged() -> None:
    """A chunk opens neither under another id nor under another partition's key."""
    sealed = seal(CHUNK_KEY, CHUNK_ID, b"body")
    with pytest.raises(Damaged):
        open_chunk(CHUNK_KEY, OTHER_ID, sealed)
    with pytest.raises(Damaged):
        open_chunk(derive(new_data_key()).chunk_key.reveal(), CHUNK_ID, sealed)


# --- records


def test_a_record_opens_as_itself_only() -> None:
    """A payload, empty or not, comes back under its partition and name."""
    for payload in (b"", b"payload"):
        assert open_record(KEYS, "user1", NAME, seal_record(KEYS, "user1", NAME, payload)) == payload


def test_an_altered_record_is_damaged() -> None:
    """Every region flipped (nonce, payload, tag) and every cut is noticed."""
    sealed = seal_record(KEYS, "user1", NAME, b"a payload of some length" * 3)
    for altered in [*flips(sealed), *cuts(sealed)]:
        with pytest.raises(Damaged, match=NAME):
            open_record(KEYS, "user1", NAME, altered)


@pytest.mark.parametrize(
    ("partition", "name"),
    [("user2", NAME), ("user1", NAME[:-1] + "2"), ("user1", ""), ("", NAME), (f"user1\0{NAME}", "")],
)
def test_a_swapped_record_is_damaged(partition: str, name: str) -> None:
    """A record opens neither in another partition nor under another name."""
    sealed = seal_record(KEYS, "user1", NAME, b"payload")
    with pytest.raises(Damaged):
        open_record(KEYS, partition, name, sealed)


def test_partition_and_name_do_not_run_together() -> None:
    """The end of the partition cannot be moved into the name."""
    sealed = seal_record(KEYS, "user1", "0-a", b"payload")
    with pytest.raises(Damaged):
        open_record(KEYS, "user10", "-a", sealed)


@given(st.binary(max_size=80))
def test_garbage_is_damaged(data: bytes) -> None:
    """Bytes that nobody sealed never open, and never raise anything else."""
    with pytest.raises(Damaged):
        open_record(KEYS, "user1", NAME, data)
    with pytest.raises(Damaged):
        open_chunk(CHUNK_KEY, CHUNK_ID, data)


# --- secrets


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>20}".format, ascii, lambda each: f"{[each]} {each!s}"])
def test_a_secret_never_shows(show: Any) -> None:
    """No way of making text of a secret shows it."""
    assert MARKER not in show(Secret.text(MARKER))


def test_keys_never_show() -> None:
    """The text of a run's keys shows neither a key nor the seed of the cuts."""
    text = repr(KEYS)
    assert str(KEYS.cut_seed) not in text
    assert text.count("Secret(...)") == 3


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, lambda each: pickle.dumps(each, 0)])
def test_a_secret_is_not_copied(take: Any) -> None:
    """Pickle and copy refuse, naming no value."""
    with pytest.raises(TypeError) as caught:
        take(Secret.text(MARKER))
    assert MARKER not in str(caught.value)


def test_a_secret_has_no_attributes_to_dump() -> None:
    """`vars`, which some error reporters use, finds nothing."""
    assert not hasattr(Secret(b"x"), "__dict__")


def test_tracebacks_show_no_secret(wrapped: WrappedKey) -> None:
    """A traceback that prints every local variable shows neither the password nor the keys."""

    def attempt(password: Secret, keys: Keys) -> Secret:
        assert keys is KEYS
        return unwrap_data_key(wrapped, password, "user1")

    text = ""
    try:
        attempt(Secret.text(MARKER), KEYS)
    except WrongPassword as error:
        # Our own frame and the caller's; inside crypto the bytes must be in hand.
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True, limit=2).format())
    assert "password" in text
    assert MARKER not in text
    assert str(KEYS.cut_seed) not in text
