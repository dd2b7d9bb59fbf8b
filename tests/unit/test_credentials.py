"""The account that was asked for, made exact: where options come from, which come first, what cannot be right."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import UsageError
from azbackup.storage.azure.credentials import Connection, account_key, connection

KEY = base64.b64encode(bytes(range(64))).decode()
OTHER_KEY = base64.b64encode(bytes(64)).decode()
STRING = f"DefaultEndpointsProtocol=https;AccountName=strung;AccountKey={OTHER_KEY};EndpointSuffix=core.windows.net"
SAS = "sv=2024-01-01&sig=c2VjcmV0"


def revealed(found: Connection) -> tuple[str | None, str | None]:
    """Return (key, SAS token) of a connection as text."""
    key, sas = found.key, found.sas
    return key.reveal().decode() if key else None, sas.reveal().decode() if sas else None


# --- accounts and what opens them


def test_an_account_and_its_key() -> None:
    """The endpoints of public Azure, over HTTPS."""
    found = connection({"account": "mystorage", "accesskey": KEY}, {})
    assert (found.account, found.blob_endpoint, found.table_endpoint) == (
        "mystorage",
        "https://mystorage.blob.core.windows.net",
        "https://mystorage.table.core.windows.net",
    )
    assert revealed(found) == (KEY, None)


def test_sovereign_clouds() -> None:
    """The endpoint suffix is the one that was given."""
    found = connection({"account": "a1b", "accesskey": KEY, "endpoint_suffix": "core.chinacloudapi.cn"}, {})
    assert found.blob_endpoint == "https://a1b.blob.core.chinacloudapi.cn"
    assert found.table_endpoint == "https://a1b.table.core.chinacloudapi.cn"


def test_a_sas_token_with_or_without_its_question_mark() -> None:
    """As the portal gives it and as the command line gives it."""
    for token in (SAS, f"?{SAS}"):
        assert revealed(connection({"account": "mystorage", "sas_token": token}, {})) == (None, SAS)


@pytest.mark.parametrize("token", ["", "?", " ", "sv=2024-01-01", "sv=2024-01-01&se=2027"])
def test_tokens_that_cannot_be_right(token: str) -> None:
    """Empty, or cut at the first & by a shell: refused before anything is sent, without showing them."""
    for options in (
        {"account": "mystorage", "sas_token": token},
        {"connection_string": f"AccountName=x1y;SharedAccessSignature={token}"},
    ):
        with pytest.raises(UsageError, match="sig=") as caught:
            connection(options, {})
        assert not token.strip("? ") or token not in caught.value.message


ENVIRONMENT = {
    "AZURE_STORAGE_ACCOUNT": "envaccount",
    "AZURE_STORAGE_KEY": KEY,
    "AZURE_STORAGE_SAS_TOKEN": SAS,
    "AZURE_STORAGE_CONNECTION_STRING": STRING,
}


@pytest.mark.parametrize(
    ("options", "without", "account", "opens"),
    [
        ({}, [], "envaccount", (KEY, None)),
        ({}, ["AZURE_STORAGE_KEY"], "envaccount", (None, SAS)),
        ({"account": "given"}, [], "given", (KEY, None)),
        ({"accesskey": OTHER_KEY}, [], "envaccount", (OTHER_KEY, None)),
        ({"sas_token": "sig=1"}, [], "envaccount", (None, "sig=1")),
        ({"connection_string": STRING}, ["AZURE_STORAGE_ACCOUNT"], "strung", (OTHER_KEY, None)),
        ({}, ["AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_ACCOUNT"], "strung", (OTHER_KEY, None)),
    ],
)
def test_options_come_before_the_environment(
    options: dict[str, str], without: list[str], account: str, opens: tuple[str | None, str | None]
) -> None:
    """An option wins; within the environment key, then token, then string."""
    found = connection(options, {name: value for name, value in ENVIRONMENT.items() if name not in without})
    assert (found.account, revealed(found)) == (account, opens)


@pytest.mark.parametrize(
    ("first", "second"),
    [("accesskey", "sas_token"), ("accesskey", "connection_string"), ("sas_token", "connection_string")],
)
def test_two_credentials_are_refused_by_name(first: str, second: str) -> None:
    """The message names both options, and neither value."""
    values = {"accesskey": KEY, "sas_token": SAS, "connection_string": STRING}
    with pytest.raises(UsageError) as caught:
        connection({"account": "mystorage", first: values[first], second: values[second]}, {})
    message = caught.value.message + caught.value.hint
    assert f"--{first.replace('_', '-')}" in message
    assert f"--{second.replace('_', '-')}" in message
    assert not any(value in message for value in values.values())


@pytest.mark.parametrize("options", [{}, {"account": ""}, {"accesskey": KEY}])
def test_no_account(options: dict[str, str]) -> None:
    """It is asked for, with the option and the variable."""
    with pytest.raises(UsageError, match="no storage account") as caught:
        connection(options, {})
    assert "AZURE_STORAGE_ACCOUNT" in caught.value.hint


def test_nothing_that_opens_it() -> None:
    """The ways to open an account are named."""
    with pytest.raises(UsageError, match="mystorage") as caught:
        connection({"account": "mystorage"}, {})
    assert "--accesskey" in caught.value.hint


@pytest.mark.parametrize("account", ["My", "a_b", "a-b", "a.b", "a/b", "ä", "x y", "https://a.blob.core.windows.net"])
def test_names_that_no_account_has(account: str) -> None:
    """They would become part of a host name."""
    with pytest.raises(UsageError, match="not the name"):
        connection({"account": account, "accesskey": KEY}, {})


def test_the_emulator_needs_no_key() -> None:
    """`--account devstoreaccount1` alone is Azurite on its default ports."""
    found = connection({"account": "devstoreaccount1"}, {})
    assert (found.blob_endpoint, found.table_endpoint) == (
        "http://127.0.0.1:10000/devstoreaccount1",
        "http://127.0.0.1:10002/devstoreaccount1",
    )
    assert found.key is not None


# --- keys


@pytest.mark.parametrize(
    "key",
    ["", "abc123", KEY[:-1], KEY[:-4], KEY + "AAAA", "!" + KEY[1:], "ä" * 88, base64.b64encode(bytes(63)).decode()],
)
def test_keys_that_cannot_be_keys(key: str) -> None:
    """Refused before anything is sent, without showing them."""
    with pytest.raises(UsageError) as caught:
        account_key(key)
    assert not key or key not in caught.value.message + caught.value.hint


@given(st.binary(min_size=64, max_size=64))
def test_every_64_bytes_are_a_key(raw: bytes) -> None:
    """Also with blanks around them, as they are pasted."""
    text = base64.b64encode(raw).decode()
    assert account_key(f" {text}\n").reveal().decode() == text


# --- connection strings


def test_a_connection_string_has_everything() -> None:
    """Account, endpoints and key; blanks and a last semicolon do not matter, nor does the case of the names."""
    for text in (STRING, f" {STRING}; ", STRING.replace("AccountName", "accountname"), STRING.replace(";", " ; ")):
        found = connection({"connection_string": text}, {})
        assert found.blob_endpoint == "https://strung.blob.core.windows.net"
        assert revealed(found) == (OTHER_KEY, None)


@pytest.mark.parametrize("text", ["UseDevelopmentStorage=true", "usedevelopmentstorage=TRUE;"])
def test_development_storage(text: str) -> None:
    """It is Azurite on its default ports."""
    found = connection({"connection_string": text}, {})
    assert found == connection({"account": "devstoreaccount1"}, {}) or revealed(found) == revealed(
        connection({"account": "devstoreaccount1"}, {})
    )
    assert found.blob_endpoint == "http://127.0.0.1:10000/devstoreaccount1"


def test_endpoints_of_their_own() -> None:
    """Those of the string win, without a slash at their end; its protocol counts where it gives none."""
    text = f"AccountName=x1y;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:7/x1y/;TableEndpoint=http://127.0.0.1:8/x1y"
    found = connection({"connection_string": text}, {})
    assert (found.blob_endpoint, found.table_endpoint) == ("http://127.0.0.1:7/x1y", "http://127.0.0.1:8/x1y")
    text = f"DefaultEndpointsProtocol=http;AccountName=x1y;AccountKey={KEY}"
    assert connection({"connection_string": text}, {}).blob_endpoint == "http://x1y.blob.core.windows.net"


def test_a_string_with_a_sas_token() -> None:
    """The token may hold equal signs of its own."""
    found = connection({"connection_string": f"AccountName=x1y;SharedAccessSignature=?{SAS}=="}, {})
    assert revealed(found) == (None, f"{SAS}==")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "AccountName"),
        ("nonsense", "AccountName"),
        ("AccountName=x1y", "neither"),
        ("AccountName=x1y;AccountKey=abc", "base64"),
        (f"AccountKey={KEY}", "AccountName"),
    ],
)
def test_strings_that_cannot_be_right(text: str, message: str) -> None:
    """The message says what is missing or wrong."""
    with pytest.raises(UsageError, match=message):
        connection({"connection_string": text}, {})


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("https://user:hidden@host", "user or a password"),
        ("https://hidden@host", "user or a password"),
        ("https://host/?sv=1&sig=hidden", "a query or a fragment"),
        ("https://host/#hidden", "a query or a fragment"),
        ("nonsense", "valid address"),
        ("ftp://host", "valid address"),
        ("https://", "an empty name"),
        ("https://[::1", "valid address"),
        ("https://host:port", "valid address"),
        ("https://h\u00f6st", "valid address"),
        ("https://ho st", "valid address"),
        ("https://host\r\n.x", "valid address"),
        ("https://a..b", "an empty name"),
    ],
)
def test_endpoints_that_cannot_be_right(endpoint: str, message: str) -> None:
    """Refused before anything is sent; what they hold beside an address, mostly a secret, is not shown."""
    for which in ("BlobEndpoint", "TableEndpoint"):
        text = f"AccountName=x1y;AccountKey={KEY};{which}={endpoint}"
        with pytest.raises(UsageError, match=message) as caught:
            connection({"connection_string": text}, {})
        assert which in caught.value.message
        assert "hidden" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("suffix", [".core.windows.net", "core..net", "c\u00f6re", "x/?sig=1", "a b", "x:y", "u@x"])
def test_suffixes_that_cannot_be_right(suffix: str) -> None:
    """The option is named."""
    with pytest.raises(UsageError, match="--endpoint-suffix"):
        connection({"account": "mystorage", "accesskey": KEY, "endpoint_suffix": suffix}, {})


def test_a_string_without_a_table() -> None:
    """An endpoint for blobs alone, and no account's name to make the other from."""
    with pytest.raises(UsageError, match="TableEndpoint"):
        connection({"connection_string": "BlobEndpoint=https://host;SharedAccessSignature=sig=1"}, {})


