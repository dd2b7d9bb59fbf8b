"""A password into a key: what Argon2id gives, and what happens where it cannot be had."""

from __future__ import annotations

import threading

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from azbackup.crypto.kdf import DEFAULT_COSTS, KdfCosts, stretch
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError

SALT = bytes(range(16))


@pytest.mark.parametrize("costs", [DEFAULT_COSTS, (8 * 1024, 1, 1), (8 * 1024, 5, 3), (32 * 1024, 2, 8)])
@pytest.mark.parametrize("password", [b"correct horse", b"", b"\0", b"\xff\xfe", "p\u00e4ss".encode(), b"x" * 5000])
def test_another_implementation_gives_the_same_key(costs: tuple[int, int, int], password: bytes) -> None:
    """OpenSSL's Argon2id, version 0x13, with the same memory, passes and lanes."""
    memory, passes, lanes = costs
    other = Argon2id(salt=SALT, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    assert stretch(Secret(password), SALT, KdfCosts(*costs)).reveal() == other.derive(password)


@pytest.mark.parametrize("change", ["password", "salt", "memory_kib", "passes", "lanes"])
def test_everything_counts(change: str) -> None:
    """Another password, salt or cost gives another key."""
    costs = KdfCosts(8 * 1024, 2, 2)
    key = stretch(Secret(b"p"), SALT, costs).reveal()
    other_costs = costs._replace(**{change: getattr(costs, change) + 8}) if change in costs._fields else costs
    password, salt = b"q" if change == "password" else b"p", bytes(16) if change == "salt" else SALT
    assert stretch(Secret(password), salt, other_costs).reveal() != key


def test_memory_that_is_not_there_is_said() -> None:
    """Two TiB are refused by the system: an error that says how much it takes, no traceback."""
    with pytest.raises(AzbackupError, match="memory") as caught:
        stretch(Secret(b"p"), SALT, KdfCosts(2**31 - 1, 1, 1))
    assert "2097151 MiB" in caught.value.hint


def test_two_threads_can_stretch_at_once() -> None:
    """Neither waits for the other for ever."""
    found: list[bytes] = []
    threads = [
        threading.Thread(
            target=lambda salt: found.append(stretch(Secret(b"p"), salt, DEFAULT_COSTS).reveal()),
            args=(bytes([number]) * 16,),
            daemon=True,
        )
        for number in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(found)) == 3
