"""Connections on which half an answer is an error, and so is one that does not get on.

Python's own client takes a head that breaks off for a whole one, and waits for ever where a byte comes now and then.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from functools import partial
from http.client import HTTPResponse, RemoteDisconnected
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

Clock = Callable[[], float]

_SLOW_SECONDS = 60.0  # of waiting, in which ...
_SLOW_BYTES = 1024  # ... so much must come, once an answer has begun
_BLOCK_BYTES = 64 * 1024  # that a body which is read bit by bit is sent in


class Progress:
    """How an answer gets on: so many bytes in a minute of waiting, or it is none. A reader's own pauses are free."""

    def __init__(self) -> None:
        self._begun = False
        self._waited = 0.0
        self._bytes = 0

    def add(self, seconds: float, size: int) -> None:
        """Counts one read. Raises TimeoutError when too little came in all too long a time."""
        if not self._begun:
            self._begun = True  # how long the first byte may take is the connection's time limit
            return
        self._waited += seconds
        self._bytes += size
        if self._waited > _SLOW_SECONDS:
            if self._bytes < _SLOW_BYTES:
                raise TimeoutError("timed out: the answer does not get on")
            self._waited, self._bytes = 0.0, 0


class _Raw(io.RawIOBase):
    """A connection's bytes, as they come, with an eye on the clock."""

    def __init__(self, raw: io.RawIOBase, clock: Clock) -> None:
        self._raw = raw
        self._clock = clock
        self._progress = Progress()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began = self._clock()
        size: int | None = self._raw.readinto(buffer)
        self._progress.add(self._clock() - began, size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """Lines of a head, or of chunks: one without its end is none."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise RemoteDisconnected("the connection ended within a line")
        return line


class _Answer(HTTPResponse):
    def __init__(self, clock: Clock, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        raw: Any = self.fp.detach()  # a BufferedReader that nothing was read from yet
        self.fp = _Lines(_Raw(raw, clock))


class Adapter(HTTPAdapter):
    """Makes such connections, straight or through a proxy."""

    def __init__(self, clock: Clock, **options: Any) -> None:
        self._pools: Any = {
            "http": partial(_pool, HTTPConnectionPool, HTTPConnection, clock),
            "https": partial(_pool, HTTPSConnectionPool, HTTPSConnection, clock),
        }
        super().__init__(**options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """The connections of requests that go straight."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The connections of requests through a proxy; SOCKS makes its own."""
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager


def _pool(kind: Any, connection: Any, clock: Clock, *arguments: Any, **options: Any) -> Any:
    """A pool of urllib3's whose connections read such answers."""
    pool = kind(*arguments, **options)
    pool.ConnectionCls = partial(_connection, connection, clock)
    return pool


def _connection(kind: Any, clock: Clock, *arguments: Any, **options: Any) -> Any:
    connection = kind(*arguments, **{"blocksize": _BLOCK_BYTES, **options})
    connection.response_class = partial(_Answer, clock)
    return connection