def test_a_string_of_another_account() -> None:
    """The option and the string must agree; the message names both accounts."""
    with pytest.raises(UsageError, match=r"mystorage.*strung"):
        connection({"account": "mystorage", "connection_string": STRING}, {})
    assert connection({"account": "strung", "connection_string": STRING}, {}).account == "strung"


def test_a_connection_never_shows_its_secret() -> None:
    """Not in its repr."""
    for options in ({"account": "mystorage", "accesskey": KEY}, {"account": "mystorage", "sas_token": SAS}):
        text = repr(connection(options, {}))
        assert KEY not in text
        assert SAS not in text


@pytest.mark.parametrize("token", ["sig=\u00e4", "sig=a b", "sig=a\nb", "sv=1&sig=\U0001f600"])
def test_tokens_of_other_characters(token: str) -> None:
    """No header takes them: refused without showing them."""
    with pytest.raises(UsageError, match="character that is not allowed") as caught:
        connection({"account": "mystorage", "sas_token": token}, {})
    assert token not in caught.value.message


# --- a login


ENDPOINTS = "AccountName=mine;BlobEndpoint=https://b/mine;TableEndpoint=https://t/mine"


def test_a_login_instead_of_a_key() -> None:
    """By option or environment; the option comes before a key of the environment, which comes before its own mode."""
    asked = {"account": "mine", "auth_mode": "login"}
    assert connection(asked, {}).kind == "login"
    assert connection(asked, {"AZURE_STORAGE_KEY": KEY}).kind == "login"
    assert connection({"account": "mine"}, {"AZURE_STORAGE_AUTH_MODE": "login"}).kind == "login"
    assert connection({"account": "mine"}, {"AZURE_STORAGE_AUTH_MODE": "login", "AZURE_STORAGE_KEY": KEY}).kind == "key"
    assert connection({"account": "mine", "auth_mode": "key"}, {"AZURE_STORAGE_KEY": KEY}).kind == "key"


