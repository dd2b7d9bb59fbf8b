"""No answer of a server sends what is signed for it, or any login, elsewhere.

The class: a library that follows an answer (a redirect, a challenge) repeats the request, with its signature or token,
to an address that the answer names. Whoever plays the server, or sits before it, would choose who gets them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emulator.azurite import Azurite
from tests.cli.conftest import Cli
from tests.cli.test_incremental import small_files


class Server(ThreadingHTTPServer):
    """Answers everything alike, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = status
        self.headers = headers
        self.asked: list[str] = []


class _Answer(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_response(self.server.status)
        for name, value in {"Content-Length": "0", **self.server.headers}.items():
            self.send_header(name, value.replace("PATH", self.path))
        self.end_headers()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_MERGE = _answer  # noqa: N815  as the library names them

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  as the library names it
        """Say nothing."""


@contextmanager
def serving(status: int, headers: dict[str, str]) -> Iterator[Server]:
    """A server for as long as the block lasts."""
    with Server(status, headers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


ANSWERS: dict[str, tuple[int, dict[str, str]]] = {
    **{f"{status}": (status, {"Location": "http://127.0.0.1:PORTPATH"}) for status in (301, 302, 303, 307, 308)},
    "300": (300, {"Location": "http://127.0.0.1:PORTPATH", "Content-Location": "http://127.0.0.1:PORT/"}),
    "201": (201, {"Location": "http://127.0.0.1:PORTPATH"}),
    "refresh": (200, {"Refresh": "0; url=http://127.0.0.1:PORT/", "Link": "<http://127.0.0.1:PORT/>; rel=next"}),
    "401": (
        401,
        {"WWW-Authenticate": "Bearer authorization_uri=http://127.0.0.1:PORT/ resource_id=http://127.0.0.1:PORT"},
    ),
    "305": (305, {"Location": "http://127.0.0.1:PORT/"}),
}


CASES = [
    *(("backup.py", answer, True) for answer in ANSWERS),
    *(("restore.py", answer, True) for answer in ("302", "307")),
    ("backup.py", "307", False),
]


@pytest.mark.parametrize(("script", "answer", "own"), CASES)
def test_nobody_is_sent_what_was_signed_for_another(
    cli: Cli, azurite: Azurite, tmp_path: Path, script: str, answer: str, *, own: bool
) -> None:
    """Whatever the answer, of the service's `own` kind or not: the address in it is never asked; 14, no traceback."""
    status, headers = ANSWERS[answer]
    with serving(200, {}) as elsewhere:
        port = str(elsewhere.server_address[1])
        named = {name: value.replace("PORT", port) for name, value in headers.items()}
        with serving(status, {**named, **({"x-ms-request-id": "1"} if own else {})}) as server:
            there = int(server.server_address[1])
            asked = cli.elsewhere(endpoints=replace(azurite, blob_port=there, table_port=there))
            place = small_files(tmp_path / "source", 1) if script == "backup.py" else tmp_path / "restored"
            result = asked(script, place, "--wait-for-network", "0", expect=14)
            assert server.asked
        assert elsewhere.asked == []
    assert "Traceback" not in result.stderr
