"""Sets of ids in eight bytes each: what was added is there, nothing else is, and the same twice counts once."""

from __future__ import annotations

import os

from azbackup.commands.maintenance.sieve import Sieve, fingerprint
from azbackup.format.model import SealedRecord


def test_what_was_added_is_there() -> None:
    """Each of many ids is found, also together; none that was not added is."""
    ids = [os.urandom(32) for _ in range(5000)]
    sieve = Sieve(32)
    sieve.add(b"".join(ids[:3000]))
    sieve.add(b"".join(ids[:10]))
    assert len(sieve) == 3000
    assert sieve.has_all(b"".join(ids[:3000]))
    assert not any(sieve.has_all(each) for each in ids[3000:])
    assert not sieve.has_all(ids[0] + ids[3000])
    sieve.add(ids[3000])
    assert sieve.has_all(ids[0] + ids[3000])


def test_what_two_have_in_common() -> None:
    """Each id counts once, however often it was added."""
    one, two = Sieve(8), Sieve(8)
    ids = [os.urandom(8) for _ in range(100)]
    one.add(b"".join(ids[:60] * 2))
    two.add(b"".join(ids[40:] * 3))
    assert one.common(two) == two.common(one) == 20


def test_a_fingerprint_is_of_name_and_bytes() -> None:
    """Another name, other bytes: another one."""
    prints = {fingerprint(SealedRecord(name, sealed)) for name in ("a", "b") for sealed in (b"x", b"y", b"")}
    assert len(prints) == 6
