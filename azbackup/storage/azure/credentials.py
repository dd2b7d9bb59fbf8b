"""The account that was asked for and what opens it, made exact from options and environment.

Pure. Options come before the environment; within the options two sources of one secret are refused, by name. Refuses
keys that cannot be keys before anything is sent.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from azbackup.crypto.secret import Secret
from azbackup.errors import UsageError

# Public by design: every Azurite has it. Source: Azurite's README, "Default storage account".
_EMULATOR = "devstoreaccount1"
_EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_KEY_BYTES = 64


class Connection(msgspec.Struct, frozen=True):
    """Where an account is and what opens it: exactly one of a key, a SAS token and a login."""

    account: str
    blob_endpoint: str
    table_endpoint: str
    key: Secret | None = None
    sas: Secret | None = None
    login: bool = False

    @property
    def kind(self) -> str:
        """What it is opened with, in a word."""
        return "login" if self.login else "SAS token" if self.key is None else "key"


Options = Mapping[str, str | None]

_CREDENTIALS = (
    ("accesskey", "--accesskey", "AZURE_STORAGE_KEY"),
    ("sas_token", "--sas-token", "AZURE_STORAGE_SAS_TOKEN"),
    ("connection_string", "--connection-string", "AZURE_STORAGE_CONNECTION_STRING"),
)


def connection(options: Options, environ: Mapping[str, str]) -> Connection:
    """The connection that `account`, `accesskey`, `sas_token`, `connection_string` and so on describe."""
    account = options.get("account") or environ.get("AZURE_STORAGE_ACCOUNT") or ""
    kind, value = _credential(options, environ)
    if kind == "connection_string":
        return _from_string(value, account, login=_auth_mode(options, environ) == "login")
    if not account:
        raise UsageError("no storage account is given", "give --account, or set AZURE_STORAGE_ACCOUNT")
    if not account.isascii() or not account.isalnum() or account != account.lower():
        raise UsageError(
            f"{account!r} is not the name of a storage account",
            "names are lower-case letters and digits",
        )
    if account == _EMULATOR and kind == "":
        kind, value = "accesskey", _EMULATOR_KEY
    if kind == "":
        raise UsageError(
            f"no credential is given for account {account}",
            "give --accesskey (or set AZURE_STORAGE_KEY), --sas-token, --connection-string or --auth-mode login",
        )
    suffix = options.get("endpoint_suffix") or "core.windows.net"
    blob, table = (_endpoint("--endpoint-suffix", each) for each in _endpoints(account, suffix))
    if kind == "accesskey":
        return Connection(account, blob, table, key=account_key(value))
    if kind == "login":
        return _with_login(account, blob, table)
    return Connection(account, blob, table, sas=sas_token(value))


def _with_login(account: str, blob: str, table: str) -> Connection:
    """A connection opened by a login. Raises UsageError where its token would travel for all to read."""
    if not (blob.startswith("https:") and table.startswith("https:")):
        raise UsageError("--auth-mode login needs HTTPS", "a token over HTTP is anybody's: use --accesskey")
    return Connection(account, blob, table, login=True)


def _auth_mode(options: Options, environ: Mapping[str, str]) -> str:
    """`login`, `key` or '': how to open the account, as the Azure CLI has it. Raises UsageError for another one."""
    mode = options.get("auth_mode") or environ.get("AZURE_STORAGE_AUTH_MODE") or ""
    if mode not in ("", "key", "login"):
        raise UsageError(f"AZURE_STORAGE_AUTH_MODE: {mode!r} is neither key nor login", "set one of them, or nothing")
    return mode


def _credential(options: Options, environ: Mapping[str, str]) -> tuple[str, str]:
    """(which, value) of the credential: the only option given, else the first of the environment, else ('', '').

    A connection string that goes with --auth-mode login says where the account is, and not what opens it.
    """
    given = [(kind, flag, str(options[kind])) for kind, flag, _ in _CREDENTIALS if options.get(kind) is not None]
    if len(given) > 1:
        raise UsageError(f"{given[0][1]} and {given[1][1]} are both given", "give one of them")
    asked_to_log_in = options.get("auth_mode") == "login"
    if given and asked_to_log_in and given[0][0] != "connection_string":
        raise UsageError(f"{given[0][1]} and --auth-mode login are both given", "give one of them")
    if given:
        return given[0][0], given[0][2]
    places = _CREDENTIALS[2:] if asked_to_log_in else _CREDENTIALS
    for kind, _, variable in places:
        if environ.get(variable):
            return kind, environ[variable]
    return ("login", "") if _auth_mode(options, environ) == "login" else ("", "")


def _endpoints(account: str, suffix: str) -> tuple[str, str]:
    if account == _EMULATOR:
        return f"http://127.0.0.1:10000/{account}", f"http://127.0.0.1:10002/{account}"
    return f"https://{account}.blob.{suffix}", f"https://{account}.table.{suffix}"


def _endpoint(where: str, text: str) -> str:
    """An endpoint that is a plain address: no user, no password, no token, which messages would show.

    Raises UsageError if it cannot be right.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise UsageError(f"{where} is not a valid address", "an endpoint looks like https://HOST/") from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"{where} has a user or a password in its address", "remove everything between // and @")
    if parts.query or parts.fragment:
        raise UsageError(
            f"{where} has a query or a fragment beside its address",
            "give a SAS token as SharedAccessSignature or --sas-token",
        )
    labels = host.split(".")
    if parts.scheme not in ("http", "https") or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(f"{where} is not a valid address", "an endpoint looks like https://HOST/")
    if not all(labels):
        raise UsageError(
            f"{where} makes an address with an empty name in it: {text}", "remove the dot that comes first, or twice"
        )
    return text.rstrip("/")


