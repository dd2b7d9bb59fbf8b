"""A proxy for one service: relays requests to Azurite, and plays the faults and the archive's part.

Promises: a request that no rule concerns reaches Azurite byte for byte (it is signed), bodies of
known length are passed on while they arrive, and each client connection has an Azurite connection
of its own, so that concurrency and keep-alive are the client's choice. Refuses nothing: what is
wrong with a request is for Azurite to say, but for the few things that `wire` cannot read.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
import time
from dataclasses import dataclass, field

from emulator.answers import Answer, refusal
from emulator.broken import Sent, portal, sent
from emulator.faults import Fault, Faults
from emulator.tiers import Tiers, is_of_azurite
from emulator.traffic import Entry, Request, Service, Traffic, read_request
from emulator.wire import Head, Stream, WireError, body_bytes, has_body, is_chunked

# Azurite closes connections that were idle for 5 s: one that is nearly as old is not used again.
_IDLE_SECONDS = 4.0
_REFUSALS = {
    "throttle": (503, "ServerBusy"),
    "error": (500, "InternalError"),
    "refuse": (403, "AuthorizationPermissionMismatch"),
    "gone": (404, "ResourceNotFound"),
}


@dataclass
class Stage:
    """What both proxies share."""

    tiers: Tiers
    faults: Faults = field(default_factory=Faults)
    traffic: Traffic = field(default_factory=Traffic)
    round_trip_seconds: float = 0.0
    bytes_per_second: float = 0.0  # of each connection, each way; 0: no limit
    stopping: threading.Event = field(default_factory=threading.Event)
    bugs: list[BaseException] = field(default_factory=list)


class Proxy(socketserver.ThreadingTCPServer):
    """Listens on a port of its own, on this machine only, from start() to stop()."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, service: Service, azurite_port: int, stage: Stage, port: int = 0) -> None:
        """Take a port (0: any free one) without listening yet."""
        super().__init__(("127.0.0.1", port), _Connection)
        self.service = service
        self.azurite_port = azurite_port
        self.stage = stage
        self.streams: set[Stream] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Listen, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End all connections and wait for their threads."""
        self.shutdown()
        self._thread.join()
        for stream in list(self.streams):
            stream.close()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Keep what a thread died of: it is a bug, and the simulator's end raises it."""
        error = sys.exc_info()[1]
        if error is not None:
            self.stage.bugs.append(error)


class _Dropped(Exception):
    """A fault ended the connection."""


