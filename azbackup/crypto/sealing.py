"""Keys and sealing: every cryptographic decision of azbackup but Argon2id (kdf), and no I/O.

Five roles, five keys (RFC 5869 HKDF labels in formats): the password's KEK wraps the data key; from the data key come
the id key, the chunk key, the record key and the cut seed. What is promised: whatever opens is byte for byte what was
sealed under that name, and anything else raises Damaged. What is refused: unknown formats.
The same plaintext never meets the same key and nonce twice: every chunk and record has a key of its own, and its
nonces are 96 random bits.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence

import msgspec
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged, WrongPassword
from azbackup.format import labels
from azbackup.format.labels import KEY_BYTES, NONCE_BYTES, TAG_BYTES
from azbackup.format.model import ChunkId

SEAL_BYTES = NONCE_BYTES + TAG_BYTES
_STREAMED_BYTES = 64 * 1024  # sealed part by part from this size on: below, to join the parts costs less


class Keys(msgspec.Struct, frozen=True):
    """What a run needs of the data key: 32 bytes each, `cut_seed` a 63-bit integer, as secret as the others."""

    id_key: Secret
    chunk_key: Secret
    record_key: Secret
    cut_seed: int

    def __repr__(self) -> str:
        return f"Keys({self.id_key!r}, {self.chunk_key!r}, {self.record_key!r})"


def _hkdf(secret: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    # RFC 5869; an absent salt is HashLen zeros, the same as an empty one. The input is uniform, so no salt is needed.
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(secret)


def derive(data_key: Secret) -> Keys:
    """The keys of the runs from the data key."""
    secret = data_key.reveal()
    # pyfastcdc takes seeds below 2**63 (it doubles them), so the top bit is dropped.
    seed = int.from_bytes(_hkdf(secret, labels.LABEL_CUT, 8), "big") & (2**63 - 1)
    return Keys(
        Secret(_hkdf(secret, labels.LABEL_CHUNK_ID)),
        Secret(_hkdf(secret, labels.LABEL_CHUNK)),
        Secret(_hkdf(secret, labels.LABEL_RECORD)),
        seed,
    )


def chunk_id(id_key: bytes, plain: bytes | memoryview) -> ChunkId:
    """Keyed BLAKE3 of a chunk's plaintext, 32 bytes: whoever lacks the key cannot test for a known file."""
    return ChunkId(blake3(plain, key=id_key).digest())


def source_hash(keys: Keys, path: bytes, host: str) -> str:
    """A source in the name of a row, where only the key tells which: 16 bytes as 32 hexadecimal digits.

    HMAC-SHA-256(record key, "azbackup/1 head" || 0 || path || 0 || host); a path has no zero byte. No record has such a
    name, so no record's key is made of the same.
    """
    text = b"\0".join((labels.LABEL_HEAD, path, host.encode()))
    return hmac.digest(keys.record_key.reveal(), text, "sha256")[:16].hex()


# --- the data key under the KEK


def _password_keys(kek: Secret) -> tuple[bytes, bytes]:
    """(wrap key, commitment)."""
    return _hkdf(kek.reveal(), labels.LABEL_WRAP), _hkdf(kek.reveal(), labels.LABEL_COMMIT)


def seal_data_key(kek: Secret, data_key: Secret, aad: bytes) -> tuple[bytes, bytes]:
    """(commitment, wrapped): to the KEK, and the data key under it with a fresh nonce."""
    wrap_key, commitment = _password_keys(kek)
    nonce = os.urandom(NONCE_BYTES)
    return commitment, nonce + AESGCM(wrap_key).encrypt(nonce, data_key.reveal(), aad)


def open_data_key(kek: Secret, commitment: bytes, wrapped: bytes, aad: bytes) -> Secret:
    """The data key. Raises WrongPassword if the commitment differs. Raises Damaged if it agrees and the rest does not.

    AES-GCM does not commit to its key (one ciphertext can be made to open under two keys), so the commitment is
    compared first, in constant time.
    """
    wrap_key, right = _password_keys(kek)
    if not hmac.compare_digest(right, commitment):
        raise WrongPassword("the password does not open this partition", "check the password, and --partition")
    nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
    try:
        return Secret(AESGCM(wrap_key).decrypt(nonce, sealed, aad))
    except InvalidTag:
        raise Damaged("the key record was altered: the password fits, the wrapped key does not open") from None


# --- chunks and records: each under a key of its own


def seal_chunk(chunk_key: bytes, chunk_id: ChunkId, body: Sequence[bytes | memoryview], room: memoryview) -> None:
    """Fills `room`, which has SEAL_BYTES more than the body, given in parts: neither is copied, where it is large.

    nonce(12) || AES-256-GCM(HMAC-SHA-256(chunk key, chunk id), nonce, body, AAD) || tag(16)
    """
    nonce, key = os.urandom(NONCE_BYTES), hmac.digest(chunk_key, chunk_id, "sha256")
    aad = labels.LABEL_CHUNK + chunk_id
    room[:NONCE_BYTES] = nonce
    if len(room) < _STREAMED_BYTES:
        AESGCM(key).encrypt_into(nonce, b"".join(body), aad, room[NONCE_BYTES:])
        return
    cipher = Cipher(AES(key), GCM(nonce)).encryptor()
    cipher.authenticate_additional_data(aad)
    at = NONCE_BYTES
    for part in body:
        at += cipher.update_into(part, room[at:])
    cipher.finalize()
    room[at:] = cipher.tag


def open_chunk(chunk_key: bytes, chunk_id: ChunkId, sealed: bytes | memoryview) -> bytes:
    """The body. Raises Damaged if it was not sealed as this chunk."""
    cipher = AESGCM(hmac.digest(chunk_key, chunk_id, "sha256"))
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], labels.LABEL_CHUNK + chunk_id)
    except (InvalidTag, ValueError):
        raise Damaged("a chunk does not open: it was altered, cut or swapped") from None


def _record_cipher(keys: Keys, partition: str, name: str) -> tuple[AESGCM, bytes]:
    key = hmac.digest(keys.record_key.reveal(), name.encode(), "sha256")
    return AESGCM(key), b"\0".join((labels.LABEL_RECORD, partition.encode(), name.encode()))


def seal_record(keys: Keys, partition: str, name: str, payload: bytes) -> bytes:
    """nonce(12) || AES-256-GCM(HMAC-SHA-256(record key, name), nonce, payload, AAD) || tag(16)."""
    cipher, aad = _record_cipher(keys, partition, name)
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, payload, aad)


def open_record(keys: Keys, partition: str, name: str, sealed: bytes) -> bytes:
    """The payload. Raises Damaged if it was not sealed under this name in this partition."""
    cipher, aad = _record_cipher(keys, partition, name)
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError):
        raise Damaged(f"record {name} does not open: it was altered, cut or swapped") from None
