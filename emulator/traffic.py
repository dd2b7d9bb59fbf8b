"""What was asked of the storage: one entry for each request, and sums by billing class.

The classes are those of Azure's price list, as far as a request alone tells them:

    write   Put Blob, Put Block, Put Block List, Copy Blob, Set Tier, metadata, tags
    list    List Blobs, List Containers, Create Container
    read    Get Blob
    delete  Delete Blob and Container, free of charge
    other   properties and everything else of the Blob service
    table   everything of the Table service

Sums are of requests as they arrived, faults included: what a client did, not what Azure would bill.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from emulator.wire import Head, body_bytes

Service = Literal["blob", "table"]
Billing = Literal["write", "list", "read", "delete", "other", "table"]
_SECRET_HEADERS = {"authorization"}


@dataclass(frozen=True)
class Request:
    """A request as it arrived, its body apart."""

    service: Service
    method: str
    path: str  # decoded, with the account: /devstoreaccount1/container/name
    query: str  # as it was sent
    headers: Mapping[str, str]  # names in lower case, the signature left out
    body_bytes: int

    def parameter(self, name: str) -> str:
        """Return a query parameter, or an empty string."""
        return parse_qs(self.query, keep_blank_values=True).get(name, [""])[0]

    @property
    def container(self) -> str:
        """The container of a blob request."""
        return self.path.split("/", 3)[2] if self.path.count("/") > 1 else ""

    @property
    def blob(self) -> str:
        """The blob's name, or an empty string when the request is about something else."""
        return self.path.split("/", 3)[3] if self.path.count("/") > 2 else ""


def read_request(service: Service, head: Head) -> Request:
    """Turn a request's head into what the rules and the tests look at. Raises WireError."""
    method, target, _ = head.first_line.split(" ", 2)
    url = urlsplit(target)
    headers = {name.lower(): value for name, value in head.headers}
    for secret in _SECRET_HEADERS & headers.keys():
        del headers[secret]
    return Request(service, method, unquote(url.path), url.query, headers, body_bytes(head))


@dataclass
class Entry:
    """One request of the log; its status and sizes are filled in before the client is answered."""

    number: int
    request: Request
    billing: Billing
    status: int = 0  # 0: no answer
    answered_bytes: int = 0  # length of the answer's body
    fault: str = ""  # the kind of the fault that was played, if any

    @property
    def method(self) -> str:
        """GET, PUT ..."""
        return self.request.method

    @property
    def path(self) -> str:
        """The decoded path, with the account."""
        return self.request.path

    @property
    def query(self) -> str:
        """The query as it was sent."""
        return self.request.query


@dataclass(frozen=True)
class Sum:
    """The requests of one billing class."""

    requests: int = 0
    sent_bytes: int = 0  # bodies of requests
    answered_bytes: int = 0  # bodies of answers


@dataclass
class Traffic:
    """The log; safe to use from any thread."""

    _entries: list[Entry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, request: Request) -> Entry:
        """Log a request that has just arrived."""
        with self._lock:
            entry = Entry(len(self._entries) + 1, request, billing_class(request))
            self._entries.append(entry)
        return entry

    @property
    def entries(self) -> list[Entry]:
        """All requests so far, in the order of their arrival."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget all requests so far."""
        with self._lock:
            self._entries.clear()

    def sums(self) -> dict[Billing, Sum]:
        """Return the sums of every class that was asked for."""
        sums: dict[Billing, Sum] = {}
        for entry in self.entries:
            old = sums.get(entry.billing, Sum())
            sums[entry.billing] = Sum(
                old.requests + 1,
                old.sent_bytes + entry.request.body_bytes,
                old.answered_bytes + entry.answered_bytes,
            )
        return sums


def billing_class(request: Request) -> Billing:
    """Return the class under which Azure's price list has the request."""
    if request.service == "table":
        return "table"
    if request.method == "DELETE":
        return "delete"
    if request.parameter("comp") == "list":
        return "list"
    if not request.blob:
        return "list" if request.method == "PUT" and not request.parameter("comp") else "other"
    if request.method == "PUT":
        return "write"
    return "read" if request.method == "GET" and not request.parameter("comp") else "other"
