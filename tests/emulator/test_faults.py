"""Each fault happens to the requests of its rule, as often as it says, and to no others."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ResourceExistsError,
)
from azure.data.tables import TableClient
from azure.storage.blob import ContainerClient

from emulator.archive import ArchiveSimulator, archive_simulator
from emulator.azurite import Azurite
from emulator.faults import Kind
from tests.conftest import Vault
from tests.emulator.conftest import service


def test_throttle_the_first_two(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """Two uploads get 503, the third one passes; nothing was stored before."""
    fault = archive.add_fault("throttle", method="PUT", path="/data$", times=2)
    for _ in range(2):
        with pytest.raises(HttpResponseError) as caught:
            container.upload_blob("data", b"x")
        assert caught.value.status_code == 503
        assert archive.requests[-1].fault == "throttle"
    container.upload_blob("data", b"x")
    assert (fault.seen, fault.hits) == (3, 2)
    assert [entry.status for entry in archive.requests] == [503, 503, 201]


def test_throttle_says_when_to_come_back(archive: ArchiveSimulator) -> None:
    """The answer has Azure's error code, and Retry-After in seconds."""
    archive.add_fault("throttle", seconds=7)
    connection = http.client.HTTPConnection("127.0.0.1", archive.blob_port, timeout=10)
    connection.request("GET", "/devstoreaccount1/c/b")
    with contextlib.closing(connection), connection.getresponse() as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "7"
        assert answer.headers["x-ms-error-code"] == "ServerBusy"


