"""What a snapshot has room for: unreadable paths and names of owners, however many and long they are."""

from __future__ import annotations

import os
import pwd
from types import SimpleNamespace

import pytest

from azbackup.commands.backup.owners import user_names
from azbackup.commands.backup.tally import Tally
from azbackup.crypto.sealing import SEAL_BYTES
from azbackup.format.compression import encode_payload
from azbackup.format.labels import NAMED_UNREADABLE, PATH_BYTES, RECORD_BYTES
from azbackup.format.model import Layer, Snapshot
from azbackup.format.payloads import decode_snapshot, encode_snapshot

STAMP = "20261122T210800Z-0123456789abcdef"


def test_a_snapshot_always_fits_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unreadable paths and owners without end: all are counted, as many are named as can be stored and read again."""
    tally = Tally()
    for length in (PATH_BYTES + 1, PATH_BYTES, *[4000] * 2000):
        tally.miss(os.urandom(length).replace(b"\0", b"x"))
    names = {number: os.urandom(20).hex() for number in range(50_000)}
    monkeypatch.setattr(pwd, "getpwuid", lambda number: SimpleNamespace(pw_name=names[number]))
    users = user_names(names)
    layer = Layer(STAMP, 1, 1)
    snapshot = Snapshot(
        b"/s", "h", STAMP, 1, 2, [layer], tally.totals, users=users, groups=users, unreadable=tally.unreadable
    )
    payload = encode_snapshot(snapshot)
    assert len(encode_payload(payload)) + SEAL_BYTES <= RECORD_BYTES
    assert decode_snapshot("snapshot-00000001", payload).unreadable == tally.unreadable
    assert 0 < len(tally.unreadable) <= NAMED_UNREADABLE
    assert tally.totals.unreadable == 2002
    assert users.items() <= names.items()
    assert len(users) > 1000


def test_names_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no text or longer than any reader takes, and an id without a name, are left out."""
    names = {1: "good", 2: "not \udcff text", 3: "long" * 1000, 4: "also good"}
    monkeypatch.setattr(pwd, "getpwuid", lambda number: SimpleNamespace(pw_name=names[number]))
    assert user_names([4, 3, 2, 1, 0]) == {1: "good", 4: "also good"}
