"""The data key under a password: checked, stretched, and only then opened.

crypto is imported once the password is stretched: its libraries do not come on top of Argon2id's 64 MiB.
"""

from __future__ import annotations

import hmac
import os
from typing import NamedTuple

from azbackup.crypto.kdf import DEFAULT_COSTS, KdfCosts, Stretch, stretch
from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged
from azbackup.format import labels
from azbackup.format.labels import KEY_BYTES, NONCE_BYTES, SALT_BYTES, TAG_BYTES


class WrappedKey(NamedTuple):
    """The data key under a password, as the key record keeps it.

    `wrapped` = nonce(12) || AES-256-GCM(wrap key, nonce, data key, AAD) || tag(16): 60 bytes.
    """

    costs: KdfCosts
    salt: bytes
    commitment: bytes
    wrapped: bytes


def new_data_key() -> Secret:
    """32 fresh random bytes from the system."""
    return Secret(os.urandom(KEY_BYTES))


def successor_salt(data_key: Secret) -> bytes:
    """A salt for a key record that follows another: 8 random bytes, and 8 of an HMAC of them under the data key.

    Nobody could make one without the data key, so that whoever opens an older record can tell a password that was
    really changed from a record that was planted. It shows nothing of the key, and to all others it is 16 random bytes.
    """
    start = os.urandom(SALT_BYTES // 2)
    return start + _salt_proof(data_key, start)


def is_successor_salt(data_key: Secret, salt: object) -> bool:
    """Whether whoever made this salt had the data key."""
    if not isinstance(salt, bytes) or len(salt) != SALT_BYTES:
        return False
    return hmac.compare_digest(_salt_proof(data_key, salt[: SALT_BYTES // 2]), salt[SALT_BYTES // 2 :])


def _salt_proof(data_key: Secret, start: bytes) -> bytes:
    return hmac.digest(data_key.reveal(), labels.LABEL_SUCCESSOR + b"\0" + start, "sha256")[: SALT_BYTES // 2]


def proof_of(data_key: Secret, body: bytes, label: bytes = labels.LABEL_PROOF) -> bytes:
    """What shows that whoever wrote a key record had the data key: 32 bytes, of all that it says."""
    return hmac.digest(data_key.reveal(), label + b"\0" + body, "sha256")


def is_proof(data_key: Secret, body: bytes, proof: bytes, label: bytes = labels.LABEL_PROOF) -> bool:
    """Whether that is so, in constant time."""
    return hmac.compare_digest(proof_of(data_key, body, label), proof)


def _key_aad(partition: str, costs: KdfCosts, salt: bytes) -> bytes:
    """What the wrapped data key is bound to.

    LABEL_KEY || 0 || partition, UTF-8 || 0 || "argon2id" || 0 || memory u32 || passes u32 || lanes u32 || salt(16).
    """
    numbers = b"".join(cost.to_bytes(4, "big") for cost in costs)
    return b"\0".join((labels.LABEL_KEY, partition.encode(), labels.KDF_NAME.encode(), numbers + salt))


def wrap_data_key(
    data_key: Secret,
    password: Secret,
    partition: str,
    costs: KdfCosts = DEFAULT_COSTS,
    salt: bytes | None = None,
    stretched: Stretch = stretch,
) -> WrappedKey:
    """The data key under the password, with a fresh nonce and `salt`: 16 random bytes never used before."""
    salt = salt or os.urandom(SALT_BYTES)
    kek = stretched(password, salt, costs)
    from azbackup.crypto.sealing import seal_data_key

    return WrappedKey(costs, salt, *seal_data_key(kek, data_key, _key_aad(partition, costs, salt)))


def unwrap_data_key(record: WrappedKey, password: Secret, partition: str, stretched: Stretch = stretch) -> Secret:
    """The data key. Raises WrongPassword if the commitment differs. Raises Damaged if it agrees and the rest does not.

    `stretched` is `stretch`, or what was done already. Costs are bounded before any work is done.
    """
    bounds = (labels.KDF_MEMORY_KIB, labels.KDF_PASSES, labels.KDF_LANES)
    if not all(low <= cost <= high for cost, (low, high) in zip(record.costs, bounds, strict=True)):
        raise Damaged(f"the key record asks for KDF costs out of bounds: {tuple(record.costs)}")
    if record.costs.memory_kib < 8 * record.costs.lanes:
        raise Damaged("the key record asks for less memory than its lanes need")
    if len(record.salt) != SALT_BYTES or len(record.wrapped) != NONCE_BYTES + KEY_BYTES + TAG_BYTES:
        raise Damaged("the key record has a salt or a wrapped key of the wrong length")
    kek = stretched(password, record.salt, record.costs)
    from azbackup.crypto.sealing import open_data_key

    return open_data_key(kek, record.commitment, record.wrapped, _key_aad(partition, record.costs, record.salt))