def test_only_the_second_request(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """`after` lets requests pass first; other paths are not counted."""
    archive.add_fault("error", path="/data-", after=1, times=1)
    container.upload_blob("data-1", b"x")
    container.upload_blob("other", b"x")
    with pytest.raises(HttpResponseError) as caught:
        container.upload_blob("data-2", b"x")
    assert caught.value.status_code == 500
    container.upload_blob("data-3", b"x")


def test_refuse_by_query(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """A rule for a query hits listings alone, with a 403 that names the missing permission."""
    archive.add_fault("refuse", query="comp=list")
    container.upload_blob("data", b"x")
    with pytest.raises(HttpResponseError) as caught:
        list(container.list_blobs())
    assert caught.value.status_code == 403
    assert caught.value.error_code == "AuthorizationPermissionMismatch"  # type: ignore[attr-defined]  # set by the storage SDK


def test_break_does_nothing(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """A broken connection is an error, and the blob is not there."""
    archive.add_fault("break", times=1)
    with pytest.raises(AzureError):
        container.upload_blob("data", b"x" * 1_000_000)
    assert not container.get_blob_client("data").exists()


def test_lose_does_it(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """A lost answer is an error, but the blob is there."""
    archive.add_fault("lose", times=1)
    with pytest.raises(AzureError):
        container.upload_blob("data", b"x")
    with pytest.raises(ResourceExistsError):
        container.upload_blob("data", b"x")


def test_flip_changes_one_bit(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """The middle bit unless told otherwise, and the stored blob stays as it is."""
    blob = container.upload_blob("data", bytes(100))
    fault = archive.add_fault("flip", method="GET", times=1)
    assert blob.download_blob().readall() == bytes(50) + b"\x01" + bytes(49)
    archive.add_fault("flip", method="GET", times=1, bit=799)
    assert blob.download_blob().readall() == bytes(99) + b"\x80"
    assert blob.download_blob().readall() == bytes(100)
    assert fault.hits == 1


def test_cut_ends_early(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """The SDK meets the end of the connection within the body; the next request is all right."""
    container.upload_blob("data", b"x")
    archive.add_fault("cut", query="comp=list", times=1)
    with pytest.raises(IncompleteReadError):
        list(container.list_blobs())
    assert [blob.name for blob in container.list_blobs()] == ["data"]


def test_delays_do_not_queue(azurite: Azurite, container: ContainerClient) -> None:
    """A round trip takes as long as it was told to, for eight requests at once as for one."""
    blob = container.upload_blob("data", b"x")
    with (
        archive_simulator(azurite, round_trip_seconds=0.5) as slow,
        service(slow) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        there = client.get_blob_client(container.container_name, blob.blob_name)
        slow.add_fault("delay", seconds=1.5)
        began = time.monotonic()
        list(pool.map(lambda _: there.exists(), range(8)))
        assert 2.0 <= time.monotonic() - began < 12.0  # one after the other: 16 s


def test_tables_have_faults_too(archive: ArchiveSimulator, table: TableClient) -> None:
    """A rule may name the service; the table's errors are worded as a table's."""
    archive.add_fault("throttle", service="table", method="POST", times=1)
    archive.add_fault("refuse", service="blob")
    entity = {"PartitionKey": "p", "RowKey": "r", "value": b"\x00\x01"}
    with pytest.raises(HttpResponseError, match="ServerBusy") as caught:
        table.create_entity(entity)
    assert caught.value.status_code == 503
    table.submit_transaction([("create", entity)])
    assert table.get_entity("p", "r")["value"] == b"\x00\x01"


def test_cleared_faults_are_over(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """After clear_faults() everything passes."""
    archive.add_fault("refuse")
    archive.clear_faults()
    container.upload_blob("data", b"x")


def test_a_wrong_key_is_still_refused(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """The simulator adds no right: Azurite checks every signature."""
    wrong = archive.connection_string.replace("AccountKey=E", "AccountKey=F")
    with (
        ContainerClient.from_connection_string(wrong, container.container_name, retry_total=0) as stranger,
        pytest.raises(HttpResponseError) as caught,
    ):
        stranger.upload_blob("data", b"x")
    assert caught.value.status_code == 403


def test_a_delay_can_be_released(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """A request that is held back comes through when its rule is released, also after the rules were cleared."""
    blob = container.upload_blob("data", b"x")
    for clears in (False, True):
        held = archive.add_fault("delay", seconds=600)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(blob.exists)
            while not held.hits:
                time.sleep(0.001)
            if clears:
                archive.clear_faults()
            assert not asked.done()
            held.release()
            assert asked.result(60)


def raw_answer(archive: ArchiveSimulator, path: str) -> bytes:
    """Return all that comes for a plain GET, up to the end of the connection, however that ends."""
    received = b""
    with socket.create_connection(("127.0.0.1", archive.blob_port), timeout=10) as connection:
        connection.sendall(f"GET /devstoreaccount1/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with contextlib.suppress(OSError):  # the answer was reset already
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while more := connection.recv(65536):
                received += more
    return received


@pytest.mark.parametrize(
    ("kind", "chunked", "ends"),
    [
        ("cut", False, b"abcd"),
        ("cut", True, b"4\r\nabcd\r\n"),
        ("reset", True, b"4\r\nabcd\r\n"),
        ("chunked", True, b"8\r\nabcdefgh\r\n0\r\n\r\n"),
        ("unsized", False, b"abcd"),
    ],
)
def test_answers_on_the_wire(archive: ArchiveSimulator, vault: Vault, kind: Kind, chunked: bool, ends: bytes) -> None:
    """Half a body, half the chunks without the last one, all chunks, or a part whose length nobody was told."""
    with service(archive) as client:
        container = client.create_container(vault.container, public_access="container")
        container.upload_blob("data", b"abcdefgh")
    archive.add_fault(kind, chunked=chunked)
    head, _, body = raw_answer(archive, f"{vault.container}/data").partition(b"\r\n\r\n")
    assert body == ends
    assert (b"transfer-encoding: chunked" in head.lower()) == chunked
    assert (b"content-length: 8" in head.lower()) == (kind == "cut" and not chunked)


def test_heads_portals_and_ranges(archive: ArchiveSimulator, container: ContainerClient) -> None:
    """A head that breaks off, a page of HTML as a success, and ranges that nobody asked for."""
    container.upload_blob("data", b"abcdefgh")
    archive.add_fault("cut head", times=1)
    assert b"\r\n\r\n" not in raw_answer(archive, f"{container.container_name}/data")
    archive.add_fault("portal", times=1)
    assert raw_answer(archive, "").startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n")
    archive.add_fault("range", times=1)
    answers: list[str] = []
    container.get_blob_client("data").download_blob(
        2, 4, raw_response_hook=lambda answer: answers.append(answer.http_response.headers["Content-Range"])
    )
    assert answers == ["bytes 3-6/9"]
