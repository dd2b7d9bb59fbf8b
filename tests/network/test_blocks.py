"""Uplinks on which no connection lives for a whole pack. The class: what arrived is not sent again."""

from __future__ import annotations

import pytest

from azbackup.errors import Exists, Unavailable
from azbackup.format.checksum import md5_of
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from emulator.archive import ArchiveSimulator
from tests.conftest import Vault

MIB = 1024 * 1024
DATA = bytes(range(256)) * (9 * MIB // 256) + b"the end"


@pytest.fixture
def blobs(account: Account, vault: Vault) -> AzureBlobs:
    """Give a container with something in it."""
    found = AzureBlobs(account, vault.container)
    found.put_first("p/packs/first", b"x", "hot", md5_of(b"x"))
    return found


@pytest.mark.parametrize("tier", ["hot", "archive"])
def test_a_pack_that_breaks_off_twice_goes_in_blocks(archive: ArchiveSimulator, blobs: AzureBlobs, tier: str) -> None:
    """Whole tries stop after two; each block is sent until it arrives; the blob has its bytes, tier and MD5."""
    whole = archive.add_fault("break", method="PUT", least_bytes=6 * MIB)
    lost = archive.add_fault("lose", method="PUT", query="comp=block", each=True)
    blobs.put_new("p/packs/x", DATA, tier, md5_of(DATA))
    assert whole.hits == 2
    assert lost.hits == 4, "three blocks and their list"
    [found] = list(blobs.listed("p/packs/x"))
    assert (found.size, found.md5, found.tier) == (len(DATA), md5_of(DATA), tier)
    if tier == "hot":
        assert blobs.get("p/packs/x") == DATA


def test_a_pack_that_arrives_at_the_second_try_is_one_request(archive: ArchiveSimulator, blobs: AzureBlobs) -> None:
    """A single break costs one more request and no blocks, each of which would be billed."""
    archive.clear_requests()
    archive.add_fault("break", method="PUT", times=1)
    blobs.put_new("p/packs/x", DATA, "hot", md5_of(DATA))
    assert [entry.query for entry in archive.requests] == ["", ""]


def test_blocks_overwrite_nothing(archive: ArchiveSimulator, blobs: AzureBlobs) -> None:
    """A name that is taken by other bytes stays taken; one with the same bytes is done."""
    blobs.put_new("p/packs/x", DATA, "hot", md5_of(DATA))
    archive.add_fault("break", method="PUT", least_bytes=6 * MIB)
    other = DATA[::-1]
    with pytest.raises(Exists):
        blobs.put_new("p/packs/x", other, "hot", md5_of(other))
    assert blobs.get("p/packs/x") == DATA
    blobs.put_new("p/packs/x", DATA, "hot", md5_of(DATA))


def test_no_network_is_no_network(archive: ArchiveSimulator, blobs: AzureBlobs) -> None:
    """Blocks that do not arrive either are given up as anything else is."""
    archive.add_fault("break", method="PUT")
    with pytest.raises(Unavailable, match="cannot reach"):
        blobs.put_new("p/packs/x", DATA, "hot", md5_of(DATA))


def test_a_token_that_allows_no_blocks(archive: ArchiveSimulator, blobs: AzureBlobs) -> None:
    """The whole pack is tried on, as often as anything else is."""
    archive.add_fault("break", method="PUT", least_bytes=6 * MIB, times=5)
    archive.add_fault("refuse", method="PUT", query="comp=block")
    blobs.put_new("p/packs/x", DATA, "hot", md5_of(DATA))
    assert blobs.get("p/packs/x") == DATA
