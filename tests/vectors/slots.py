"""Known answers of a key record of several passwords, computed from docs/format.md, without azbackup.

    python -m tests.vectors.slots > tests/vectors/slots.json

The file is written once and never changes; test_slots.py compares it with what this module computes, with what azbackup
makes of it and with what docs/reader.py does.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.vectors.make import DATA_KEY, NONCE, PARTITION, hkdf

SLOTS = (
    ("main", 1764201600, (8192, 1, 1), "correct horse battery staple"),
    ("web-01.example.org", 1764288000, (16384, 2, 2), "Grüße, 東京"),
    ("3", 0, (8192, 1, 4), "x"),
)
GENERATION, CREATED, CHANGED = 7, "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"


def slot(number: int) -> list[Any]:
    """Return one slot."""
    name, made, costs, password = SLOTS[number]
    memory, passes, lanes = costs
    salt = bytes(range(number, number + 16))
    kek = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(password.encode())
    aad = b"azbackup/1 key\0" + PARTITION.encode() + b"\0argon2id\0"
    aad += b"".join(cost.to_bytes(4, "big") for cost in costs) + salt
    wrapped = NONCE + AESGCM(hkdf(kek, b"azbackup/1 wrap")).encrypt(NONCE, DATA_KEY, aad)
    return [name, made, *costs, salt, hkdf(kek, b"azbackup/1 commit"), wrapped]


def record() -> dict[str, Any]:
    """Return the record's properties."""
    start = bytes(range(50, 58))
    salt = start + hmac.digest(DATA_KEY, b"azbackup/1 successor\0" + start, hashlib.sha256)[:8]
    slots = msgspec.msgpack.encode([slot(number) for number in range(len(SLOTS))])
    body = msgspec.msgpack.encode([PARTITION, GENERATION, CREATED, CHANGED, salt, slots])
    return {
        "format": 2,
        "kdf": "argon2id",
        "salt": salt,
        "slots": slots,
        "proof": hmac.digest(DATA_KEY, b"azbackup/2 key\0" + body, hashlib.sha256),
        "generation": GENERATION,
        "created": CREATED,
        "changed": CHANGED,
    }


def vector() -> dict[str, Any]:
    """Return everything, for JSON; bytes as hex."""
    values = {name: {"hex": value.hex()} if isinstance(value, bytes) else value for name, value in record().items()}
    copy = b"azbkrec1" + msgspec.msgpack.encode(record())
    passwords = {name: password for name, _, _, password in SLOTS}
    return {
        "data_key": DATA_KEY.hex(),
        "partition": PARTITION,
        "passwords": passwords,
        "row": values,
        "copy": copy.hex(),
    }


if __name__ == "__main__":
    json.dump(vector(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
