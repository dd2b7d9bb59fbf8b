"""What lies in Azurite for one vault, read and written behind azbackup's back.

A test reads what the scripts stored, changes the copy in hand, and writes it into a vault of its own: nothing is
overwritten, and one backup serves many tests.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient, ContainerClient, StandardBlobTier

from tests.conftest import Vault


@dataclass
class Stored:
    """The blobs (name to bytes) of the container, and the rows (RowKey to properties) of the partition.

    Of a later era the rows' names are `.<partition>.<era>/<RowKey>`.
    """

    blobs: dict[str, bytes] = field(default_factory=dict)
    tiers: dict[str, str] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def packs(self) -> list[str]:
        """The names of the packs, oldest first."""
        return sorted(name for name in self.blobs if "/packs/" in name)

    def copies(self, kind: str = "") -> list[str]:
        """The names of the records' copies; of one kind: key-, snapshot-, or 2 for those of runs."""
        return sorted(name for name in self.blobs if f"/records/{kind}" in name)

    def row_names(self, kind: str) -> list[str]:
        """The names of the rows of one kind: pack-, files-, snapshot-."""
        return sorted(name for name in self.rows if name.startswith(kind))

    def clone(self) -> Stored:
        """A copy that can be changed."""
        return copy.deepcopy(self)


def read_stored(vault: Vault) -> Stored:
    """Everything of a vault. Archived packs are made readable first."""
    found = Stored()
    connection = vault.endpoints.connection_string
    with BlobServiceClient.from_connection_string(connection) as service:
        container = service.get_container_client(vault.container)
        for blob in container.list_blobs():
            client = container.get_blob_client(blob.name)
            found.tiers[blob.name] = str(blob.blob_tier)
            if blob.blob_tier == "Archive":
                client.set_standard_blob_tier(StandardBlobTier.HOT)
            found.blobs[blob.name] = client.download_blob().readall()
    with TableServiceClient.from_connection_string(connection) as tables:
        for entity in tables.get_table_client(vault.table).list_entities():
            values = {key: value for key, value in entity.items() if key not in ("PartitionKey", "RowKey")}
            era = f"{entity['PartitionKey']}/" if entity["PartitionKey"].startswith(".") else ""
            found.rows[era + entity["RowKey"]] = values
    return found


def write_stored(vault: Vault, stored: Stored, tier: StandardBlobTier = StandardBlobTier.ARCHIVE) -> None:
    """Puts everything into a vault that holds nothing yet; packs go into the tier."""
    connection = vault.endpoints.connection_string
    with BlobServiceClient.from_connection_string(connection) as service:
        container: ContainerClient = service.create_container(vault.container)
        for name, data in stored.blobs.items():
            container.upload_blob(name, data, standard_blob_tier=tier if "/packs/" in name else StandardBlobTier.HOT)
    with TableServiceClient.from_connection_string(connection) as tables:
        table = tables.create_table(vault.table)
        for name, values in stored.rows.items():
            era, _, name = name.rpartition("/")
            table.create_entity({"PartitionKey": era or vault.partition, "RowKey": name, **values})


def fingerprint(vault: Vault) -> dict[str, object]:
    """What tells whether anything was touched: ETag, time and tier of every blob, ETag and time of every row."""
    found: dict[str, object] = {}
    connection = vault.endpoints.connection_string
    with BlobServiceClient.from_connection_string(connection) as service:
        for container in service.list_containers(name_starts_with=vault.container):
            for blob in service.get_container_client(container.name).list_blobs():
                seen = (blob.etag, blob.last_modified, blob.blob_tier, blob.size)
                found[f"blob {container.name}/{blob.name}"] = seen
    with TableServiceClient.from_connection_string(connection) as tables:
        if vault.table not in [table.name for table in tables.list_tables()]:
            return found
        for entity in tables.get_table_client(vault.table).list_entities():
            found[f"row {entity['RowKey']}"] = (entity.metadata["etag"], entity.metadata["timestamp"])
    return found
