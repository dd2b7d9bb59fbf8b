"""Requests over the wire: each is counted, keeps to the bandwidth that was allowed, and has a whole answer or none.

The answer is read to its end and looked at here, before the SDK sees it: whatever is not complete and well formed is
one error, NobodyAnswered, whichever of four libraries noticed it. Nobody's login is taken from ~/.netrc: it would
replace the signature and be sent to the account. Proxies and certificates come from the environment.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

import requests
import urllib3
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport

from azbackup.storage.azure.answers import Asked, flaw
from azbackup.storage.azure.connections import Adapter, Clock
from azbackup.storage.azure.throttle import Limits, PacedBody

_BLOCK_BYTES = 256 * 1024  # read from a connection at once: smaller ones take a third of a restore's time, larger ones
# are no faster
_WATCHED_BYTES = 64 * 1024  # a body of more than that is counted while it leaves
_NETWORK_HINT = "check the account name and the network, then run the same command again"
_BROKEN = "the connection broke off"
_PROXY_HINT = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"


class NobodyAnswered(ServiceResponseError):
    """There was no whole answer of the service. `reason` in a few words, without the address: it may be signed.

    `passing`: another time may fare better; else something on this machine has to be changed first. `is_network`: as
    it is when there is no network, or none yet.
    """

    def __init__(
        self, reason: str, hint: str = _NETWORK_HINT, *, passing: bool = True, is_network: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.passing = passing
        self.is_network = is_network

    @property
    def is_silent(self) -> bool:
        """Whether the time was spent waiting for an answer."""
        return self.reason == "timed out"


class _Session(requests.Session):
    """Whole answers of whoever was asked."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        super().__init__()
        self._download = limits.download
        self._traffic = limits.traffic
        self.quickest = 0.0  # seconds from a request to the head of its answer, of all so far
        self.auth = _signed_already
        for scheme in ("http://", "https://"):
            self.mount(
                scheme, Adapter(clock, max_retries=urllib3.Retry(total=False, redirect=False, raise_on_status=False))
            )

    def request(self, method: Any, url: Any, *arguments: Any, **options: Any) -> requests.Response:
        """One request and all of its answer. Raises NobodyAnswered."""
        options["stream"] = True
        try:
            response = super().request(method, url, *arguments, **options)
            took = response.elapsed.total_seconds()
            self.quickest = min(self.quickest or took, took)
            try:
                body = self._read(response)
            except BaseException:
                response.close()
                raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, UnicodeError) as error:
            raise nobody(error) from error
        asked = Asked(method, url, (options.get("headers") or {}).get("x-ms-range", ""))
        headers = {name.lower(): value for name, value in response.headers.items()}
        if why := flaw(asked, response.status_code, headers, body):
            raise NobodyAnswered(why, _hint(headers))
        response._content, response._content_consumed = body, True  # noqa: SLF001  as requests itself leaves a response
        return response

    def _read(self, response: requests.Response) -> bytes:
        blocks = []
        for block in response.iter_content(_BLOCK_BYTES):
            if self._download is not None:
                self._download.take(len(block))
            if self._traffic is not None:
                self._traffic.add(received=len(block))
            blocks.append(block)
        return b"".join(blocks)


def _signed_already(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """A login that changes nothing: with none at all requests would take one from ~/.netrc."""
    return request


class Transport(RequestsTransport):  # type: ignore[misc]  # loaded lazily by azure.core, so untyped
    """The SDK's transport, counting by billing class what leaves. Used by several threads at once.

    `answered` is of the thread that asks: whether its last request had an answer.
    """

    def __init__(self, counts: Counter[str], limits: Limits, clock: Clock, **options: Any) -> None:
        session = _Session(limits, clock)
        self.quickest: Callable[[], float] = lambda: session.quickest
        # A body that was read already is handed on in one piece: a slice of all of it is no copy.
        super().__init__(session=session, connection_data_block_size=1 << 40, **options)
        self._counts = counts
        self._lock = threading.Lock()
        self._upload = limits.upload
        self._traffic = limits.traffic
        self._mine = threading.local()

    @property
    def answered(self) -> bool:
        """Whether this thread's last request was answered."""
        return getattr(self._mine, "answered", False)

    def forget(self) -> None:
        """Begins anew for this thread: nothing was answered yet."""
        self._mine.answered = False

    def send(self, request: Any, **options: Any) -> Any:
        """One request over the wire. Raises NobodyAnswered."""
        with self._lock:
            self._counts[billing_class(request.method, request.url)] += 1
        self.forget()
        body = request.data
        watched = self._traffic is not None and isinstance(body, bytes) and len(body) > _WATCHED_BYTES
        if isinstance(body, bytes) and (self._upload is not None or watched):
            request.data = PacedBody(body, self._upload, self._traffic)
        if self._traffic is not None:
            self._traffic.begin()
        try:
            response = super().send(request, **options)
            self._mine.answered = True
        finally:
            request.data = body
            if self._traffic is not None:
                self._traffic.end(answered=self.answered)
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


def _hint(headers: dict[str, str]) -> str:
    """What to do about a stranger's answer, or about one that broke."""
    if any(name.startswith("x-ms-") for name in headers):
        return _NETWORK_HINT
    return "log in to the network if it asks for that; else check HTTPS_PROXY and NO_PROXY, then run it again"


def nobody(error: Exception, reason: str = _BROKEN) -> NobodyAnswered:
    """The error for whatever four libraries say when no whole answer came; `reason` where they give none."""
    if isinstance(error, NobodyAnswered):
        return error
    text = str(error).lower()
    if found := _of_this_machine(error, text):
        return found
    if isinstance(error, requests.exceptions.ProxyError):
        status = next((word for word in _PROXY_STATUSES if word in text.split()), "")
        refused = f"the proxy does not let it through ({status})"
        reason = refused if status else "the proxy does not answer"
        return NobodyAnswered(reason, _PROXY_HINT, is_network=not status)
    for sign, known in _REASONS:
        if sign in text:
            trusted = "certificate" not in known
            return NobodyAnswered(known, _NETWORK_HINT if trusted else _CERTIFICATE_HINT, is_network=trusted)
    return NobodyAnswered(reason, is_network=reason == _BROKEN)


def _of_this_machine(error: Exception, text: str) -> NobodyAnswered | None:
    """What does not pass by itself: settings that cannot be used."""
    if "tls ca certificate bundle" in text or "tls certificate file" in text:
        hint = "check REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE"
        return NobodyAnswered("the file of trusted certificates is not there", hint, passing=False)
    if isinstance(error, requests.exceptions.InvalidProxyURL) or "dependencies for socks" in text:
        return NobodyAnswered("the proxy's address cannot be used", _PROXY_HINT, passing=False)
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return NobodyAnswered("its address is none", "check the endpoints of the connection string", passing=False)
    return None


_PROXY_STATUSES = ("407", "401", "403", "502", "503", "504")
_CERTIFICATE_HINT = (
    "check this machine's clock and the network; where a company's own certificates are used, "
    "set REQUESTS_CA_BUNDLE to the file that has them"
)
_REASONS = (
    ("temporary failure in name resolution", "its name cannot be looked up at the moment"),
    ("try again", "its name cannot be looked up at the moment"),
    ("refused", "connection refused"),
    ("resolve", "the host name is not known"),
    ("name or service", "the host name is not known"),
    ("timed out", "timed out"),
    ("timeout", "timed out"),
    ("certificate", "its certificate is not trusted"),
    ("reset", "connection reset"),
    ("unreachable", "network unreachable"),
    ("too many open files", "this machine has too many files open"),
)