def account_key(text: str) -> Secret:
    """An account key: 64 bytes in base64. Raises UsageError for anything else."""
    hint = "copy the whole key from the portal, or from: az storage account keys list"
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("the account key is not valid base64", hint) from None
    if len(raw) != _KEY_BYTES:
        raise UsageError(f"the account key has {len(raw)} bytes, an account key has {_KEY_BYTES}", hint)
    return Secret.text(text.strip())


def sas_token(text: str) -> Secret:
    """A shared access signature, without its question mark. Raises UsageError if it has no signature."""
    token = text.strip().lstrip("?")
    if "sig=" not in token:
        raise UsageError("the SAS token has no signature (sig=...)", "copy it whole, in quotes: it holds '&'")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            "the SAS token has a character that is not allowed in a token", "copy it again, from where it was made"
        )
    return Secret.text(token)


def _from_string(text: str, account: str, *, login: bool) -> Connection:
    """The connection of a connection string. Source: "Configure Azure Storage connection strings"."""
    parts = dict(part.split("=", 1) for part in text.strip().strip(";").split(";") if "=" in part)
    known = {name.strip().lower(): value.strip() for name, value in parts.items()}
    if known.get("usedevelopmentstorage", "").lower() == "true":
        known = {"accountname": _EMULATOR, "accountkey": _EMULATOR_KEY}
    name = known.get("accountname", account)
    if account and name != account:
        raise UsageError(
            f"--account says {account}, the connection string says {name}",
            "give one of them, or the same in both",
        )
    if not name and not known.get("blobendpoint"):
        raise UsageError("the connection string has no AccountName", "copy it whole, from the portal")
    blob, table = _endpoints(name, known.get("endpointsuffix", "core.windows.net"))
    protocol = known.get("defaultendpointsprotocol", "")
    if protocol == "http":
        blob, table = blob.replace("https:", "http:"), table.replace("https:", "http:")
    if not name and not known.get("tableendpoint"):
        raise UsageError(
            "the connection string has neither AccountName nor TableEndpoint", "azbackup needs blobs and a table"
        )
    blob = _endpoint("BlobEndpoint of the connection string", known.get("blobendpoint", blob))
    table = _endpoint("TableEndpoint of the connection string", known.get("tableendpoint", table))
    if login:
        if "accountkey" in known or "sharedaccesssignature" in known:
            raise UsageError("the connection string has a credential, and --auth-mode is login", "give one of them")
        return _with_login(name, blob, table)
    if "accountkey" in known:
        return Connection(name, blob, table, key=account_key(known["accountkey"]))
    if "sharedaccesssignature" in known:
        return Connection(name, blob, table, sas=sas_token(known["sharedaccesssignature"]))
    raise UsageError("the connection string has neither AccountKey nor SharedAccessSignature", "copy it whole")
