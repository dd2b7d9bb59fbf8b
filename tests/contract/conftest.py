"""The two implementations of the stores, handed to one suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.patience import Patience
from azbackup.storage.azure.removal import AzureRemoval
from azbackup.storage.azure.staging import AzureStaging
from azbackup.storage.azure.tables import AzureRows
from azbackup.storage.local.cached_rows import CachedRows
from azbackup.storage.local.row_cache import Cache
from azbackup.storage.protocols import BlobStore, Removal, RowStore, ThawStore
from tests.contract.memory import MemoryBlobs, MemoryRemoval, MemoryRows, MemoryTable, MemoryThaw


@dataclass
class Stores:
    """One account with nothing in it; `rows` gives the rows of a partition, `removal` what deletes of it."""

    blobs: BlobStore
    rows: Callable[[str], RowStore]
    staging: ThawStore
    removal: Callable[[str], Removal]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test gets stores in memory, then on a real Azurite; tests of rows get both behind a cache too."""
    if "stores" in metafunc.fixturenames:
        cached = ["memory, cached", "azurite, cached"] if metafunc.module.__name__.endswith("rows") else []
        metafunc.parametrize("stores", ["memory", "azurite", *cached], indirect=True)


@pytest.fixture
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """Give empty stores, of the kind that was asked for; caches are closed at the end."""
    kind, _, cached = request.param.partition(", ")
    plain = _stores(request, kind)
    with ExitStack() as caches:

        def rows(partition: str) -> CachedRows:
            cache = caches.enter_context(closing(Cache(tmp_path / f"{partition}.records", today=1)))
            return CachedRows(plain.rows(partition), cache)

        yield replace(plain, rows=rows) if cached else plain


def _stores(request: pytest.FixtureRequest, kind: str) -> Stores:
    if kind == "memory":
        blobs, table = MemoryBlobs(), MemoryTable()
        return Stores(
            blobs,
            lambda partition: MemoryRows(table, partition),
            MemoryThaw(blobs),
            lambda partition: MemoryRemoval(blobs, MemoryRows(table, partition)),
        )
    vault = request.getfixturevalue("vault")
    place = connection({"connection_string": vault.endpoints.connection_string}, {})
    account = Account(place, patience=Patience(sleep=lambda _: None))  # a retry does not wait
    return Stores(
        AzureBlobs(account, vault.container),
        lambda partition: AzureRows(account, vault.table, partition),
        AzureStaging(account, vault.container),
        lambda partition: AzureRemoval(account, vault.container, vault.table, partition),
    )
