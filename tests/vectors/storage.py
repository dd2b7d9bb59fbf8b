"""What an account holds of one partition, raw, as a directory: taken out of Azurite, and put into it.

    rows.json       the rows: [{"RowKey": ..., property: text, number or {"binary": base64}}, ...]
    packs/ID        the packs, byte for byte
    records/NAME    the copies of records, byte for byte

rows.json and packs are what docs/reader.py takes. Uses the SDK only: nothing here knows what the bytes mean.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient, StandardBlobTier

from tests.conftest import Vault

_FOLDERS = ("packs", "records")


def dump(vault: Vault, directory: Path) -> None:
    """Write all rows and blobs of a vault's partition into a new directory; its archived packs are thawed."""
    for folder in _FOLDERS:
        (directory / folder).mkdir(parents=True)
    with BlobServiceClient.from_connection_string(vault.endpoints.connection_string) as service:
        container = service.get_container_client(vault.container)
        for blob in list(container.list_blobs(name_starts_with=f"{vault.partition}/")):
            client = container.get_blob_client(blob.name)
            client.set_standard_blob_tier(StandardBlobTier.HOT)
            data = client.download_blob().readall()
            (directory / blob.name.removeprefix(f"{vault.partition}/")).write_bytes(data)
    (directory / "rows.json").write_text(json.dumps([_to_json(row) for row in rows(vault)], indent=1) + "\n")


def rows(vault: Vault) -> list[dict[str, Any]]:
    """Return the rows of a vault's partition, in the order of their names."""
    with TableServiceClient.from_connection_string(vault.endpoints.connection_string) as service:
        table = service.get_table_client(vault.table)
        return [dict(row) for row in table.query_entities(f"PartitionKey eq '{vault.partition}'")]


def load(directory: Path, vault: Vault, *, table: bool = True) -> None:
    """Put what was dumped into a vault, whose container and table are new; packs are online. `table`: the rows too."""
    with BlobServiceClient.from_connection_string(vault.endpoints.connection_string) as service:
        container = service.create_container(vault.container)
        for folder in _FOLDERS:
            for file in (directory / folder).iterdir():
                container.upload_blob(f"{vault.partition}/{folder}/{file.name}", file.read_bytes())
    if not table:
        return
    with TableServiceClient.from_connection_string(vault.endpoints.connection_string) as service:
        client = service.create_table(vault.table)
        for row in json.loads((directory / "rows.json").read_text(), object_hook=_from_json):
            client.create_entity({"PartitionKey": vault.partition, **row})


def _to_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {"binary": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for key, value in row.items()
        if key != "PartitionKey"
    }


def _from_json(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["binary"]) if "binary" in value else value
