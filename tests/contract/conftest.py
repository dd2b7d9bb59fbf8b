"""The two implementations of the stores, handed to one suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from azbackup.account import Account
from azbackup.archive import AzureThaw
from azbackup.blobs import AzureBlobs
from azbackup.cache import Cache, CachedRows
from azbackup.settings import connection
from azbackup.stores import BlobStore, RowStore, ThawStore
from azbackup.tables import AzureRows
from tests.contract.memory import MemoryBlobs, MemoryRows, MemoryTable, MemoryThaw


@dataclass
class Stores:
    """One account with nothing in it; `rows` gives the rows of a partition."""

    blobs: BlobStore
    rows: Callable[[str], RowStore]
    staging: ThawStore


@pytest.fixture(params=["memory", "cached", "azurite", "azurite, cached"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """Give empty stores: in memory, then on a real Azurite; both also with their rows behind a cache."""
    if "cached" in request.param:
        if "rows" not in request.module.__name__:
            pytest.skip("only rows are cached")
        request.param = request.param.replace("cached", "").rstrip(", ") or "memory"
        plain = _stores(request)
        return Stores(
            plain.blobs,
            lambda partition: CachedRows(plain.rows(partition), Cache(tmp_path / f"{partition}.records", today=1)),
            plain.staging,
        )
    return _stores(request)


def _stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        blobs, table = MemoryBlobs(), MemoryTable()
        return Stores(blobs, lambda partition: MemoryRows(table, partition), MemoryThaw(blobs))
    vault = request.getfixturevalue("vault")
    account = Account(connection({"connection_string": vault.endpoints.connection_string}, {}))
    return Stores(
        AzureBlobs(account, vault.container),
        lambda partition: AzureRows(account, vault.table, partition),
        AzureThaw(account, vault.container),
    )
