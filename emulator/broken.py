"""What is left of an answer on its way: whole, in chunks, cut, or another one in its place.

Azure sends listings, query results and batches in chunks; Azurite names their length. On the way a connection ends in
order or is reset, within the head or the body, and proxies and portals answer themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from emulator.answers import Answer
from emulator.faults import Fault
from emulator.wire import Head

_PORTAL = b"<!DOCTYPE html><html><head><title>Log in</title></head><body>Welcome to the network.</body></html>"
_CHUNK_BYTES = 4096


@dataclass(frozen=True)
class Sent:
    """The bytes that reach the client, and how the connection goes on; `pause_seconds` after each byte."""

    data: bytes
    end: Literal["open", "closed", "reset"] = "open"
    pause_seconds: float = 0.0


def portal() -> Answer:
    """Return the page that a network shows to whoever has not logged in, with the status of a success."""
    return Answer(Head("HTTP/1.1 200 OK", (("Content-Type", "text/html"),))).with_body(_PORTAL)


def sent(answer: Answer, body: bytes, fault: Fault | None) -> Sent:
    """Return what the client receives of an answer with this body (none for a HEAD) when a fault is played."""
    if fault is None:
        return Sent(answer.head.encode() + body)
    head = answer.head
    if fault.kind == "flip":
        body = fault.flipped(body)
    if fault.kind in ("range", "rangeless"):
        head = _misplaced(head, fault)
    if fault.kind == "unsized":
        head = head.without("content-length", "transfer-encoding").having(Connection="close")
        return Sent(head.encode() + fault.shortened(body), "closed")
    if fault.kind == "cut head":
        raw = head.encode()
        return Sent(raw[: len(raw) // 2], "closed")
    if fault.chunked and body:
        head = head.without("content-length").having(Transfer_Encoding="chunked")
    if fault.kind in ("cut", "reset"):
        part = fault.shortened(body)
        return Sent(
            head.encode() + (_chunks(part) if fault.chunked else part), "closed" if fault.kind == "cut" else "reset"
        )
    whole = _chunks(body) + b"0\r\n\r\n" if fault.chunked and body else body
    return Sent(head.encode() + whole, pause_seconds=fault.seconds if fault.kind == "trickle" else 0.0)


def _chunks(body: bytes) -> bytes:
    parts = [body[at : at + _CHUNK_BYTES] for at in range(0, len(body), _CHUNK_BYTES)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def _misplaced(head: Head, fault: Fault) -> Head:
    """Return a head that says it brings the bytes one further on, or all of the blob."""
    range_ = head.get("content-range")
    if fault.kind == "rangeless":
        return replace(
            head.without("content-range"), first_line=head.first_line.replace("206 Partial Content", "200 OK")
        )
    moved = re.sub(r"(\d+)-(\d+)/(\d+)", lambda m: f"{int(m[1]) + 1}-{int(m[2]) + 1}/{int(m[3]) + 1}", range_)
    return head.having(Content_Range=moved) if range_ else head
