"""How many connections a large body goes over: one while it is fast, several where the way is long and wide.

A connection carries what its window holds in a round trip, however much the link could. Where answers take long several
are taken at once, and one is tried later, when there is more to send than that costs; else several are tried where
one is slow. Unless they carry clearly more together it is the link that is full, and one is as good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_SLOW = 20_000_000  # bytes a second: what carries more needs no help
_LONG = 0.03  # seconds that the quickest answer took, where the way is long
_GAIN = 1.4  # how much faster several have to be
_SEVERAL = 4
_LEAST_BYTES = 2 * 1024 * 1024  # of a body that tells how fast a connection is
_TRIES = 2  # bodies that are measured before anything is decided: others may travel beside them
_LATER = 64  # bodies that go over several before one is tried: by then two slow ones are not what a run waits for


class Lanes:
    """The bodies of one direction: `share` says over how many connections the next one goes, `took` how it went."""

    def __init__(self, fixed: int = 0, quickest: Callable[[], float] = lambda: 0.0) -> None:
        """`fixed`: always so many, 0 for what turns out to be faster. `quickest`: the shortest answer, in seconds."""
        self._lock = threading.Lock()
        self._rates: dict[int, list[float]] = {1: [], _SEVERAL: []}
        self._quickest = quickest
        self._width = fixed  # 0 before the first body
        self._decided = fixed > 0

    def share(self, size: int) -> int:
        """Over how many connections a body of so many bytes goes."""
        if size < _LEAST_BYTES:
            return 1
        with self._lock:
            if not self._width:
                self._width = _SEVERAL if self._quickest() >= _LONG else 1
            return self._width

    def refused(self) -> None:
        """Several are not allowed: it stays at one."""
        self._width, self._decided = 1, True

    def took(self, size: int, width: int, seconds: float) -> None:
        """A body went over so many connections, in so many seconds."""
        if self._decided or size < _LEAST_BYTES or seconds <= 0:
            return
        with self._lock:
            if width == self._width:  # else it set out before that was decided
                self._rates[width].append(size / seconds)
                self._decide(width)

    def _decide(self, width: int) -> None:
        one, several = self._rates[1], self._rates[_SEVERAL]
        if one and several:
            if len(self._rates[width]) >= _TRIES:
                self._decided = True
                self._width = _SEVERAL if max(several) >= _GAIN * max(one) else 1
        elif len(one) >= _TRIES:
            self._decided = max(one) >= _SLOW
            self._width = 1 if self._decided else _SEVERAL
        elif len(several) >= _LATER:
            self._width = 1


def parts(size: int, count: int, least: int) -> list[tuple[int, int]]:
    """(offset, size) of the parts of a body: so many of about the same size, none but the last under `least`."""
    each = max(least, -(-size // count))
    return [(at, min(each, size - at)) for at in range(0, size, each)]
