"""A login instead of a key: the scripts on an Azurite that takes tokens over TLS, as az login gives them.

A test of its own kind: whoever gives the tokens (a command `az`, an identity's endpoint) is played, the token is made
here, and Azurite checks all of it but the signature.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from emulator.azurite import Azurite, running_azurite
from tests.cli.conftest import Cli, check_error, new_vault
from tests.cli.test_incremental import small_files
from tests.cli.trees import differences
from tests.conftest import PASSWORD, ScriptResult, ScriptRunner

SCOPE = "https://storage.azure.com"


def token(seconds: float = 3600) -> str:
    """A token of Microsoft Entra ID for storage, without a signature that anybody could check."""
    now = int(time.time())
    claims = {"aud": SCOPE, "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/"}
    times = {"nbf": now - 60, "iat": now - 60, "exp": int(now + seconds)}
    parts = ({"typ": "JWT", "alg": "RS256"}, {**claims, **times}, {"signed": "by nobody"})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give a certificate for 127.0.0.1 that nobody trusts yet, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Azurite of a test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(here, critical=False)
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
    made = builder.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    place = tmp_path_factory.mktemp("tls")
    (place / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (place / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return place / "cert.pem", place / "key.pem"


@pytest.fixture(scope="module")
def tls_azurite(certificate: tuple[Path, Path]) -> Iterator[Azurite]:
    """Give an Azurite that speaks HTTPS and takes tokens."""
    with running_azurite(certificate=certificate) as azurite:
        yield azurite


class LoggedIn:
    """The scripts in a vault of that Azurite, which nothing opens but a login."""

    def __init__(self, runner: ScriptRunner, azurite: Azurite, certificate: Path, home: Path) -> None:
        vault = new_vault(azurite)
        self._names = ("--container", vault.container, "--table", vault.table, "--partition", vault.partition)
        self._runner = runner
        where = (
            f"AccountName={azurite.account};BlobEndpoint={azurite.blob_endpoint};TableEndpoint={azurite.table_endpoint}"
        )
        self.home = home
        self.environment = {
            "AZURE_STORAGE_CONNECTION_STRING": where,
            "AZBACKUP_PASSWORD": PASSWORD,
            "REQUESTS_CA_BUNDLE": str(certificate),
            "HOME": str(home),
            "PATH": f"{home}/bin:/usr/bin:/bin",
        }

    def logs_in(self, says: str, status: int = 0) -> None:
        """The Azure CLI, as azure-identity finds it: a command `az` that prints this."""
        place = self.home / "bin"
        place.mkdir(exist_ok=True)
        (place / "says").write_text(says)
        script = f'#!/bin/sh\necho x >>"{place}/asked"\ncat "{place}/says"\nexit {status}\n'
        (place / "az").write_text(script)
        (place / "az").chmod(stat.S_IRWXU)

    @property
    def asked(self) -> int:
        """How often the CLI was asked."""
        return len((self.home / "bin" / "asked").read_text().splitlines())

    def __call__(
        self, script: str, *arguments: str | Path, expect: int = 0, env: Mapping[str, str] | None = None
    ) -> ScriptResult:
        """Runs a script with --auth-mode login to its end and insists on its status."""
        environment = {**self.environment, **(env or {})}
        result = self._runner(script, *self._names, "--auth-mode", "login", *arguments, env=environment)
        assert result.returncode == expect, result
        assert "eyJ" not in result.stdout + result.stderr, "a token was shown"
        return result


@pytest.fixture
def logged_in(
    run_script: ScriptRunner, tls_azurite: Azurite, certificate: tuple[Path, Path], tmp_path: Path
) -> LoggedIn:
    """Give the scripts, and nobody logged in yet."""
    home = tmp_path / "home"
    home.mkdir()
    return LoggedIn(run_script, tls_azurite, certificate[0], home)


def cli_answer(seconds: float = 3600) -> str:
    """What `az account get-access-token` prints."""
    ends = int(time.time() + seconds)
    when = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.localtime(ends))
    values = {"accessToken": token(seconds), "tokenType": "Bearer", "tenant": "t", "subscription": "s"}
    return json.dumps({**values, "expires_on": ends, "expiresOn": when})


def test_whoever_ran_az_login(logged_in: LoggedIn, tmp_path: Path) -> None:
    """A backup, a restore, a changed password: one token a run, though a run has several clients."""
    source = small_files(tmp_path / "source", 5)
    logged_in.logs_in(cli_answer())
    logged_in("backup.py", source, "--tier", "hot")
    assert logged_in.asked == 1
    logged_in("restore.py", tmp_path / "restored")
    assert differences(source, tmp_path / "restored") == []
    logged_in("change_password.py", env={"AZBACKUP_NEW_PASSWORD": "another correct horse"})
    logged_in("restore.py", "--snapshots", expect=12)


def test_nobody_logged_in(logged_in: LoggedIn, tmp_path: Path) -> None:
    """14 and what to do, at once: no login is no outage, and nothing is waited for."""
    began = time.monotonic()
    result = logged_in("backup.py", small_files(tmp_path / "source", 1), expect=14)
    check_error(result, "backup.py", 14, "no login", "az login")
    assert time.monotonic() - began < 60


def test_a_login_that_was_refused(logged_in: LoggedIn, tmp_path: Path) -> None:
    """14, Microsoft's code, and what to do."""
    logged_in.logs_in("AADSTS700082: The refresh token has expired due to inactivity.", status=1)
    (logged_in.home / "bin" / "az").write_text("#!/bin/sh\necho 'ERROR: AADSTS700082: expired' >&2\nexit 1\n")
    result = logged_in("backup.py", small_files(tmp_path / "source", 1), expect=14)
    check_error(result, "backup.py", 14, "AADSTS700082", "az login")


