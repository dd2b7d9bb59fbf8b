"""Lost answers of Put Blob and Copy Blob over archived blobs. The class: BlobArchived of a name means that it is taken.

Azure does not promise which it says first of an archived blob's name: that it exists, or that it is archived. Neither
says that the request failed before: whoever asks looks at what is there, then decides.
"""

from __future__ import annotations

import hashlib

import pytest

from azbackup.errors import Exists, Unavailable
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.staging import AzureStaging
from emulator.archive import ArchiveSimulator
from tests.conftest import Vault

DATA = b"a pack"
MD5 = hashlib.md5(DATA, usedforsecurity=False).digest()


@pytest.mark.parametrize("code", ["BlobArchived", "BlobBeingRehydrated"])
def test_a_pack_whose_answer_was_lost(archive: ArchiveSimulator, account: Account, vault: Vault, code: str) -> None:
    """The same bytes are there: done. Other bytes: Exists, as ever."""
    blobs = AzureBlobs(account, vault.container)
    blobs.put_first("p/packs/x", DATA, "archive", MD5)
    archive.add_fault("refuse", method="PUT", status=409, code=code)
    blobs.put_new("p/packs/x", DATA, "archive", MD5)
    other = hashlib.md5(b"other", usedforsecurity=False).digest()
    with pytest.raises(Exists):
        blobs.put_new("p/packs/x", b"other", "archive", other)


def test_a_name_that_was_taken_and_is_free(archive: ArchiveSimulator, account: Account, vault: Vault) -> None:
    """Nothing is lost, and the container is there: another time passes."""
    blobs = AzureBlobs(account, vault.container)
    blobs.put_first("p/packs/x", DATA, "hot", MD5)
    archive.add_fault("refuse", method="PUT", status=409, code="BlobAlreadyExists", times=1)
    with pytest.raises(Unavailable, match="though its name was taken") as raised:
        blobs.put_new("p/packs/y", DATA, "hot", MD5)
    assert raised.value.passing
    blobs.put_new("p/packs/y", DATA, "hot", MD5)


def test_a_copy_whose_answer_was_lost(archive: ArchiveSimulator, account: Account, vault: Vault) -> None:
    """A copy that is there, pending or archived again by a rule is not asked for twice, and is no refusal."""
    AzureBlobs(account, vault.container).put_first("p/packs/x", DATA, "archive", MD5)
    staging = AzureStaging(account, vault.container)
    assert staging.thaw("p/packs/x", "standard") is False
    archive.add_fault("refuse", method="PUT", status=409, code="BlobArchived")
    assert staging.thaw("p/packs/x", "standard") is False
    staging.delete("p/packs/x")
    with pytest.raises(Unavailable, match="cannot be thawed by copy"):
        staging.thaw("p/packs/x", "standard")
