"""Faults by rule: which requests go wrong, and how.

    throttle  503 ServerBusy with Retry-After; nothing is done
    error     500 InternalError; nothing is done
    refuse    403 AuthorizationPermissionMismatch, or another `status` and `code`; nothing is done
    gone      404 ResourceNotFound; nothing is done
    delay     wait before anything else, for `seconds` or until release(); other faults may follow
    break     reset the connection; nothing is done
    lose      do it, then reset the connection instead of answering
    flip      do it, then answer with one bit of the body changed
    cut       do it, then close the connection within the body of the answer
    reset     do it, then reset the connection within the body of the answer
    cut head  do it, then close the connection within the head of the answer
    chunked   do it, and answer in chunks: no fault, but what Azure does where Azurite names a length
    unsized   do it, and answer with a part of the body, of no stated length: an old proxy that lost the rest
    range     do it, and answer with a Content-Range that was not asked for
    rangeless do it, and answer as if the range were the whole blob
    trickle   do it, then answer byte by byte, so many seconds apart
    portal    a page of HTML with status 200; nothing is done

A rule names the requests it is for, how many of them to let pass first, and how many to hit. The
first rule that hits a request decides, delays excepted: those that come before it are added up.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Literal

from emulator.traffic import Request, Service

Refusal = Literal["throttle", "error", "refuse", "gone"]
Break = Literal[
    "break", "lose", "flip", "cut", "reset", "cut head", "chunked", "unsized", "range", "rangeless", "trickle"
]
Kind = Refusal | Break | Literal["delay", "portal"]


@dataclass
class Fault:
    """One rule; what is not given matches everything.

    The n-th matching request alone is `after=n - 1, times=1`; the first n are `times=n`.
    """

    kind: Kind
    method: str | None = None
    path: str | None = None  # a regular expression, searched for in the decoded path
    query: str | None = None  # the same, in the query as it was sent
    service: Service | None = None
    least_bytes: int = 0  # of the request's body
    after: int = 0
    times: int | None = None
    each: bool = False  # the first request of every method and address alone, so that a second try passes
    seconds: float = 0.0  # delay: how long; throttle: Retry-After; trickle: between two bytes
    bit: int | None = None  # flip: which one; the middle one unless told
    status: int = 0  # refuse: what it says; 403 unless told
    code: str = ""
    chunked: bool = False  # any answer that is made here: in chunks
    keep_bytes: int | None = None  # cut, reset, unsized: how much of the body comes; half of it unless told
    seen: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)
    _met: set[tuple[str, str, str]] = field(default_factory=set, init=False)
    _released: threading.Event = field(default_factory=threading.Event, init=False, repr=False)

    def wait(self) -> None:
        """Hold a request back."""
        self._released.wait(self.seconds)

    def release(self) -> None:
        """Let the requests go that are held back, and hold no more."""
        self._released.set()

    def matches(self, request: Request) -> bool:
        """Tell whether the rule is for such a request, its counts apart."""
        return (
            self.method in (None, request.method)
            and self.service in (None, request.service)
            and self.least_bytes <= request.body_bytes
            and (self.path is None or re.search(self.path, request.path) is not None)
            and (self.query is None or re.search(self.query, request.query) is not None)
        )

    def hit(self, request: Request) -> bool:
        """Count a matching request, and tell whether it goes wrong."""
        self.seen += 1
        due = self.seen > self.after and (self.times is None or self.hits < self.times)
        if self.each:
            address = (request.method, request.path, request.query)
            due = due and address not in self._met
            self._met.add(address)
        self.hits += due
        return due

    def flipped(self, body: bytes) -> bytes:
        """Return the body with one bit changed; an empty one stays as it is."""
        if not body:
            return body
        bit = len(body) * 4 if self.bit is None else self.bit
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    def shortened(self, body: bytes) -> bytes:
        """Return the part of the body that comes."""
        return body[: len(body) // 2 if self.keep_bytes is None else self.keep_bytes]


class Faults:
    """The rules in force; safe to use from any thread."""

    def __init__(self) -> None:
        """Start without any rule."""
        self._rules: list[Fault] = []
        self._delays: list[Fault] = []  # all that ever were: a dropped one may still hold a request
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Put a rule behind those that are in force."""
        with self._lock:
            self._rules.append(fault)
            if fault.kind == "delay":
                self._delays.append(fault)

    def clear(self) -> None:
        """Drop all rules; a request that is held back stays so."""
        with self._lock:
            self._rules.clear()

    def release(self) -> None:
        """Let every request go that is held back."""
        with self._lock:
            for fault in self._delays:
                fault.release()

    def choose(self, request: Request) -> tuple[list[Fault], Fault | None]:
        """Return the delays to wait for, and the rule that decides the rest, if one does."""
        delays: list[Fault] = []
        with self._lock:
            for fault in self._rules:
                if fault.matches(request) and fault.hit(request):
                    if fault.kind != "delay":
                        return delays, fault
                    delays.append(fault)
        return delays, None
