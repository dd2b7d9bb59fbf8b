"""Garbage rows of whatever names: each can be settled by its own name, and then no run ends with 13 for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from azbackup.format.framing import frame
from azbackup.format.model import SealedRecord
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


def test_what_nobody_reads_is_named(tmp_path: Path) -> None:
    """Whatever somebody put beside the records is worth a line of a verification, and harms none."""
    account = vaults.load("plain").account(tmp_path)
    rows = (
        "Aaa",
        "zzz",
        "files-zzz",
        "files-20261127T000000Z-00000000000000aa-0001",
        "kex",
        "keys",
        "pack",
        "retired.",
    )
    copies = (
        "20261127T000000Z-00000000000000aa-0001",
        "foo",
        "ü",
        "snapshot-zzz",
        "20261127T000000Z-00000000000000ab-0001",
    )
    for name in rows:
        account.table.rows["vault", name] = b"garbage"
    for name in copies:
        data = frame([SealedRecord("pack-x", name.encode())]) if name.endswith("ab-0001") else b"garbage"
        account.blobs.blobs[f"vault/records/{name}"] = vaults.Blob(data, "hot", vaults.md5_of(data), created=1.0)
    done = account.restore("--verify")
    assert done.status == 0
    [found] = [each for each in done.of("finding") if each["kind"] == "planted"]
    told = " ".join(each["message"] for each in found["first"])
    assert found["count"] == len(rows) + len(copies), told
    assert all(f"row {name} " in told for name in rows)
    assert all(f"copy {name} " in told for name in copies)
