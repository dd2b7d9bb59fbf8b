"""The storage that each tool uses: an Azurite, its data in memory, directly or behind a link.

A new one for every tool: what others stored is gone, and so is the memory that it took (docs/decisions, 24).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from benchmarks.link import Link, running_link
from emulator.azurite import Endpoints, running_azurite


@dataclass(frozen=True)
class Stored:
    """What a tool keeps: blobs and rows (or files), and the bytes in them."""

    objects: int
    size: int


@dataclass(frozen=True)
class Stand:
    """A running storage: `endpoints` for the tools, `azurite` for looking behind the link."""

    endpoints: Endpoints
    azurite: Endpoints
    link: Link | None

    def take_requests(self) -> dict[str, int]:
        """The requests since the last call, by billing class; nothing is counted without a link."""
        return self.link.take() if self.link is not None else {}

    def make(self, name: str) -> None:
        """Make a container and a table of this name."""
        connection = self.azurite.connection_string
        with BlobServiceClient.from_connection_string(connection) as blobs:
            blobs.create_container(name)
        with TableServiceClient.from_connection_string(connection) as tables:
            tables.create_table(name)

    def stored(self, name: str) -> Stored:
        """What is in the container of this name, and in its table if there is one."""
        connection = self.azurite.connection_string
        with BlobServiceClient.from_connection_string(connection) as blobs:
            sizes = [int(blob.size or 0) for blob in blobs.get_container_client(name).list_blobs()]
        with TableServiceClient.from_connection_string(connection) as tables:
            if any(table.name == name for table in tables.list_tables()):
                rows = tables.get_table_client(name).list_entities()
                sizes += [sum(len(value) for value in row.values() if isinstance(value, bytes | str)) for row in rows]
        return Stored(len(sizes), sum(sizes))

    def blob_sizes(self, name: str) -> list[int]:
        """The sizes of the blobs in the container of this name."""
        with BlobServiceClient.from_connection_string(self.azurite.connection_string) as blobs:
            return [int(blob.size or 0) for blob in blobs.get_container_client(name).list_blobs()]


@contextlib.contextmanager
def running_stand(round_trip_seconds: float, bytes_per_second: float) -> Iterator[Stand]:
    """A storage until the end of the block; without a round trip there is no link."""
    if not round_trip_seconds:
        with running_azurite() as azurite:
            yield Stand(azurite, azurite, None)
        return
    with running_azurite() as azurite, running_link(azurite, round_trip_seconds, bytes_per_second) as link:
        yield Stand(link.endpoints, azurite, link)
