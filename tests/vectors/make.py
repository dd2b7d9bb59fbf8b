"""Known answers of format 1, computed a second time: from the design, without azbackup.

    python -m tests.vectors.make > tests/vectors/crypto.json

The file is written once for each format and never changes; test_sealing.py compares it with what this module computes
and with what azbackup does. Only primitives come from libraries: HKDF is written out from RFC 5869.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

DATA_KEY = bytes(range(32))
NONCE = bytes(range(100, 112))
SALT = bytes(range(200, 216))
PARTITION = "user1"
PASSWORDS = ("correct horse battery staple", "Grüße, 東京")
COSTS = (8192, 1, 1)
RECORD = "pack-20261122T210800Z-0123456789abcdef"
PLAINS = (b"x", b"hello, archive tier", bytes(1000))


def hkdf(key: bytes, info: bytes, length: int = 32) -> bytes:
    """Return RFC 5869 with SHA-256 and an empty salt, for at most 32 bytes."""
    extracted = hmac.digest(bytes(32), key, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)[:length]


def derived() -> dict[str, str | int]:
    """Return the keys of the runs."""
    names = {"id_key": b"chunk-id", "chunk_key": b"chunk", "record_key": b"record"}
    found: dict[str, str | int] = {name: hkdf(DATA_KEY, b"azbackup/1 " + info).hex() for name, info in names.items()}
    found["cut_seed"] = int.from_bytes(hkdf(DATA_KEY, b"azbackup/1 cut", 8), "big") % 2**63
    return found


def chunk(plain: bytes) -> dict[str, str]:
    """Return a chunk stored as is: its id and its sealed bytes."""
    chunk_id = blake3(plain, key=hkdf(DATA_KEY, b"azbackup/1 chunk-id")).digest()
    key = hmac.digest(hkdf(DATA_KEY, b"azbackup/1 chunk"), chunk_id, hashlib.sha256)
    sealed = NONCE + AESGCM(key).encrypt(NONCE, b"\x00" + plain, b"azbackup/1 chunk" + chunk_id)
    return {"plain": plain.hex(), "id": chunk_id.hex(), "sealed": sealed.hex()}


def record() -> dict[str, str]:
    """Return a sealed record payload."""
    key = hmac.digest(hkdf(DATA_KEY, b"azbackup/1 record"), RECORD.encode(), hashlib.sha256)
    aad = b"azbackup/1 record\0" + PARTITION.encode() + b"\0" + RECORD.encode()
    sealed = NONCE + AESGCM(key).encrypt(NONCE, b"payload", aad)
    return {"partition": PARTITION, "name": RECORD, "payload": b"payload".hex(), "sealed": sealed.hex()}


def key_record(password: str) -> dict[str, object]:
    """Return the data key under a password (in NFC), at low costs."""
    memory, passes, lanes = COSTS
    kdf = Argon2id(salt=SALT, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    kek = kdf.derive(password.encode())
    numbers = memory.to_bytes(4, "big") + passes.to_bytes(4, "big") + lanes.to_bytes(4, "big")
    aad = b"azbackup/1 key\0" + PARTITION.encode() + b"\0argon2id\0" + numbers + SALT
    wrapped = NONCE + AESGCM(hkdf(kek, b"azbackup/1 wrap")).encrypt(NONCE, DATA_KEY, aad)
    return {
        "password": password,
        "partition": PARTITION,
        "costs": list(COSTS),
        "salt": SALT.hex(),
        "commitment": hkdf(kek, b"azbackup/1 commit").hex(),
        "wrapped": wrapped.hex(),
    }


def vectors() -> dict[str, object]:
    """Return everything."""
    return {
        "data_key": DATA_KEY.hex(),
        "derived": derived(),
        "chunks": [chunk(plain) for plain in PLAINS],
        "record": record(),
        "key_records": [key_record(password) for password in PASSWORDS],
    }


if __name__ == "__main__":
    json.dump(vectors(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
