"""A thaw through the simulator looks as Azure documents it, from the request to the end."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import (
    BlobClient,
    BlobProperties,
    BlobSasPermissions,
    ContainerClient,
    RehydratePriority,
    StandardBlobTier,
    generate_blob_sas,
)

from emulator.archive import ArchiveSimulator, archive_simulator
from emulator.azurite import Azurite
from tests.emulator.conftest import service

DATA = b"sealed bytes of a pack" * 100


@pytest.fixture
def pack(container: ContainerClient) -> BlobClient:
    """Give an archived blob."""
    return put_archived(container, "u/packs/p1")


@pytest.fixture
def copy(container: ContainerClient, pack: BlobClient) -> BlobClient:
    """Give a copy of the archived blob whose thaw has just been asked for."""
    return thaw_by_copy(container, pack, "u/thawed/p1")


def put_archived(container: ContainerClient, name: str) -> BlobClient:
    """Store a small archived blob."""
    return container.upload_blob(name, DATA, standard_blob_tier=StandardBlobTier.ARCHIVE)


def thaw_by_copy(container: ContainerClient, source: BlobClient, name: str, priority: str = "Standard") -> BlobClient:
    """Ask for a thaw, and return the pending copy."""
    copy = container.get_blob_client(name)
    copy.start_copy_from_url(
        source.url,
        standard_blob_tier=StandardBlobTier.HOT,
        rehydrate_priority=RehydratePriority(priority),
    )
    return copy


def listed(container: ContainerClient, name: str) -> BlobProperties:
    """Return what a listing says about one blob."""
    (found,) = container.list_blobs(name_starts_with=name, include=["copy"])
    return found


def refusal_of(blob: BlobClient) -> str:
    """Return the error code of a download that is refused with 409."""
    with pytest.raises(HttpResponseError) as caught:
        blob.download_blob()
    assert caught.value.status_code == 409
    return str(getattr(caught.value, "error_code", ""))


def test_copy_of_archived_blob_is_pending_in_its_answer(container: ContainerClient, pack: BlobClient) -> None:
    """The answer to Copy Blob says pending, not success."""
    answer = container.get_blob_client("copy").start_copy_from_url(pack.url, standard_blob_tier=StandardBlobTier.HOT)
    assert answer["copy_status"] == "pending"


def test_pending_copy_in_properties(copy: BlobClient) -> None:
    """Get Blob Properties shows a pending copy archived, with its status and priority."""
    found = copy.get_blob_properties()
    assert (found.blob_tier, found.archive_status) == ("Archive", "rehydrate-pending-to-hot")
    assert (found.copy.status, found.copy.progress) == ("pending", f"0/{len(DATA)}")
    assert found.rehydrate_priority == "Standard"
    assert found.size == len(DATA)


def test_pending_copy_in_listing(container: ContainerClient, copy: BlobClient) -> None:
    """A listing shows the same, and leaves the other blobs as they are."""
    container.upload_blob("u/thawed/other & more", b"hot", standard_blob_tier=StandardBlobTier.HOT)
    found = listed(container, copy.blob_name)
    assert (found.blob_tier, found.archive_status) == ("Archive", "rehydrate-pending-to-hot")
    assert (found.copy.status, found.rehydrate_priority) == ("pending", "Standard")
    other = listed(container, "u/thawed/other & more")
    assert (other.blob_tier, other.archive_status, other.size) == ("Hot", None, 3)
    source = listed(container, "u/packs/p1")
    assert (source.blob_tier, source.archive_status) == ("Archive", None)


def test_pending_copy_cannot_be_downloaded(copy: BlobClient) -> None:
    """Get Blob is refused as for any archived blob."""
    assert refusal_of(copy) == "BlobArchived"


def test_pending_copy_cannot_be_copied_over(container: ContainerClient, pack: BlobClient, copy: BlobClient) -> None:
    """Asking for the same thaw again is refused, not begun again."""
    with pytest.raises(ResourceExistsError) as caught:
        thaw_by_copy(container, pack, copy.blob_name)
    assert caught.value.error_code == "PendingCopyOperation"  # type: ignore[attr-defined]  # set by the storage SDK


def test_released_copy_is_an_ordinary_hot_blob(
    archive: ArchiveSimulator, container: ContainerClient, copy: BlobClient
) -> None:
    """After the release everything reads hot and done, and the bytes are those of the source."""
    assert archive.release("*/thawed/*") == 1
    found = listed(container, copy.blob_name)
    assert (found.blob_tier, found.archive_status) == ("Hot", None)
    assert copy.get_blob_properties().copy.status == "success"
    assert copy.download_blob().readall() == DATA


def test_release_by_name_leaves_the_others(
    archive: ArchiveSimulator, container: ContainerClient, pack: BlobClient, copy: BlobClient
) -> None:
    """Only blobs that match the pattern are released."""
    other = thaw_by_copy(container, pack, "u/thawed/p2")
    assert archive.release("u/thawed/p1") == 1
    assert copy.download_blob().readall() == DATA
    assert refusal_of(other) == "BlobArchived"


def test_priority_decides_how_long(azurite: Azurite, container: ContainerClient) -> None:
    """High ends before Standard, and neither before its time."""
    pack = put_archived(container, "p")
    with (
        archive_simulator(azurite, thaw_seconds=1000, high_thaw_seconds=100) as archive,
        service(archive) as client,
    ):
        through = client.get_container_client(container.container_name)
        slow = thaw_by_copy(through, pack, "slow")
        fast = thaw_by_copy(through, pack, "fast", "High")
        archive.advance(90)
        assert refusal_of(fast) == "BlobArchived"
        archive.advance(20)
        assert fast.download_blob().readall() == DATA
        assert refusal_of(slow) == "BlobArchived"
        archive.advance(900)
        assert slow.download_blob().readall() == DATA


def test_priority_of_pending_copy_can_be_raised(
    archive: ArchiveSimulator, container: ContainerClient, pack: BlobClient
) -> None:
    """Set Tier with High on a pending copy brings it forward; Standard does not take it back."""
    archive.set_thaw_seconds(1000, 100)
    copy = thaw_by_copy(container, pack, "copy")
    copy.set_standard_blob_tier(StandardBlobTier.HOT, rehydrate_priority=RehydratePriority.HIGH)
    assert copy.get_blob_properties().rehydrate_priority == "High"
    copy.set_standard_blob_tier(StandardBlobTier.HOT, rehydrate_priority=RehydratePriority.STANDARD)
    assert listed(container, "copy").rehydrate_priority == "High"
    archive.advance(110)
    assert copy.download_blob().readall() == DATA


def test_set_tier_of_archived_blob_is_pending(archive: ArchiveSimulator, pack: BlobClient) -> None:
    """A thaw in place is pending likewise, another target is refused, and it ends hot."""
    pack.set_standard_blob_tier(StandardBlobTier.HOT)
    found = pack.get_blob_properties()
    assert (found.blob_tier, found.archive_status) == ("Archive", "rehydrate-pending-to-hot")
    assert refusal_of(pack) == "BlobBeingRehydrated"
    with pytest.raises(HttpResponseError) as caught:
        pack.set_standard_blob_tier(StandardBlobTier.COOL)
    assert (caught.value.status_code, caught.value.error_code) == (409, "BlobBeingRehydrated")  # type: ignore[attr-defined]  # set by the storage SDK
    archive.release()
    assert pack.download_blob().readall() == DATA


def test_deleted_copy_is_not_pending_any_more(container: ContainerClient, pack: BlobClient, copy: BlobClient) -> None:
    """A name whose pending copy was deleted, in a batch too, is free for anything."""
    copy.delete_blob()
    container.upload_blob(copy.blob_name, b"new")
    assert copy.download_blob().readall() == b"new"
    again = thaw_by_copy(container, pack, "again")
    container.delete_blobs("again")
    thaw_by_copy(container, pack, "again")
    assert refusal_of(again) == "BlobArchived"


@pytest.mark.parametrize("condition", [MatchConditions.IfMissing, None])
def test_pending_copy_cannot_be_overwritten(
    container: ContainerClient, copy: BlobClient, condition: MatchConditions | None
) -> None:
    """Put Blob over a pending copy is refused, whatever its conditions."""
    with pytest.raises(ResourceExistsError):
        container.upload_blob(copy.blob_name, b"new", overwrite=condition is None)


def test_archived_blob_cannot_be_changed(container: ContainerClient, pack: BlobClient) -> None:
    """Blocks and metadata over an archived name are refused, though Azurite accepts them."""
    with pytest.raises(ResourceExistsError, match="archived"):
        pack.stage_block("MDAw", b"block")
    with pytest.raises(ResourceExistsError, match="archived"):
        pack.set_blob_metadata({"a": "b"})
    hot = container.upload_blob("hot", b"hot")
    with pytest.raises(ResourceExistsError, match="archived"):
        pack.start_copy_from_url(hot.url)


def test_copy_with_a_sas_on_its_source(azurite: Azurite, container: ContainerClient) -> None:
    """The source's URL may carry a SAS, as on Azure; a wrong one is refused."""
    pack = put_archived(container, "p")
    sas = generate_blob_sas(
        azurite.account,
        container.container_name,
        "p",
        account_key=azurite.key,
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    copy = container.get_blob_client("copy")
    with pytest.raises(HttpResponseError):
        copy.start_copy_from_url(f"{pack.url}?{sas[:-6]}AAAA%3D", standard_blob_tier=StandardBlobTier.HOT)
    answer = copy.start_copy_from_url(f"{pack.url}?{sas}", standard_blob_tier=StandardBlobTier.HOT)
    assert answer["copy_status"] == "pending"
