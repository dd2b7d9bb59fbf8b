"""A storage account: its clients, its patience and its answers.

The SDK's own retries are switched off (its defaults take 84 seconds to say that nobody is there, and it never repeats
a POST whose answer was lost); `Account.call` repeats instead, quickly where nobody answers, patiently where the
service asks for it, and turns what is left into the project's errors. Every request that leaves is counted by billing
class. No key, token or signed address ever stands in a message.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient

from azbackup.errors import Changed, Exists, Missing, Unavailable
from azbackup.format.labels import PACK_BYTES
from azbackup.storage.azure.credentials import Connection
from azbackup.storage.azure.throttle import Limits, PacedBody, paced_reader

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

T = TypeVar("T")
Pager = Callable[[], Any]  # makes one of the SDK's pagers anew

_CONNECT_SECONDS = 5
_SEND_SECONDS = 300  # a whole pack over plain HTTP counts as one send
_READ_SECONDS = 60
_BLOCK_BYTES = 256 * 1024  # read from a connection at once: the SDK's 4 KiB take a third of a restore's time, and a
# whole answer is no faster and takes more memory
_ABSENT_SECONDS = (0.0, 0.3, 1.0)  # nobody has answered yet: four tries, then a mistyped name is said to be one
_OUTAGE_SECONDS = (0.0, 0.3, 1.0, 2.0, 4.0, 8.0, 15.0)  # somebody had answered: half a minute without a network
_BUSY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # the service asks for patience
_BUSY = {408, 429, 500, 502, 503, 504}
_LONGEST_WAIT = 120.0
_GONE_HINT = "it was removed or made anew while it was read; run the same command again"

_EXISTS = {
    "BlobAlreadyExists",
    "EntityAlreadyExists",
    "ContainerAlreadyExists",
    "TableAlreadyExists",
}
_NO_PARENT = {"ContainerNotFound", "TableNotFound"}
_CHANGED = {"ConditionNotMet", "UpdateConditionNotSatisfied", "TargetConditionNotMet"}


class _Counting(RequestsTransport):  # type: ignore[misc]  # loaded lazily by azure.core, so untyped
    """The SDK's transport, counting what leaves and keeping to the bandwidth that was allowed."""

    def __init__(self, counts: Counter[str], limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self._counts = counts
        self._upload, self._download = limits.upload, limits.download

    def send(self, request: Any, **options: Any) -> Any:
        """One request over the wire."""
        self._counts[billing_class(request.method, request.url)] += 1
        body = request.data
        if self._upload is not None and isinstance(body, bytes):
            request.data = PacedBody(body, self._upload)
        try:
            response = super().send(request, **options)
        finally:
            request.data = body
        if self._download is not None:
            raw = response.internal_response.raw
            raw.read = paced_reader(raw.read, self._download)
        return response


def billing_class(method: str, url: str) -> str:
    """What Azure bills a request as: write, list, read, table or other (Azure Storage pricing, "operations")."""
    if ".table." in url or "PartitionKey" in url or "$batch" in url or "/Tables" in url:
        return "table"
    if "comp=list" in url or "restype=container" in url:
        return "list"
    if method == "PUT":
        return "write"
    return "read" if method == "GET" else "other"


class Account:
    """The clients of one storage account, sharing one pool of connections."""

    def __init__(
        self, connection: Connection, limits: Limits | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._connection = connection
        self._sleep = sleep
        self._reached = False
        self.requests: Counter[str] = Counter()
        self._options: dict[str, Any] = {
            "transport": _Counting(
                self.requests,
                limits or Limits(),
                connection_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                connection_data_block_size=_BLOCK_BYTES,
            ),
            "retry_total": 0,
            "connection_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
        }

    def container(self, name: str) -> ContainerClient:
        """A container's client. A pack is one Put Blob, and one Get when it is read whole."""
        from azure.storage.blob import ContainerClient  # not before it is needed: see blobs

        return ContainerClient(
            self._connection.blob_endpoint,
            name,
            credential=self._credential(),
            max_single_put_size=PACK_BYTES,
            max_single_get_size=PACK_BYTES,
            max_chunk_get_size=PACK_BYTES,
            **self._options,
        )

    def table(self, name: str) -> TableClient:
        """A table's client."""
        return TableClient(
            self._connection.table_endpoint,
            table_name=name,
            credential=self._credential(),
            **self._options,
        )

    def source_url(self, url: str) -> str:
        """A blob's address as the source of a copy: with a SAS credential it must carry the token itself."""
        sas = self._connection.sas
        return f"{url}?{sas.reveal().decode()}" if sas is not None else url

    def _credential(self) -> Any:
        connection = self._connection
        if connection.key is not None:
            return AzureNamedKeyCredential(connection.account, connection.key.reveal().decode())
        assert connection.sas is not None, "settings let no connection without a credential through"
        return AzureSasCredential(connection.sas.reveal().decode())

    def call(self, what: str, action: Callable[[], T], *, table: bool = False) -> T:
        """The action's value; `what` names its object in errors, `table` which service it asks.

        Exists, Missing, Changed, Unavailable.
        """
        nobody = list(_OUTAGE_SECONDS if self._reached else _ABSENT_SECONDS)
        busy = list(_BUSY_SECONDS)
        while True:
            try:
                value = action()
                self._reached = True
                return value
            except (ServiceRequestError, ServiceResponseError, IncompleteReadError) as error:
                if not nobody:
                    raise self._unreachable(error, table=table) from None
                wait = nobody.pop(0)
            except HttpResponseError as error:
                self._reached = True
                if error.status_code not in _BUSY or not busy:
                    raise refusal(what, error) from None
                wait = max(busy.pop(0), _retry_after(error))
            except AzureError as error:
                raise Unavailable(f"Azure's SDK failed: {what}: {type(error).__name__}") from None
            self._sleep(wait)

    def pages(self, what: str, query: Pager, *, table: bool = False) -> Iterator[Any]:
        """The items of a listing, page by page, one request each; none where there is nothing to list.

        Only the first page may say that there is nothing. Raises Unavailable when a later one is not there: whoever
        took that for the end would take a part of the list for all of it.
        """
        token: Any = None
        while True:
            try:
                items, token_after = self.call(what, partial(_page, query, token), table=table)
            except Missing as error:
                if token is None:
                    return
                raise Unavailable(f"the rest of {what} is gone", _GONE_HINT, error.code) from None
            yield from items
            if not token_after:
                return
            token = token_after

    def creating(self, what: str, create: Callable[[], object], action: Callable[[], T], *, table: bool = False) -> T:
        """The action's value; `create` makes the container or table `what` when the action finds that there is none."""
        try:
            return action()
        except Missing as error:
            if error.code not in _NO_PARENT:
                raise
        try:
            self.call(what, create, table=table)
        except Exists:
            pass  # another run was faster, or an answer was lost
        return action()

    def _unreachable(self, error: AzureError, *, table: bool) -> Unavailable:
        endpoint = self._connection.table_endpoint if table else self._connection.blob_endpoint
        host = endpoint.split("//")[-1].split("/")[0]
        return Unavailable(
            f"cannot reach Azure storage at {host}: {_reason(error)}",
            "check the account name and the network, then run the same command again",
        )


def _page(query: Pager, token: Any) -> tuple[list[Any], Any]:
    """(items, token of the next page) of the page that a token stands for."""
    pages = query().by_page(token)
    return list(next(pages, ())), pages.continuation_token


# For requests that carry a pack; sendall's time limit over plain HTTP is the connection's.
SEND_OPTIONS: dict[str, Any] = {"connection_timeout": _SEND_SECONDS, "read_timeout": _SEND_SECONDS}


def _retry_after(error: HttpResponseError) -> float:
    headers = getattr(error.response, "headers", None) or {}
    try:
        return min(float(headers.get("Retry-After", 0)), _LONGEST_WAIT)
    except ValueError:
        return 0.0


def _reason(error: BaseException) -> str:
    """Why nobody answered, in a few words and without the address (it may be signed)."""
    text = str(error).lower()
    for sign, words in (
        ("refused", "connection refused"),
        ("resolve", "the host name is not known"),
        ("name or service", "the host name is not known"),
        ("timed out", "timed out"),
        ("timeout", "timed out"),
        ("certificate", "its certificate is not trusted"),
        ("reset", "connection reset"),
        ("unreachable", "network unreachable"),
    ):
        if sign in text:
            return words
    return "the connection broke off"


def error_code(error: HttpResponseError) -> str:
    """Azure's own code for a refusal, from the SDK or from the header."""
    code = getattr(error, "error_code", None)
    if not code:
        headers = getattr(error.response, "headers", None) or {}
        code = headers.get("x-ms-error-code", "")
    return str(getattr(code, "value", code) or "")


def refusal(what: str, error: HttpResponseError) -> Unavailable:
    """The project's error for an answer that says no."""
    code, status = error_code(error), error.status_code
    if code in _EXISTS:
        return Exists(f"{what} exists already", code=code)
    if status == 412 or code in _CHANGED:
        return Changed(f"{what} was changed meanwhile", "run the same command again", code)
    if status == 404:
        return Missing(f"{what} is not there ({code or status})", code=code)
    if status in (401, 403):
        hint = "check the account name, the key or token and its rights, and this machine's clock"
        return Unavailable(f"Azure refuses {what}: {' '.join((str(status), code))}".rstrip(), hint, code)
    answer = " ".join((str(status), code)).rstrip()
    return Unavailable(f"Azure answered {answer} for {what}", "run the same command again later", code)
