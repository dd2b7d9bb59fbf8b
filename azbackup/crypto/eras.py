"""The earlier data keys of a partition, under its newest one: that one reads all, an earlier one opens no later one.

    payload = msgpack array of arrays [last int, data key bin(32)], of the first era, the second, ...
    sealed  = nonce(12) || AES-256-GCM(HKDF(data key, "azbackup/3 eras"), nonce, payload, AAD) || tag(16)
    AAD     = "azbackup/3 eras" || 0 || partition
    marks   = a successor's salt (keywrap) under each earlier data key, 16 bytes each, in the same order

A mark tells whoever opens an older key record with an earlier data key that this record came after it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from azbackup.crypto.keywrap import is_successor_salt, successor_salt
from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged
from azbackup.format.labels import ERAS, KEY_BYTES, LABEL_ERAS, NONCE_BYTES, SALT_BYTES

Number = Annotated[int, Meta(ge=1, le=9_999_999_999)]
_Key = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
_decoder = msgspec.msgpack.Decoder(Annotated[list[tuple[Number, _Key]], Meta(max_length=ERAS)])


class PastEra(NamedTuple):
    """A data key that is used no more, and the number at which its snapshots end: that of its fence."""

    last: int
    data_key: Secret


def encode_eras(eras: Sequence[PastEra]) -> bytes:
    """The payload."""
    return msgspec.msgpack.encode([(era.last, era.data_key.reveal()) for era in eras])


def decode_eras(payload: bytes) -> tuple[PastEra, ...]:
    """The eras of a payload. Raises Damaged if it is malformed, or if the numbers do not rise."""
    try:
        found = tuple(PastEra(last, Secret(key)) for last, key in _decoder.decode(payload))
    except msgspec.MsgspecError:
        raise Damaged("the earlier data keys in the key record are malformed") from None
    if any(one.last >= other.last for one, other in pairwise(found)):
        raise Damaged("the earlier data keys in the key record are in another order than any writer's")
    return found


def seal_eras(data_key: Secret, eras: Sequence[PastEra], partition: str) -> bytes:
    """The earlier data keys under the newest one, with a fresh nonce."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(_key(data_key)).encrypt(nonce, encode_eras(eras), _aad(partition))


def open_eras(data_key: Secret, sealed: bytes, partition: str) -> tuple[PastEra, ...]:
    """The earlier data keys. Raises Damaged if they do not open."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        payload = AESGCM(_key(data_key)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _aad(partition))
    except (InvalidTag, ValueError):
        raise Damaged("the earlier data keys in the key record do not open") from None
    return decode_eras(payload)


def new_marks(eras: Sequence[PastEra]) -> bytes:
    """A mark for each earlier data key."""
    return b"".join(successor_salt(era.data_key) for era in eras)


def is_marked(marks: bytes, data_key: Secret) -> bool:
    """Whether whoever made the marks had this data key, as an earlier one."""
    starts = range(0, len(marks), SALT_BYTES)
    return any(is_successor_salt(data_key, marks[at : at + SALT_BYTES]) for at in starts)


def _key(data_key: Secret) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=LABEL_ERAS).derive(data_key.reveal())


def _aad(partition: str) -> bytes:
    return LABEL_ERAS + b"\0" + partition.encode()
