"""Listings of several pages. The class: an answer about a part must never be taken for the end of the whole."""

from __future__ import annotations

from functools import partial

import pytest

from azbackup.errors import Missing, Unavailable
from azbackup.storage.azure.account import Account
from emulator.archive import ArchiveSimulator
from tests.conftest import Vault


def test_blobs_whose_second_page_is_gone(archive: ArchiveSimulator, account: Account, vault: Vault) -> None:
    """A 404 for a later page of a container is an error, not the end; the first page may well be the only one."""
    client = account.container(vault.container)
    query = partial(client.list_blob_names, results_per_page=1)
    assert list(account.pages("container x", query)) == []
    client.create_container()
    for name in ("a", "b", "c"):
        client.upload_blob(name, b"")
    assert list(account.pages("container x", query)) == ["a", "b", "c"]
    archive.add_fault("gone", query="marker=")
    with pytest.raises(Unavailable, match="the rest of container x is gone") as caught:
        list(account.pages("container x", query))
    assert type(caught.value) is not Missing


def test_rows_whose_second_page_is_gone(archive: ArchiveSimulator, account: Account, vault: Vault) -> None:
    """The same for a table: snapshots that do not show would make an older one the latest."""
    client = account.table(vault.table)
    query = partial(client.query_entities, "PartitionKey eq 'p'", results_per_page=1)
    assert list(account.pages("table x", query, table=True)) == []
    client.create_table()
    for name in ("a", "b", "c"):
        client.create_entity({"PartitionKey": "p", "RowKey": name})
    assert [row["RowKey"] for row in account.pages("table x", query, table=True)] == ["a", "b", "c"]
    archive.add_fault("gone", query="NextRowKey=")
    with pytest.raises(Unavailable, match="the rest of table x is gone") as caught:
        list(account.pages("table x", query, table=True))
    assert type(caught.value) is not Missing
