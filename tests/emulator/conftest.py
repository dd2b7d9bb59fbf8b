"""Clients of the real SDK, without retries: what a test asks is what the simulator is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.data.tables import TableClient
from azure.storage.blob import BlobServiceClient, ContainerClient

from emulator.archive import ArchiveSimulator
from emulator.azurite import Endpoints
from tests.conftest import Vault


def service(endpoints: Endpoints) -> BlobServiceClient:
    """Return a client of a blob service."""
    return BlobServiceClient.from_connection_string(endpoints.connection_string, retry_total=0)


@pytest.fixture
def container(archive: ArchiveSimulator, vault: Vault) -> Iterator[ContainerClient]:
    """Give a new container, reached through the simulator; its creation is not counted."""
    with service(archive) as client:
        found = client.create_container(vault.container)
        archive.clear_requests()
        yield found


@pytest.fixture
def table(archive: ArchiveSimulator, vault: Vault) -> Iterator[TableClient]:
    """Give a new table, reached through the simulator; its creation is not counted."""
    with TableClient.from_connection_string(archive.connection_string, vault.table, retry_total=0) as client:
        client.create_table()
        archive.clear_requests()
        yield client
