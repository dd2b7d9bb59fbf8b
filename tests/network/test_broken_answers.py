"""Answers that break on their way. The class: whatever is not a complete and well-formed answer is "nobody answered".

It is asked for again, then it is Unavailable: never another error, never "there is none", never the end of a list.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import Unavailable
from azbackup.format.model import SealedRecord
from azbackup.storage.azure.account import Account
from azbackup.storage.azure.answers import Asked, flaw
from azbackup.storage.azure.blobs import AzureBlobs
from azbackup.storage.azure.credentials import connection
from azbackup.storage.azure.patience import Patience
from azbackup.storage.azure.staging import AzureStaging
from azbackup.storage.azure.tables import AzureRows
from azbackup.storage.azure.throttle import Limits, Throttle
from emulator.archive import ArchiveSimulator
from emulator.faults import Kind
from tests.conftest import Vault

DATA = bytes(range(256)) * 40
MD5 = hashlib.md5(DATA, usedforsecurity=False).digest()
ROWS = [SealedRecord(f"r{number}", b"sealed" * 900, "") for number in range(3)]


@dataclass
class Stores:
    """All that is asked of Azure, with something in it."""

    blobs: AzureBlobs
    staging: AzureStaging
    rows: AzureRows
    elsewhere: Callable[[], AzureRows]  # in a table that is not there yet

    def fill(self) -> None:
        """Store a pack, an archived one, three rows and a plain one."""
        self.blobs.put_first("p/packs/there", DATA, "hot", MD5)
        self.blobs.put_new("p/packs/cold", DATA, "archive", MD5)
        self.rows.insert(ROWS)
        self.rows.insert_plain("key", {"n": 1})
        self.staging.mark("p/mark")


# What is asked, and what must come of it once an answer broke.
ASKED: dict[str, tuple[Callable[[Stores], Any], Callable[[Any], bool]]] = {
    "get": (lambda s: s.blobs.get("p/packs/there"), lambda got: got == DATA),
    "get_range": (lambda s: s.blobs.get_range("p/packs/there", 100, 1000), lambda got: got == DATA[100:1100]),
    "names": (lambda s: list(s.blobs.names("p/packs/")), lambda got: got == ["p/packs/cold", "p/packs/there"]),
    "listed": (lambda s: [each.size for each in s.blobs.listed("p/packs/")], lambda got: got == [len(DATA)] * 2),
    "put_new": (lambda s: s.blobs.put_new("p/packs/new", DATA, "hot", MD5), lambda got: got is None),
    "get_plain": (lambda s: s.rows.get_plain("key").values, lambda got: got == {"n": 1}),
    "insert_plain": (lambda s: s.rows.insert_plain("another", {"n": 2}), lambda got: got is None),
    "replace_plain": (lambda s: s.rows.replace_plain("key", {"n": 3}, s.rows.get_plain("key").etag), lambda _: True),
    "get row": (lambda s: s.rows.get("r1"), lambda got: got == ROWS[1].sealed),
    "insert one": (lambda s: s.rows.insert([SealedRecord("s", b"x", "")]), lambda got: set(got) <= {"s"}),
    "insert": (lambda s: s.rows.insert([SealedRecord(f"t{n}", b"x", "") for n in range(4)]), lambda _: True),
    "first row": (lambda s: s.elsewhere().insert_plain("key", {"n": 1}), lambda got: got is None),
    "versions": (lambda s: [name for name, _ in s.rows.versions("r", "s")], lambda got: got == ["r0", "r1", "r2"]),
    "range": (lambda s: [row.sealed for row in s.rows.range("r", "s")], lambda got: got == [r.sealed for r in ROWS]),
    "thaw": (lambda s: s.staging.thaw("p/packs/cold", "standard"), lambda got: got is False),
    "copies": (lambda s: list(s.staging.listed("p/")), lambda got: [each.name for each in got] == ["p/mark"]),
    "mark": (lambda s: s.staging.mark("p/mark"), lambda got: got is None),
    "delete": (lambda s: s.staging.delete("p/mark"), lambda got: got is None),
    "thaw_in_place": (lambda s: s.staging.thaw_in_place("p/packs/cold", "standard"), lambda got: got is None),
}
BREAKS: list[tuple[Kind, bool]] = [
    *(("cut", False), ("cut", True), ("reset", False), ("reset", True), ("unsized", False)),
    *(("cut head", False), ("range", False), ("rangeless", False), ("portal", False), ("chunked", True)),
]


@pytest.fixture
def stores(account: Account, vault: Vault) -> Stores:
    """Give stores with something in them, reached through the simulator."""
    found = Stores(
        AzureBlobs(account, vault.container),
        AzureStaging(account, vault.container),
        AzureRows(account, vault.table, vault.partition),
        lambda: AzureRows(account, f"t{uuid.uuid4().hex[:12]}", vault.partition),
    )
    found.fill()
    return found


@pytest.mark.parametrize("name", ASKED)
def test_every_break_of_every_request(archive: ArchiveSimulator, stores: Stores, name: str) -> None:
    """Whatever breaks, and however: asked twice, everything is as it must be."""
    ask, right = ASKED[name]
    for kind, chunked in BREAKS:
        fault = archive.add_fault(kind, chunked=chunked, each=True)
        try:
            assert right(ask(stores)), (kind, chunked)
        finally:
            archive.clear_faults()
        assert fault.hits, (kind, chunked)
        stores.staging.mark("p/mark")
        if name == "replace_plain":
            stores.rows.replace_plain("key", {"n": 1}, stores.rows.get_plain("key").etag)


@pytest.mark.parametrize("name", ASKED)
def test_what_stays_broken_is_unavailable(archive: ArchiveSimulator, stores: Stores, name: str) -> None:
    """Tried eight times, then it is the one error that is said for it; what needs a whole body notices that too."""
    ask, right = ASKED[name]
    for kind, chunked in BREAKS:
        fault = archive.add_fault(kind, chunked=chunked)
        met: Unavailable | None = None
        try:
            got = ask(stores)
        except Unavailable as error:
            met = error
        finally:
            archive.clear_faults()
        if met is None:  # the answer had no body to break, or no range to be of, or chunks are no fault
            assert right(got), (kind, chunked)
            continue
        assert type(met) is Unavailable, (kind, chunked, met)
        assert met.message.startswith("cannot reach Azure storage at 127.0.0.1:"), met.message
        assert 7 <= fault.hits <= 9, "one may meet a connection that was closed; put_new asks who has the name"


def test_a_stranger_says_nothing_about_the_storage(archive: ArchiveSimulator, stores: Stores) -> None:
    """A page of HTML is neither an empty list nor a missing row; the message names what answered, and what to do."""
    archive.add_fault("portal")
    asks = (lambda: list(stores.blobs.names("p/")), lambda: stores.rows.get("r1"), lambda: stores.blobs.get("x"))
    for ask in asks:
        with pytest.raises(
            Unavailable, match=r"something on the way answered in its place \(HTTP 200, text/html"
        ) as caught:
            ask()
        assert "log in to the network" in caught.value.hint


def test_what_the_sdk_cannot_digest(account: Account, stores: Stores, vault: Vault) -> None:
    """An answer over which the SDK stumbles, after it came, is Unavailable and no traceback."""
    assert stores
    client = account.container(vault.container)

    def digest() -> str:
        return client.get_container_properties().name + 1  # type: ignore[operator]  # as it would stumble

    with pytest.raises(Unavailable, match="its answer makes no sense"):
        account.call("x", digest)


def test_a_bug_keeps_its_traceback(account: Account) -> None:
    """An error before anything was asked is not taken for an answer that cannot be read."""
    with pytest.raises(ZeroDivisionError):
        account.call("x", lambda: 1 // 0)
    with pytest.raises(ValueError, match="invalid literal"):
        account.call("x", lambda: int("x"))


def test_downloads_are_paced_in_chunks_too(archive: ArchiveSimulator, stores: Stores, vault: Vault) -> None:
    """A bandwidth limit counts answers that come in chunks, and those that are read at once."""
    assert stores
    taken: list[float] = []
    throttle = Throttle(lambda: 10_000, lambda: 0.0, taken.append)
    place = connection({"connection_string": archive.connection_string}, {})
    paced = AzureBlobs(Account(place, Limits(download=throttle)), vault.container)
    archive.add_fault("chunked", chunked=True)
    assert paced.get("p/packs/there") == DATA
    assert max(taken) >= len(DATA) / 10_000 - 0.2


# --- what is a whole answer

ID = {"x-ms-request-id": "1"}


@given(st.binary(max_size=60), st.integers(0, 60))
def test_a_part_of_a_list_is_no_list(names: bytes, kept: int) -> None:
    """A list is whole when its root ends, and not before."""
    inner = b"<Blobs>" + names.hex().encode() + b"</Blobs>"
    whole = b"<?xml version='1.0'?><EnumerationResults a='b'>" + inner + b"</EnumerationResults>"
    asked = Asked("GET", "https://x/c?restype=container&comp=list")
    assert flaw(asked, 200, ID, whole) == ""
    assert flaw(asked, 200, ID, whole[: min(kept, len(whole) - 1)]) != ""


@pytest.mark.parametrize(
    ("given_range", "size", "status", "right"),
    [
        ("bytes 10-19/100", 10, 206, True),
        ("bytes 10-14/15", 5, 206, True),
        ("bytes 10-19/100", 9, 206, False),
        ("bytes 11-20/100", 10, 206, False),
        ("bytes 10-14/100", 5, 206, False),
        ("bytes 10-29/100", 20, 206, False),
        ("bytes 10-19/*", 10, 206, False),
        ("", 10, 206, False),
        ("", 100, 200, False),
        ("", 0, 416, True),
        ("", 0, 404, True),
    ],
)
def test_ranges_that_were_asked_for(given_range: str, size: int, status: int, right: bool) -> None:
    """Bytes 10 to 19, or as many of them as there are; a refusal has no range."""
    asked = Asked("GET", "https://x/c/b", "bytes=10-19")
    headers = ID | ({"content-range": given_range} if given_range else {})
    assert (flaw(asked, status, headers, bytes(size)) == "") is right


@pytest.mark.parametrize(
    ("url", "body", "right"),
    [
        ("https://x/t()?$filter=a", b'{"odata.metadata":"m","value":[]}', True),
        ("https://x/t()?$filter=a", b'{"value": []}', True),
        ("https://x/t()?$filter=a", b'{"value":null}', False),
        ("https://x/t()?$filter=a", b'{"valuf":[]}', False),
        ("https://x/t()?$filter=a", b"{}", False),
        ("https://x/t()?$filter=a", b"", False),
        ("https://x/t()?$filter=a", b'{"value":[{"RowKey":"a"', False),
        ("https://x/t(PartitionKey='p',RowKey='r')", b'{"PartitionKey":"p","RowKey":"r"}', True),
        ("https://x/t(PartitionKey='p',RowKey='r')", b'{"value":[]}', False),
        ("https://x/t(PartitionKey='p',RowKey='r')", b"", False),
        ("https://x/c?comp=list", b"", False),
        ("https://x/c?comp=list", b"<EnumerationResults></EnumerationResults>", False),
        ("https://x/c?comp=list", b"<EnumerationResults><Blobs /></EnumerationResults>", True),
    ],
)
def test_rows_and_lists(url: str, body: bytes, right: bool) -> None:
    """An empty list says that it is one: nothing at all is no answer."""
    assert (flaw(Asked("GET", url), 200, ID, body) == "") is right


@pytest.mark.parametrize("status", [200, 201, 204, 206, 302, 400, 403, 404, 407, 409, 412])
def test_an_answer_without_an_id_is_a_strangers(status: int) -> None:
    """Whatever its status says; but a gateway's plea for patience is one."""
    assert "answered in its place" in flaw(Asked("GET", "https://x/c/b"), status, {}, b"")
    for busy in (408, 429, 500, 502, 503, 504):
        assert flaw(Asked("GET", "https://x/c/b"), busy, {}, b"") == ""


def test_a_restore_that_stays_outlives_an_outage(archive: ArchiveSimulator, stores: Stores, vault: Vault) -> None:
    """Lists, reads and cleaning up go on after forty breaks in a row, which is said once for each of them."""
    assert stores
    said: list[str] = []
    place = connection({"connection_string": archive.connection_string}, {})
    patience = Patience(stays=True, report=said.append, sleep=lambda _: None)
    staying = AzureStaging(Account(place, patience=patience), vault.container)
    assert [each.name for each in staying.listed("p/")] == ["p/mark"]
    archive.add_fault("break", times=40)
    assert [each.name for each in staying.listed("p/")] == ["p/mark"]
    archive.add_fault("reset", chunked=True, method="GET", times=40)
    assert staying.get_range("p/mark", 0, 10) == b""
    archive.add_fault("throttle", method="DELETE", times=40)
    staying.delete("p/mark")
    assert len(said) == 2
    assert all(each.endswith("; trying again") for each in said)
