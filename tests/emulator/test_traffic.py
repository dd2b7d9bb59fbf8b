"""The log tells what was asked, and bodies pass unchanged whatever their size."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.data.tables import TableClient
from azure.storage.blob import ContainerClient, StandardBlobTier

from emulator.archive import ArchiveSimulator
from emulator.traffic import Sum, billing_class, read_request
from emulator.wire import WireError, parse_head


def test_sums_by_billing_class(archive: ArchiveSimulator, container: ContainerClient, table: TableClient) -> None:
    """One request of each class is counted once, with the bytes of its body."""
    archive.clear_requests()
    blob = container.upload_blob("data", bytes(1000))
    blob.download_blob().readall()
    blob.get_blob_properties()
    list(container.list_blobs())
    blob.delete_blob()
    list(table.list_entities())
    sums = archive.sums()
    assert {name: each.requests for name, each in sums.items()} == dict.fromkeys(
        ["write", "read", "other", "list", "delete", "table"], 1
    )
    assert sums["write"] == Sum(1, 1000, 0)
    assert sums["read"] == Sum(1, 0, 1000)
    assert sums["list"].answered_bytes > 100


def test_log_has_what_a_test_asks_for(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """Method, decoded path, query, headers and status, in order; never the signature."""
    container.upload_blob("a b/ü", b"x", standard_blob_tier=StandardBlobTier.ARCHIVE)
    list(container.list_blobs(name_starts_with="a b"))
    put, get = archive.requests
    assert (put.method, put.status) == ("PUT", 201)
    assert put.path == f"/devstoreaccount1/{container.container_name}/a b/ü"
    assert put.request.headers["x-ms-access-tier"] == "Archive"
    assert "authorization" not in put.request.headers
    assert (get.method, get.billing, get.status) == ("GET", "list", 200)
    assert get.request.parameter("prefix") == "a b"


def test_large_bodies_in_parallel(container: ContainerClient) -> None:
    """Four blobs of 8 MiB at once come back as they were."""
    data = [os.urandom(8 << 20) for _ in range(4)]

    def round_trip(number: int) -> bytes:
        blob = container.upload_blob(f"data-{number}", data[number])
        return bytes(blob.download_blob().readall())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(round_trip, range(4))) == data


@pytest.mark.parametrize(
    ("first_line", "billing"),
    [
        ("PUT /a/c?restype=container HTTP/1.1", "list"),
        ("HEAD /a/c?restype=container HTTP/1.1", "other"),
        ("GET /a/?comp=list HTTP/1.1", "list"),
        ("PUT /a/c/b?comp=blocklist HTTP/1.1", "write"),
        ("PUT /a/c/b?comp=tier HTTP/1.1", "write"),
        ("GET /a/c/b?comp=metadata HTTP/1.1", "other"),
        ("DELETE /a/c/b HTTP/1.1", "delete"),
    ],
)
def test_billing_class(first_line: str, billing: str) -> None:
    """A request has the class that Azure's price list has it under."""
    head = parse_head(f"{first_line}\r\nHost: h\r\n\r\n".encode())
    assert billing_class(read_request("blob", head)) == billing


def test_bodies_of_unknown_length_are_refused() -> None:
    """A chunked request is an error, not a request without a body."""
    head = parse_head(b"PUT /a/c/b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(WireError, match="Content-Length"):
        read_request("blob", head)


def test_unchanged_head_keeps_its_bytes() -> None:
    """What no rule concerns is forwarded as it came."""
    raw = b"PUT /a/c/%C3%BC?x=%20 HTTP/1.1\r\nHost: h\r\nX-Odd-Case: 1:2\r\nempty: \r\n\r\n"
    assert parse_head(raw).encode() == raw
