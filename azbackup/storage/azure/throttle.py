"""A bandwidth limit: bytes are let through no faster than was asked for. Shared by all connections of a direction."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from azbackup.progress import Traffic

_BURST_SECONDS = 0.1
_BLOCK_SECONDS = 0.25  # the most that one block of a body takes: whoever watches sees it move
_LEAST_BLOCK = 1024
_FREE_BLOCK = 1024 * 1024  # while there is no limit: one may begin within a large body


class Throttle:
    """Lets bytes through at a rate, in the order in which they come.

    `bytes_per_second` is asked for each block, so that it may be another one at another time; 0.0 is no limit.
    """

    def __init__(
        self, bytes_per_second: Callable[[], float], clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    @property
    def block_bytes(self) -> int:
        """What passes in a moment."""
        rate = self._rate()
        return max(_LEAST_BLOCK, int(rate * _BLOCK_SECONDS)) if rate else _FREE_BLOCK

    def take(self, size: int) -> None:
        """Returns when `size` more bytes may pass."""
        rate = self._rate()
        if not rate:
            return
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - _BURST_SECONDS) + size / rate
            wait = self._free_at - now
        if wait > 0:
            self._sleep(wait)


class Limits(msgspec.Struct, frozen=True):
    """The paces that were allowed; None for as fast as it goes. `traffic` counts what passes, where somebody looks.

    `connections`: over how many at once a large body goes; 0 for as many as are faster.
    """

    upload: Throttle | None = None
    download: Throttle | None = None
    traffic: Traffic | None = None
    connections: int = 0


class PacedBody:
    """The body of a request, handed over at a pace, and counted. Looks like a file to whoever sends it."""

    def __init__(self, data: bytes, pace: Throttle | None, traffic: Traffic | None = None) -> None:
        self._view = memoryview(data)
        self._at = 0
        self._pace = pace
        self._traffic = traffic

    def __len__(self) -> int:
        return len(self._view)

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes or fewer, all that are left when negative; b'' at the end."""
        if self._pace is not None and size > self._pace.block_bytes:
            size = self._pace.block_bytes
        end = len(self._view) if size < 0 else min(len(self._view), self._at + size)
        part = bytes(self._view[self._at : end])
        self._at = end
        if self._pace is not None:
            self._pace.take(len(part))
        if self._traffic is not None:
            self._traffic.add(sent=len(part))
        return part