class _Connection(socketserver.BaseRequestHandler):
    """One client connection, served by one thread: one request after the other."""

    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        self._client = Stream(self.request)
        self._upstream: Stream | None = None
        self._used_at = 0.0
        self._free_at = 0.0
        self.server.streams.add(self._client)
        try:
            while (head := self._client.read_head()) is not None:
                self._exchange(head)
        except WireError as error:
            with contextlib.suppress(OSError):
                self._client.send(_bad_request(str(error)))
        except _Dropped:
            pass
        except OSError:
            self._client.reset()  # one side is gone: so is the other
        finally:
            self._end()

    def _end(self) -> None:
        for stream in (self._client, self._upstream):
            if stream is not None:
                self.server.streams.discard(stream)
                stream.close()

    def _exchange(self, head: Head) -> None:
        """Serve one request."""
        stage = self.server.stage
        request = read_request(self.server.service, head)
        if is_of_azurite(request):
            self._serve(head, request, Entry(0, request, "other"), None)
            return
        entry = stage.traffic.begin(request)
        delays, fault = stage.faults.choose(request)
        entry.fault = fault.kind if fault else "delay" if delays else ""
        if stage.round_trip_seconds:
            stage.stopping.wait(stage.round_trip_seconds)
        for delay in delays:
            delay.wait()
        if fault is not None and fault.kind == "break":
            self._drop()
        if fault is not None and fault.kind == "portal":
            self._client.relay(request.body_bytes, None)
            self._answer(request, entry, portal(), fault)
            return
        if fault is not None and fault.kind in _REFUSALS:
            self._client.relay(request.body_bytes, None)
            status, code = _REFUSALS[fault.kind]
            status, code = fault.status or status, fault.code or code
            answer = refusal(request.service, status, code, fault.seconds)
            self._answer(request, entry, answer, None)
            return
        self._serve(head, request, entry, fault)

    def _serve(self, head: Head, request: Request, entry: Entry, fault: Fault | None) -> None:
        """Let the rules or Azurite answer."""
        tiers = self.server.stage.tiers
        decision = tiers.decide(request)
        body = b""
        if _is_batch(request):
            body = self._client.read(request.body_bytes)
            decision = tiers.refuse_batch(body)
        if isinstance(decision, Answer):
            self._client.relay(request.body_bytes - len(body), None)
            self._answer(request, entry, decision, fault)
            return
        upstream = self._forward(head, request, body)
        answer_head = _final_head(upstream)
        if decision is None and fault is None and not is_chunked(answer_head):
            self._pass_on(upstream, request, entry, answer_head)
        else:
            answer = _read_answer(upstream, request, answer_head)
            self._answer(request, entry, decision(answer) if decision else answer, fault)
        self._used_at = time.monotonic()
        if answer_head.get("connection").lower() == "close":
            self._drop_upstream()

    def _forward(self, head: Head, request: Request, body: bytes) -> Stream:
        """Send a request to Azurite; `body` is what was already read of it."""
        upstream = self._connect()
        upstream.send(head.encode() + body)
        self._client.relay(request.body_bytes - len(body), upstream, self._pace)
        return upstream

    def _pass_on(self, upstream: Stream, request: Request, entry: Entry, head: Head) -> None:
        """Hand Azurite's answer to the client while it arrives."""
        size_bytes = body_bytes(head) if has_body(request.method, head) else 0
        entry.status, entry.answered_bytes = head.status, size_bytes
        self._client.send(head.encode())
        upstream.relay(size_bytes, self._client, self._pace)

    def _answer(self, request: Request, entry: Entry, answer: Answer, fault: Fault | None) -> None:
        """Send a complete answer, or what a fault leaves of it."""
        body = answer.body if has_body(request.method, answer.head) else b""
        entry.status, entry.answered_bytes = answer.head.status, len(body)
        if fault is not None and fault.kind == "lose":
            self._drop()
        message = sent(answer, body, fault)
        if message.pause_seconds:
            self._trickle(message)
        self._client.send(message.data)
        if message.end == "closed":
            self._client.close()
            raise _Dropped
        if message.end == "reset":
            self._client.flush()
            self._drop()

    def _trickle(self, message: Sent) -> None:
        for byte in message.data:
            self._client.send(bytes((byte,)))
            if self.server.stage.stopping.wait(message.pause_seconds):
                self._drop()
        raise _Dropped

    def _pace(self, size_bytes: int) -> None:
        """Let no more through than a connection may carry."""
        rate = self.server.stage.bytes_per_second
        if rate:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size_bytes / rate
            self.server.stage.stopping.wait(self._free_at - now)

    def _connect(self) -> Stream:
        if self._upstream is not None and time.monotonic() - self._used_at > _IDLE_SECONDS:
            self._drop_upstream()
        if self._upstream is None:
            address = ("127.0.0.1", self.server.azurite_port)
            self._upstream = Stream(socket.create_connection(address))
            self.server.streams.add(self._upstream)
        return self._upstream

    def _drop_upstream(self) -> None:
        if self._upstream is not None:
            self.server.streams.discard(self._upstream)
            self._upstream.close()
            self._upstream = None

    def _drop(self) -> None:
        self._client.reset()
        raise _Dropped


def _is_batch(request: Request) -> bool:
    return request.service == "blob" and request.parameter("comp") == "batch"


def _final_head(upstream: Stream) -> Head:
    """Read Azurite's answer, past any `100 Continue`."""
    while True:
        head = upstream.read_head()
        if head is None:
            raise ConnectionError("Azurite closed the connection")
        if head.status >= 200:
            return head


def _read_answer(upstream: Stream, request: Request, head: Head) -> Answer:
    """Read the whole of an answer. A HEAD's Content-Length stays what Azurite said."""
    if not has_body(request.method, head):
        return Answer(head)
    if is_chunked(head):
        return Answer(head).with_body(upstream.read_chunked())
    return Answer(head, upstream.read(body_bytes(head)))


def _bad_request(message: str) -> bytes:
    body = message.encode()
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
