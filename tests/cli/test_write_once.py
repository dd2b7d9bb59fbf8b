"""A token with rights rlac, asked of Azurite itself: it adds, and destroys nothing, by whatever request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.data.tables import TableServiceClient, UpdateMode
from azure.storage.blob import BlobBlock, BlobClient, BlobServiceClient, StandardBlobTier

from tests.cli.conftest import Cli
from tests.cli.stored import fingerprint
from tests.restore.conftest import sas


@pytest.fixture(scope="module")
def stored(module_cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Give a vault that holds something."""
    source: Path = tmp_path_factory.mktemp("write once")
    (source / "file").write_text("content")
    module_cli.backup(source, "--tier", "hot")
    return module_cli


def _blocks(blob: BlobClient) -> None:
    blob.stage_block("AAAA", b"other")
    blob.commit_block_list([BlobBlock("AAAA")])


# Each would change or remove a blob that is there.
TO_A_BLOB: dict[str, Callable[[BlobClient], Any]] = {
    "overwrite": lambda blob: blob.upload_blob(b"other", overwrite=True),
    "create anew": lambda blob: blob.upload_blob(b"other"),
    "delete": lambda blob: blob.delete_blob(),
    "tier": lambda blob: blob.set_standard_blob_tier(StandardBlobTier.COOL),
    "metadata": lambda blob: blob.set_blob_metadata({"a": "b"}),
    "headers": lambda blob: blob.set_http_headers(),
    "blocks": _blocks,
    "copy over it": lambda blob: blob.start_copy_from_url(blob.url),
}


@pytest.mark.parametrize("what", TO_A_BLOB)
def test_no_blob_is_changed(stored: Cli, what: str) -> None:
    """The request is refused, and everything is as it was."""
    before = fingerprint(stored.vault)
    connection = sas(stored.vault.endpoints, "rlac")["AZURE_STORAGE_CONNECTION_STRING"]
    with BlobServiceClient.from_connection_string(connection) as service:
        container = service.get_container_client(stored.vault.container)
        for name in [blob.name for blob in container.list_blobs()]:
            with pytest.raises(HttpResponseError) as refused:
                TO_A_BLOB[what](container.get_blob_client(name))
            assert refused.value.status_code in (403, 409)
    assert fingerprint(stored.vault) == before


def test_no_row_is_changed(stored: Cli) -> None:
    """Replaced, merged, upserted, created anew, deleted, alone and in a transaction: refused, all of it."""
    before = fingerprint(stored.vault)
    connection = sas(stored.vault.endpoints, "rlac")["AZURE_STORAGE_CONNECTION_STRING"]
    with TableServiceClient.from_connection_string(connection) as service:
        table = service.get_table_client(stored.vault.table)
        for row in list(table.list_entities()):
            other = {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"], "d00": b"other"}
            requests: list[Callable[[], Any]] = [
                lambda other=other: table.update_entity(other, mode=UpdateMode.REPLACE),
                lambda other=other: table.update_entity(other, mode=UpdateMode.MERGE),
                lambda other=other: table.upsert_entity(other, mode=UpdateMode.REPLACE),
                lambda other=other: table.upsert_entity(other),
                lambda other=other: table.create_entity(other),
                lambda other=other: table.delete_entity(other["PartitionKey"], other["RowKey"]),
            ]
            for request in requests:
                with pytest.raises((HttpResponseError, ResourceExistsError)) as refused:
                    request()
                assert refused.value.status_code in (403, 409)
    assert fingerprint(stored.vault) == before
