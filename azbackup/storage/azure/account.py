"""A storage account: its clients, its patience and its answers.

The SDK's own retries are switched off (its defaults take 84 seconds to say that nobody is there, and it never repeats
a POST whose answer was lost); `Account.call` repeats instead, quickly where nobody answers, patiently where the
service asks for it, and turns what is left into the project's errors. Every request that leaves is counted by billing
class. No key, token or signed address ever stands in a message.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import (
    AzureError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import TableClient

from azbackup.errors import Exists, Missing, Unavailable
from azbackup.format.labels import PACK_BYTES
from azbackup.storage.azure.credentials import Connection
from azbackup.storage.azure.lanes import Lanes
from azbackup.storage.azure.patience import ABSENT_SECONDS, BUSY_SECONDS, OUTAGE_SECONDS, Patience, Waits
from azbackup.storage.azure.refusals import Credential, passes, refusal, retry_after
from azbackup.storage.azure.throttle import Limits
from azbackup.storage.azure.transport import NobodyAnswered, Transport, nobody

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

T = TypeVar("T")
Pager = Callable[[], Any]  # makes one of the SDK's pagers anew

_CONNECT_SECONDS = 5
_SEND_SECONDS = 300  # a whole pack over plain HTTP counts as one send
_READ_SECONDS = 60
# What the SDK says when it cannot make sense of an answer: the request was ours, and has been answered.
_SENSELESS = (ValueError, TypeError, AttributeError, LookupError, HTTPException, RecursionError)
_GONE_HINT = "it was removed or made anew while it was read; run the same command again"

_NO_PARENT = {"ContainerNotFound", "TableNotFound"}


class Account:
    """The clients of one storage account, sharing one pool of connections."""

    def __init__(
        self, connection: Connection, limits: Limits | None = None, patience: Patience | None = None, login: Any = None
    ) -> None:
        """`login` gives the tokens where the connection has neither key nor SAS token: see login.py."""
        self._connection = connection
        self._signed_with = Credential(connection.account, connection.kind)
        self._patience = patience or Patience()
        self._reached = False
        self._told = False
        self._lock = threading.Lock()
        self._login = login
        self.requests: Counter[str] = Counter()
        self.clock = self._patience.clock
        paces = limits or Limits()
        self._transport = Transport(
            self.requests,
            paces,
            self._patience.clock,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
        )
        quickest = self._transport.quickest
        self.uploads = Lanes(paces.connections or int(paces.upload is not None), quickest)
        self.downloads = Lanes(paces.connections or int(paces.download is not None), quickest)
        self._options: dict[str, Any] = {
            "transport": self._transport,
            "retry_total": 0,
            "permit_redirects": False,  # nobody but the account itself is sent what is signed for it
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
        if connection.login:
            return self._login
        assert connection.sas is not None, "credentials let no connection without a credential through"
        return AzureSasCredential(connection.sas.reveal().decode())

    def call(self, what: str, action: Callable[[], T], *, table: bool = False, breaks: int | None = None) -> T:
        """The action's value; `what` names its object in errors, `table` which service it asks.

        Exists, Missing, Changed, Unavailable. With `breaks` it is given up so many tries after the first that nobody
        answered.
        """
        absent = Waits((OUTAGE_SECONDS if self._reached else ABSENT_SECONDS)[:breaks], self._patience)
        busy = Waits(BUSY_SECONDS, self._patience)
        while True:
            began = self._patience.clock()
            answer = self._try(action)
            if not isinstance(answer, AzureError):
                self._reached, self._told = True, False
                return answer
            if isinstance(answer, NobodyAnswered):
                silent = self._patience.clock() - began if answer.is_silent else 0.0
                seconds = self._seconds(network=answer.is_network) if breaks is None else 0.0
                wait = absent.next(seconds, silent)
                error = self._unreachable(answer, table=table)
                if wait is None or not answer.passing:
                    raise error from None
            elif isinstance(answer, HttpResponseError):
                self._reached = True
                wait = busy.next(self._seconds(network=False)) if passes(answer) else None
                error = refusal(what, answer, self._signed_with)
                if wait is None:
                    raise error from None
                wait = max(wait, retry_after(answer))
            else:
                raise Unavailable(f"Azure's SDK failed: {what}: {type(answer).__name__}") from None
            if absent.is_long or busy.is_long:
                self._tell(f"{error.message}; trying again")
            self._patience.sleep(wait)

    def _seconds(self, *, network: bool) -> float:
        """How long more than the quick tries are made."""
        if self._patience.stays and self._reached:
            return math.inf
        return self._patience.network_seconds if network else 0.0

    def _tell(self, message: str) -> None:
        """Says once in an outage that the run waits; several requests may wait at once."""
        with self._lock:
            told, self._told = self._told, True
        if not told:
            self._patience.report(message)

    def _try(self, action: Callable[[], T]) -> T | AzureError:
        """The action's value, or why there is none: whatever is no whole answer is NobodyAnswered."""
        self._transport.forget()
        try:
            return action()
        except (ServiceRequestError, ServiceResponseError, DecodeError) as error:
            return nobody(error)
        except HttpResponseError as error:
            return error if (error.status_code or 0) >= 400 else nobody(error)  # a success that could not be read
        except AzureError as error:
            return error
        except _SENSELESS as error:
            if not self._transport.answered:
                raise  # nothing was asked, or nothing came: a bug of this program
            return nobody(error, "its answer makes no sense")

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
            items.reverse()
            while items:
                yield items.pop()  # a page may be large: what was used is let go of
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

    def _unreachable(self, error: NobodyAnswered, *, table: bool) -> Unavailable:
        endpoint = self._connection.table_endpoint if table else self._connection.blob_endpoint
        host = endpoint.split("//")[-1].split("/")[0]
        return Unavailable(f"cannot reach Azure storage at {host}: {error.reason}", error.hint, passing=error.passing)


def _page(query: Pager, token: Any) -> tuple[list[Any], Any]:
    """(items, token of the next page) of the page that a token stands for."""
    pages = query().by_page(token)
    items, following = list(next(pages, ())), pages.continuation_token
    vars(pages).clear()  # they refer to themselves: up to 30 MB would stay until Python looks for such things
    return items, following


# For requests that carry a pack; sendall's time limit over plain HTTP is the connection's.
SEND_OPTIONS: dict[str, Any] = {"connection_timeout": _SEND_SECONDS, "read_timeout": _SEND_SECONDS}
