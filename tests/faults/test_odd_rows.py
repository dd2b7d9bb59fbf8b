"""Garbage rows of whatever names: each can be settled by its own name, and then no run ends with 13 for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vectors import vaults

PREFIXES = ("retired-", "snapshot-", "pack-", "settled-", "files-", "verified-")
ODD = ("zzz", "00000000", "00000002", "ü", "a b", "a_b", "it's", 'a"b', "x" * 150)
LIKE = ("00000001 x", "00000001 is x", "00000001: missing, row and copy", "00000001 does not open, nor does a copy")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_garbage_is_settled(prefix: str, tmp_path: Path) -> None:
    """Whoever can add rows chooses their names; the next retired record gets another number."""
    account = vaults.load("retired").account(tmp_path)
    for tail in (*ODD, *LIKE):
        account.table.rows.setdefault(("vault", prefix + tail), b"garbage" * 20)
    planted = {key for key, value in account.table.rows.items() if value == b"garbage" * 20}
    account.backup("--repair", "--settle")
    for arguments in (("--verify",), ("--snapshots",), ("--snapshot", "3", tmp_path / "out")):
        assert account.restore(*arguments).status == 0, arguments
    for _ in range(2):
        done = account.backup("--retention-only", "--keep-last", "1")
        assert (done.status, done.damage) == (0, [])
    assert {key for key in planted if account.table.rows[key] == b"garbage" * 20} == planted


def test_a_name_that_is_like_another(tmp_path: Path) -> None:
    """What was settled of garbage hides nothing of the record whose name it begins with."""
    account = vaults.load("plain").account(tmp_path)
    for tail in LIKE:
        account.table.rows["vault", f"snapshot-{tail}"] = b"garbage" * 20
    assert account.backup("--repair", "--settle").status == 0
    assert account.restore("--snapshots").status == 0
    del account.table.rows["vault", "snapshot-00000001"], account.blobs.blobs["vault/records/snapshot-00000001"]
    assert account.restore("--snapshots").damage == ["snapshot-00000001: missing, row and copy"]