def test_a_token_that_the_account_refuses(logged_in: LoggedIn, tmp_path: Path) -> None:
    """A token that is over is refused (14), without a traceback."""
    logged_in.logs_in(cli_answer(-3600))
    result = logged_in("backup.py", small_files(tmp_path / "source", 1), expect=14)
    check_error(result, "backup.py", 14, "the login does not fit account")


class Identity(ThreadingHTTPServer):
    """The endpoint of a managed identity, as App Service has it: its tokens last for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Gives)
        self.seconds = seconds
        self.asked = 0


class _Gives(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Identity)
        server.asked += 1
        values = {"access_token": token(server.seconds), "expires_on": str(int(time.time() + server.seconds))}
        body = json.dumps({**values, "resource": SCOPE, "token_type": "Bearer"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize(("seconds", "renewed"), [(3600, False), (200, True)])
def test_a_managed_identity(logged_in: LoggedIn, tmp_path: Path, seconds: int, renewed: bool) -> None:
    """A token that ends within minutes is renewed in the middle of a run; one that does not serves for all of it."""
    server = Identity(seconds)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        at = f"http://127.0.0.1:{server.server_port}/token"
        identity = {"IDENTITY_ENDPOINT": at, "IDENTITY_HEADER": "secret", "NO_PROXY": "127.0.0.1"}
        logged_in("backup.py", small_files(tmp_path / "source", 5), "--tier", "hot", env=identity)
        assert (server.asked > 1) == renewed
    finally:
        server.shutdown()
        server.server_close()


def test_over_http_nothing_is_sent(cli: Cli, tmp_path: Path) -> None:
    """A token over HTTP would be anybody's: a usage error, before anything leaves."""
    where = f"BlobEndpoint={cli.vault.endpoints.blob_endpoint};TableEndpoint={cli.vault.endpoints.table_endpoint}"
    where = f"AccountName={cli.vault.endpoints.account};{where}"
    options = ("--connection-string", where, "--auth-mode", "login", "--partition", "p", tmp_path)
    result = cli.runner("backup.py", *options, env={"AZBACKUP_PASSWORD": PASSWORD})
    check_error(result, "backup.py", 2, "HTTPS")
