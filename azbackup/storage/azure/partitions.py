"""What partitions an account's container and table hold. Names are plain: no password is needed, and none opened."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import describe
from azbackup.storage.protocols import BlobInfo

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


class AzurePartitions:
    """The partitions of one container and one table, read only."""

    def __init__(self, account: Account, container: str, table: str) -> None:
        self._account = account
        self._container = container
        self._table = table

    @cached_property
    def _blobs(self) -> ContainerClient:
        return self._account.container(self._container)

    def names(self) -> Iterator[str]:
        """The names at the top of the container, in their order: one request for 5,000 partitions."""
        for each in self._pages(partial(self._blobs.walk_blobs, delimiter="/")):
            if str(each.name).endswith("/"):
                yield str(each.name)[:-1]

    def listed(self, prefix: str) -> Iterator[BlobInfo]:
        """The blobs under a prefix, in the order of their names: one request for 5,000 of them."""
        for blob in self._pages(partial(self._blobs.list_blobs, name_starts_with=prefix)):
            yield describe(blob)

    def _pages(self, query: Any) -> Iterator[Any]:
        return self._account.pages(f"container {self._container}", query)

    def in_table(self) -> Iterator[str]:
        """The partitions that have rows, one request for each: from one name on the next one is asked for."""
        client = self._account.table(self._table)
        last = ""
        while True:
            query = partial(
                client.query_entities,
                "PartitionKey gt @last",
                parameters={"last": last},
                select=["PartitionKey"],
                results_per_page=1,
            )
            found = next(self._account.pages(f"table {self._table}", query, table=True), None)
            if found is None or found["PartitionKey"] <= last:
                return
            last = str(found["PartitionKey"])
            yield last