def test_a_login_where_a_connection_string_says() -> None:
    """The string's endpoints, in whatever way both were given."""
    ways: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"connection_string": ENDPOINTS, "auth_mode": "login"}, {}),
        ({"auth_mode": "login"}, {"AZURE_STORAGE_CONNECTION_STRING": ENDPOINTS}),
        ({}, {"AZURE_STORAGE_CONNECTION_STRING": ENDPOINTS, "AZURE_STORAGE_AUTH_MODE": "login"}),
    ]
    for options, environ in ways:
        found = connection(options, environ)
        assert (found.kind, found.blob_endpoint, found.table_endpoint) == ("login", "https://b/mine", "https://t/mine")


@pytest.mark.parametrize(
    ("options", "environ", "word"),
    [
        ({"account": "mine", "accesskey": KEY, "auth_mode": "login"}, {}, "--accesskey and --auth-mode"),
        ({"account": "mine", "sas_token": SAS, "auth_mode": "login"}, {}, "--sas-token and --auth-mode"),
        ({"connection_string": STRING, "auth_mode": "login"}, {}, "has a credential"),
        ({"account": "mine"}, {"AZURE_STORAGE_AUTH_MODE": "Login"}, "neither key nor login"),
        ({"account": "devstoreaccount1", "auth_mode": "login"}, {}, "HTTPS"),
        ({"connection_string": ENDPOINTS.replace("https://t", "http://t"), "auth_mode": "login"}, {}, "HTTPS"),
        ({"account": "mine", "auth_mode": "key"}, {}, "no credential"),
    ],
)
def test_what_does_not_go_with_a_login(options: dict[str, str], environ: dict[str, str], word: str) -> None:
    """Two ways at once, a mode that there is not, and an account over HTTP are refused by name."""
    with pytest.raises(UsageError, match=word):
        connection(options, environ)
