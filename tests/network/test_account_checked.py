"""--account-check on an account as Microsoft's documents describe its answers: Azurite has none of what they tell."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from azbackup.storage.azure.account import Account
from azbackup.storage.azure.checkup import Checked, Checkup
from azbackup.storage.azure.credentials import connection

NOW = 1_800_000_000.0
_KEY = base64.b64encode(bytes(64)).decode()
_SERVICE = (
    '<?xml version="1.0" encoding="utf-8"?><StorageServiceProperties><DeleteRetentionPolicy><Enabled>{}</Enabled>{}'
    "</DeleteRetentionPolicy></StorageServiceProperties>"
)
_BLOBS = (
    '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c"><Blobs><Blob><Name>a</Name>{}'
    "<Properties><Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob></Blobs>"
    "<NextMarker/></EnumerationResults>"
)


class Told:
    """What the account says: headers by the kind of request, bodies of properties and lists, the skew of its clock."""

    def __init__(self, account: dict[str, str], container: dict[str, str], service: str, version: str = "") -> None:
        self.account = account
        self.container = container
        self.service = service
        self.version = version
        self.skew = 0.0
        self.refused = False

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) for a GET or HEAD."""
        if self.refused:
            return 403, {"x-ms-error-code": "AuthorizationPermissionMismatch"}, b""
        if "comp=list" in path:
            return 200, {"content-type": "application/xml"}, _BLOBS.format(self.version).encode()
        if "restype=account" in path:
            return 200, self.account, b""
        if "restype=service" in path:
            return 200, {"content-type": "application/xml"}, self.service.encode()
        if "restype=container" in path:
            return 200, self.container, b""
        return 404, {"x-ms-error-code": "BlobNotFound" if "?" not in path else "ResourceNotFound"}, b""


@contextmanager
def served(told: Told) -> Iterator[Account]:
    """An account that says this."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = told.answer(self.path)
            self.send_response_only(status)
            for name, value in {
                "x-ms-request-id": "1",
                "Date": formatdate(NOW + told.skew, usegmt=True),
                **headers,
            }.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = do_MERGE = do_PATCH = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_port}/acc"
    text = f"DefaultEndpointsProtocol=http;AccountName=acc;AccountKey={_KEY};BlobEndpoint={at};TableEndpoint={at}"
    try:
        yield Account(connection({"connection_string": text}, {}))
    finally:
        server.shutdown()
        server.server_close()


def checked(told: Told) -> dict[str, Checked]:
    """What --account-check makes of it, by topic."""
    with served(told) as account:
        return {each.topic: each for each in Checkup(account, "container", "table", lambda: NOW).run()}


GUARDED = {"x-ms-has-immutability-policy": "true", "x-ms-has-legal-hold": "false"}


def test_an_account_that_is_protected() -> None:
    """Soft delete with its days, an immutability policy, versions, the archive tier, a right clock."""
    told = Told(
        {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2", "x-ms-is-hns-enabled": "false"},
        GUARDED,
        _SERVICE.format("true", "<Days>30</Days>"),
        "<VersionId>2026-11-27T00:00:00.0000000Z</VersionId>",
    )
    found = checked(told)
    assert (found["soft delete"].state, found["soft delete"].well) == ("yes", True)
    assert "30 days" in found["soft delete"].text
    assert (found["archive tier"].state, found["clock"].state, found["private"].state) == ("yes", "yes", "yes")
    assert (found["immutability"].state, found["versions"].state) == ("yes", "yes")
    assert (found["hierarchical namespace"].state, found["lifecycle rules, firewall"].state) == ("no", "unknown")


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"x-ms-has-legal-hold": "true"}, "yes"),
        ({"x-ms-immutable-storage-with-versioning-enabled": "true"}, "yes"),
        ({"x-ms-has-immutability-policy": "false"}, "no"),
    ],
)
def test_each_way_to_be_immutable(headers: dict[str, str], says: str) -> None:
    """A policy, a legal hold, or policies of versions."""
    told = Told({"x-ms-sku-name": "Standard_LRS"}, headers, _SERVICE.format("true", "<Days>7</Days>"))
    assert checked(told)["immutability"].state == says


def test_an_account_that_is_not() -> None:
    """Zone redundancy has no archive tier; no soft delete; anybody may read; the clock is an hour off."""
    told = Told(
        {"x-ms-sku-name": "Standard_GZRS", "x-ms-account-kind": "StorageV2", "x-ms-is-hns-enabled": "true"},
        {"x-ms-blob-public-access": "container"},
        _SERVICE.format("false", ""),
    )
    told.skew = 3600.0
    found = checked(told)
    wrong = {topic for topic, each in found.items() if each.well is False}
    assert wrong == {"archive tier", "soft delete", "private", "clock"}
    assert (found["hierarchical namespace"].state, found["versions"].state) == ("yes", "unknown")


def test_what_may_not_be_read_is_unknown() -> None:
    """Credentials that are refused everything: nothing is guessed."""
    told = Told({}, {}, "")
    told.refused = True
    found = checked(told)
    for topic in ("redundancy", "soft delete", "container", "versions"):
        assert found[topic].state == "unknown", topic
    assert {each.state for topic, each in found.items() if topic.startswith("may ")} == {"no"}
