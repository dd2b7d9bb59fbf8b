"""What docs/reader.py reads: a vault's rows and packs in a directory. Packs stay in the tier that they are in."""

from __future__ import annotations

import json
from pathlib import Path

from azure.storage.blob import BlobServiceClient, StandardBlobTier

from emulator.azurite import Azurite
from tests.conftest import Vault
from tests.vectors.storage import _to_json, rows


def dump(vault: Vault, azurite: Azurite, directory: Path) -> None:
    """Writes rows.json and packs into a new directory."""
    (directory / "packs").mkdir(parents=True)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        container = service.get_container_client(vault.container)
        for blob in list(container.list_blobs(name_starts_with=f"{vault.partition}/packs/")):
            client = container.get_blob_client(blob.name)
            if blob.blob_tier == "Archive":
                client.set_standard_blob_tier(StandardBlobTier.HOT)
            (directory / "packs" / blob.name.rpartition("/")[2]).write_bytes(client.download_blob().readall())
            if blob.blob_tier == "Archive":
                client.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    (directory / "rows.json").write_text(json.dumps([_to_json(row) for row in rows(vault)]))
