"""What deletes does so, of one partition and one container alone, and takes what is gone for done."""

from __future__ import annotations

import pytest

from azbackup.errors import Missing
from azbackup.format.model import SealedRecord
from tests.contract.conftest import Stores
from tests.contract.memory import md5_of


def test_blobs_go(stores: Stores) -> None:
    """Blobs that are named go, others stay; what is gone is a success."""
    for name in ("user1/packs/a", "user1/packs/b", "user2/packs/a"):
        stores.blobs.put_first(name, b"data", "hot", md5_of(b"data"))
    removal = stores.removal("user1")
    removal.check()
    removal.blobs(["user1/packs/a", "user1/packs/none"])
    removal.blobs(["user1/packs/a"])
    assert list(stores.blobs.names("user")) == ["user1/packs/b", "user2/packs/a"]


@pytest.mark.parametrize("gone", [0, 1, 120])
def test_rows_go(stores: Stores, gone: int) -> None:
    """Rows that are named go, more than a transaction holds too, whether or not some of them are gone."""
    names = [f"files-{number:04d}" for number in range(120)]
    rows = stores.rows("user1")
    rows.insert([SealedRecord(name, b"x") for name in [*names, "stays"]])
    stores.rows("user2").insert([SealedRecord("files-0000", b"x")])
    removal = stores.removal("user1")
    removal.rows(names[:gone])
    removal.rows(names)
    assert [row.name for row in rows.range("", "~")] == ["stays"]
    assert stores.rows("user2").get("files-0000") == b"x"
    with pytest.raises(Missing):
        rows.get("files-0000")


def test_nothing_to_delete(stores: Stores) -> None:
    """Where there is no container and no table yet nothing is amiss."""
    removal = stores.removal("user1")
    removal.check()
    removal.rows([])
    removal.blobs([])
