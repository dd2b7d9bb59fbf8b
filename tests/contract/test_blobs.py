"""What every BlobStore and ThawStore does, whatever is behind it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from azbackup.errors import Damaged, Exists, Missing, Unavailable
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.lanes import Lanes
from azbackup.storage.protocols import BlobStore
from tests.conftest import Vault
from tests.contract.conftest import Stores
from tests.contract.memory import md5_of

NAMES = ("user1/packs/a", "o'brien/packs/a", "Ærø & søn+1 東京 😀/packs/ä")


def put(blobs: BlobStore, name: str, data: bytes, tier: str = "hot") -> None:
    """Stores bytes under a name, with their MD5."""
    blobs.put_first(name, data, tier, md5_of(data))


@pytest.mark.parametrize("name", NAMES)
def test_a_blob_comes_back(stores: Stores, name: str) -> None:
    """What was put under a name is got under it, byte for byte, and is listed with size, MD5 and tier."""
    data = bytes(range(256)) * 5
    put(stores.blobs, name, data, "cool")
    assert stores.blobs.get(name) == data
    (info,) = stores.blobs.listed(name)
    assert (info.name, info.size, info.md5, info.tier) == (name, len(data), md5_of(data), "cool")
    assert not info.pending


def test_an_empty_blob_comes_back(stores: Stores) -> None:
    """No bytes are bytes too."""
    put(stores.blobs, "p/records/empty", b"")
    assert stores.blobs.get("p/records/empty") == b""


def test_the_same_bytes_again_are_a_success(stores: Stores) -> None:
    """An answer that was lost may be asked for again."""
    put(stores.blobs, "p/packs/a", b"same")
    put(stores.blobs, "p/packs/a", b"same")
    assert stores.blobs.get("p/packs/a") == b"same"


@pytest.mark.parametrize("other", [b"othr", b"same but longer", b""])
def test_other_bytes_never_overwrite(stores: Stores, other: bytes) -> None:
    """A name that is taken keeps its bytes, and the second put raises Exists."""
    put(stores.blobs, "p/packs/a", b"same")
    with pytest.raises(Exists):
        put(stores.blobs, "p/packs/a", other)
    assert stores.blobs.get("p/packs/a") == b"same"


def test_an_archived_name_is_taken_too(stores: Stores) -> None:
    """Exists for other bytes, success for the same, though an archived blob cannot be read."""
    put(stores.blobs, "p/packs/a", b"cold", "archive")
    put(stores.blobs, "p/packs/a", b"cold", "archive")
    with pytest.raises(Unavailable):
        put(stores.blobs, "p/packs/a", b"other", "archive")


def test_bytes_that_do_not_fit_their_md5_are_refused(stores: Stores) -> None:
    """A pack that was altered on the way is not stored."""
    with pytest.raises(Unavailable):
        stores.blobs.put_first("p/packs/a", b"altered", "hot", md5_of(b"sent"))
    assert not list(stores.blobs.listed(""))


@pytest.mark.parametrize(
    "ask", [lambda blobs: blobs.get("p/packs/a"), lambda blobs: blobs.get_range("p/packs/a", 0, 1)]
)
@pytest.mark.parametrize("container", [False, True], ids=["no container", "container"])
def test_what_is_not_there_is_missing(stores: Stores, ask: Callable[[BlobStore], bytes], container: bool) -> None:
    """Missing, and nothing else, whether or not the container is there."""
    if container:
        put(stores.blobs, "p/packs/b", b"another")
    with pytest.raises(Missing):
        ask(stores.blobs)


@pytest.mark.parametrize(
    ("offset", "size", "expected"),
    [(0, 10, b"0123456789"), (3, 4, b"3456"), (8, 100, b"89"), (10, 1, b""), (500, 10, b"")],
)
def test_ranges(stores: Stores, offset: int, size: int, expected: bytes) -> None:
    """A range is those bytes, fewer where the blob ends early, none behind its end."""
    put(stores.blobs, "p/packs/a", b"0123456789")
    assert stores.blobs.get_range("p/packs/a", offset, size) == expected


def test_an_archived_blob_is_neither_missing_nor_readable(stores: Stores) -> None:
    """Reading it is refused as such; the listing says its tier."""
    put(stores.blobs, "p/packs/a", b"cold", "archive")
    with pytest.raises(Unavailable) as caught:
        stores.blobs.get("p/packs/a")
    assert not isinstance(caught.value, Missing | Exists)
    assert caught.value.code == "BlobArchived"
    assert [info.tier for info in stores.blobs.listed("p/packs/")] == ["archive"]


def test_listings_are_by_prefix_and_in_order(stores: Stores) -> None:
    """Names under the prefix, sorted, nothing of a partition whose name begins the same."""
    for name in ("user1/packs/c", "user1/packs/a", "user10/packs/b", "user1/records/x", "user1/packs/b"):
        put(stores.blobs, name, name.encode())
    assert [info.name for info in stores.blobs.listed("user1/packs/")] == [f"user1/packs/{each}" for each in "abc"]
    assert not list(stores.blobs.listed("user2/"))


def test_no_container_lists_nothing(stores: Stores) -> None:
    """An account that was never used is empty, not an error."""
    assert not list(stores.blobs.listed("user1/"))
    assert not list(stores.staging.listed("user1/"))


def test_only_a_first_blob_makes_the_container(vault: Vault) -> None:
    """Absent is not "first run": a put that counts on what is stored says that it is gone, and makes none."""
    account = Account(connection({"connection_string": vault.endpoints.connection_string}, {}))
    blobs = AzureBlobs(account, vault.container)
    with pytest.raises(Damaged, match="is gone"):
        blobs.put_new("p/packs/a", b"data", "hot", md5_of(b"data"))
    assert not list(blobs.listed("p/"))
    blobs.put_first("p/packs/a", b"data", "hot", md5_of(b"data"))
    blobs.put_new("p/packs/b", b"more", "hot", md5_of(b"more"))
    assert [info.name for info in blobs.listed("p/")] == ["p/packs/a", "p/packs/b"]


def test_one_of_two_puts_at_once_wins(stores: Stores) -> None:
    """Of two writers of one name one succeeds, the other gets Exists, and the bytes are the first one's."""
    put(stores.blobs, "p/other", b"so that the container is there")
    results: dict[bytes, bool] = {}
    together = threading.Barrier(2)

    def write(data: bytes) -> None:
        together.wait()
        try:
            put(stores.blobs, "p/packs/a", data)
            results[data] = True
        except Exists:
            results[data] = False

    threads = [threading.Thread(target=write, args=(data,)) for data in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [data for data, won in results.items() if won]
    assert stores.blobs.get("p/packs/a") == winner


# --- the staging container


def test_a_thawed_copy_has_the_packs_bytes(stores: Stores) -> None:
    """After a thaw the copy is listed under the pack's name and can be read, in ranges too."""
    put(stores.blobs, "p/packs/a", b"0123456789", "archive")
    assert stores.staging.thaw("p/packs/a", "standard")
    (info,) = stores.staging.listed("p/packs/")
    assert (info.name, info.size, info.tier, info.pending) == ("p/packs/a", 10, "hot", False)
    assert stores.staging.get_range("p/packs/a", 2, 3) == b"234"
    assert [info.tier for info in stores.blobs.listed("p/packs/")] == ["archive"]


def test_a_second_thaw_changes_nothing(stores: Stores) -> None:
    """Asking again leaves the copy as it is, and says that it began nothing."""
    put(stores.blobs, "p/packs/a", b"0123456789", "archive")
    stores.staging.thaw("p/packs/a", "high")
    assert not stores.staging.thaw("p/packs/a", "standard")
    assert [info.priority for info in stores.staging.listed("p/")] == ["high"]


def test_a_pack_that_is_gone_cannot_be_thawed(stores: Stores) -> None:
    """An error, whatever Azure calls it, and no copy."""
    put(stores.blobs, "p/packs/b", b"another", "archive")
    with pytest.raises(Unavailable):
        stores.staging.thaw("p/packs/a", "standard")
    assert not list(stores.staging.listed("p/"))


def test_copies_are_removed_and_removed_again(stores: Stores) -> None:
    """Removing is a success when the copy is there, when it is gone, and when there is no container."""
    stores.staging.delete("p/packs/a")
    put(stores.blobs, "p/packs/a", b"cold", "archive")
    stores.staging.thaw("p/packs/a", "standard")
    stores.staging.delete("p/packs/a")
    stores.staging.delete("p/packs/a")
    assert not list(stores.staging.listed("p/"))
    with pytest.raises(Missing):
        stores.staging.get_range("p/packs/a", 0, 1)


def test_a_pack_thaws_in_place_and_goes_back(stores: Stores) -> None:
    """Online after the thaw, in the archive tier again after it was put back."""
    put(stores.blobs, "p/packs/a", b"cold", "archive")
    stores.staging.thaw_in_place("p/packs/a", "high")
    assert stores.blobs.get("p/packs/a") == b"cold"
    stores.staging.archive_again("p/packs/a")
    assert [info.tier for info in stores.blobs.listed("p/")] == ["archive"]


def test_marks_are_empty_and_can_be_written_anew(stores: Stores) -> None:
    """A mark makes the container when it must, and writing it twice is no conflict."""
    stores.staging.mark("p/restores/x")
    stores.staging.mark("p/restores/x")
    assert [(info.name, info.size) for info in stores.staging.listed("p/restores/")] == [("p/restores/x", 0)]


def test_a_large_body_over_several_connections(stores: Stores) -> None:
    """What was put in parts is the same blob; a range in parts is the same bytes, and ends where the blob does."""
    if isinstance(stores.blobs, AzureBlobs):
        stores.blobs._account.uploads = stores.blobs._account.downloads = Lanes(4)
    data = os.urandom(9_000_001)
    stores.blobs.put_first("p/packs/a", data, "cool", md5_of(data))
    stores.blobs.put_new("p/packs/a", data, "cool", md5_of(data))
    with pytest.raises(Exists):
        stores.blobs.put_new("p/packs/a", data[::-1], "cool", md5_of(data[::-1]))
    [info] = stores.blobs.listed("p/")
    assert (info.size, info.md5, info.tier) == (len(data), md5_of(data), "cool")
    for offset, size in ((0, len(data)), (1_000_003, 7_000_000), (8_000_000, 16_000_000), (0, 40_000_000)):
        assert stores.blobs.get_range("p/packs/a", offset, size) == data[offset : offset + size]
    assert stores.blobs.get_range("p/packs/a", len(data), 9_000_000) == b""
    with pytest.raises(Missing):
        stores.blobs.get_range("p/packs/b", 0, 9_000_000)
