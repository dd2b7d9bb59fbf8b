"""How many connections a large body goes over: one while it is fast, several where the way is long and wide.

    1, where the quickest answer took long: 4 -> (slow) 4 -> (clearly faster) 8 -> (faster still) 16

A connection carries what its window holds in a round trip, however much the link could. So more are tried where one
is slow, and more again as long as that carries more; else it is the link that is full. Where they were taken at once
one is tried later, when there is more to send than that costs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_SLOW = 20_000_000  # bytes a second: what carries more needs no help
_LONG = 0.035  # seconds that the quickest answer took, where the way is long
_WIDTHS = (1, 4, 8, 16)  # 16 parts of 4 MiB are a pack
_SEVERAL = _WIDTHS[1]
_GAIN = 1.4  # how much faster several have to be than one, ...
_MORE = 1.2  # ... and more than fewer: they cost nothing more
_LEAST_BYTES = 2 * 1024 * 1024  # of a body that tells how fast a connection is
_TRIES = 2  # bodies that are measured before anything is decided: others may travel beside them
_LATER = 64  # bodies that go over several before one is tried: by then two slow ones are not what a run waits for


class Lanes:
    """The bodies of one direction: `share` says over how many connections the next one goes, `took` how it went."""

    def __init__(self, fixed: int = 0, quickest: Callable[[], float] = lambda: 0.0) -> None:
        """`fixed`: always so many, 0 for what turns out to be faster. `quickest`: the shortest answer, in seconds."""
        self._lock = threading.Lock()
        self._rates: dict[int, list[float]] = {each: [] for each in _WIDTHS}
        self._quickest = quickest
        self._width = fixed  # 0 before the first body
        self._best = 0  # of those that were measured
        self._decided = fixed > 0
        self._bodies = 0

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
            self._bodies += 1
            if width != self._width:  # it set out before that was decided
                return
            self._rates[width].append(size / seconds)
            if width == self._best:  # nothing more to try, but one, later
                if self._bodies >= _LATER:
                    self._width = 1
            elif len(self._rates[width]) >= _TRIES:
                self._judge(width)

    def _judge(self, width: int) -> None:
        """A width was measured for the first time: it is the best, or the one before was."""
        best = self._best
        if width < best:
            best, self._decided = (best if self._gains(best, width, _GAIN) else width), True
        elif not best or self._gains(width, best, _GAIN if best == 1 else _MORE):
            best = width
            self._decided = width == 1 and max(self._rates[1]) >= _SLOW
            more = next((each for each in _WIDTHS if each > width), 0)
            if more and not self._decided:
                self._best, self._width = best, more
                return
        self._decided |= bool(self._rates[1])
        self._best = self._width = best

    def _gains(self, width: int, other: int, least: float) -> bool:
        return max(self._rates[width]) >= least * max(self._rates[other])


def parts(size: int, count: int, least: int) -> list[tuple[int, int]]:
    """(offset, size) of the parts of a body: so many of about the same size, none but the last under `least`."""
    each = max(least, -(-size // count))
    return [(at, min(each, size - at)) for at in range(0, size, each)]
