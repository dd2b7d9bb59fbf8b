"""HTTP/1.1 over a socket: just what a proxy between an SDK and Azurite needs.

Promises to keep a head that it does not change as it came, because requests are signed. Refuses
what the storage services do not use either: folded headers, and request bodies of unknown length.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

MAX_HEAD_BYTES = 256 * 1024
_BLOCK_BYTES = 256 * 1024
_BODILESS = {204, 304}
_SIOCOUTQ = termios.TIOCOUTQ  # Linux has one number for terminals and sockets


class WireError(Exception):
    """The peer does not speak the part of HTTP/1.1 that is spoken here."""


@dataclass(frozen=True)
class Head:
    """The first line and the headers of a message, in their order and spelling."""

    first_line: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str, default: str = "") -> str:
        """Return the first header of that name, whatever its case."""
        lower = name.lower()
        return next((value for key, value in self.headers if key.lower() == lower), default)

    def without(self, *names: str) -> Head:
        """Return this head less the named headers."""
        gone = {name.lower() for name in names}
        return replace(self, headers=tuple(h for h in self.headers if h[0].lower() not in gone))

    def having(self, **values: str) -> Head:
        """Return this head with these headers instead; an underscore stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in values.items()}
        rest = self.without(*named)
        return replace(rest, headers=(*rest.headers, *named.items()))

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.first_line.split(" ", 2)[1])

    def encode(self) -> bytes:
        """Return the bytes that were parsed, or their equal after a change."""
        lines = [self.first_line, *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def parse_head(raw: bytes) -> Head:
    """Parse a head that ends with its empty line. Raises WireError."""
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise WireError(f"not a header: {line[:80]!r}")
        headers.append((name, value.strip()))
    return Head(first, tuple(headers))


def body_bytes(head: Head) -> int:
    """Return the length of the body that follows a request's head. Raises WireError."""
    if head.get("transfer-encoding"):
        raise WireError("a request body needs a Content-Length")
    return int(head.get("content-length", "0"))


def is_chunked(head: Head) -> bool:
    """Tell whether an answer's body comes in chunks of which each names its own length."""
    return head.get("transfer-encoding").lower() == "chunked"


def has_body(method: str, head: Head) -> bool:
    """Tell whether a body follows an answer's head."""
    return method != "HEAD" and head.status not in _BODILESS


class Stream:
    """One end of a connection: reads are buffered, writes go out at once.

    Every method may raise OSError, as the socket does, and ConnectionError at an unexpected end.
    """

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected socket."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._ahead = b""

    def read_head(self) -> Head | None:
        """Read up to the empty line; None when the peer closed before the first byte."""
        raw = self._ahead
        while b"\r\n\r\n" not in raw:
            more = self._socket.recv(_BLOCK_BYTES)
            if not more:
                if raw:
                    raise ConnectionError("the connection ended within a head")
                return None
            raw += more
            if len(raw) > MAX_HEAD_BYTES + _BLOCK_BYTES:
                raise WireError("a head is too long")
        end = raw.index(b"\r\n\r\n") + 4
        self._ahead = raw[end:]
        return parse_head(raw[:end])

    def read(self, size_bytes: int) -> bytes:
        """Read exactly so many bytes."""
        parts: list[bytes] = []
        self._each_block(size_bytes, lambda block: parts.append(bytes(block)))
        return b"".join(parts)

    def relay(self, size_bytes: int, to: Stream | None, pace: Callable[[int], None] = lambda _: None) -> None:
        """Read exactly so many bytes and pass them on, or drop them when there is nowhere to. `pace` hears of each."""

        def pass_on(data: bytes | memoryview) -> None:
            pace(len(data))
            if to is not None:
                to.send(data)

        self._each_block(size_bytes, pass_on)

    def read_chunked(self) -> bytes:
        """Read a whole body that comes in chunks; trailers are dropped."""
        parts = []
        while size_bytes := int(self._read_line().split(b";")[0], 16):
            parts.append(self.read(size_bytes))
            self._read_line()
        while self._read_line():
            pass
        return b"".join(parts)

    def send(self, data: bytes | memoryview) -> None:
        """Write all of it."""
        self._socket.sendall(data)

    def flush(self, patience_seconds: float = 1.0) -> None:
        """Wait until the peer's system has what was sent: a reset may overtake and destroy the rest."""
        end = time.monotonic() + patience_seconds
        while time.monotonic() < end and struct.unpack("i", fcntl.ioctl(self._socket, _SIOCOUTQ, bytes(4)))[0]:
            time.sleep(0.001)

    def reset(self) -> None:
        """End the connection so that the peer sees `connection reset`, not an orderly end."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """End the connection in order; doing it again is harmless."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _each_block(self, size_bytes: int, take: Callable[[bytes | memoryview], None]) -> None:
        ahead, self._ahead = self._ahead[:size_bytes], self._ahead[size_bytes:]
        if ahead:
            take(ahead)
        left = size_bytes - len(ahead)
        block = memoryview(bytearray(min(left, _BLOCK_BYTES)))
        while left:
            count = self._socket.recv_into(block[: min(left, _BLOCK_BYTES)])
            if not count:
                raise ConnectionError("the connection ended within a body")
            take(block[:count])
            left -= count

    def _read_line(self) -> bytes:
        while b"\r\n" not in self._ahead:
            more = self._socket.recv(_BLOCK_BYTES)
            if not more:
                raise ConnectionError("the connection ended within a chunked body")
            self._ahead += more
        line, self._ahead = self._ahead.split(b"\r\n", 1)
        return line
