"""How many connections a large body goes over: one while it is fast, several where the way is long and wide.

A connection carries what its window holds in a round trip, however much the link could. Where one is slow, several are
tried; unless they carry clearly more together it is the link that is full, and one is as good.
"""

from __future__ import annotations

import threading

_SLOW = 20_000_000  # bytes a second: what carries more needs no help
_GAIN = 1.4  # how much faster several have to be
_SEVERAL = 4
_LEAST_BYTES = 2 * 1024 * 1024  # of a body that tells how fast a connection is
_TRIES = 2  # bodies that are measured before anything is decided: others may travel beside them


class Lanes:
    """The bodies of one direction: `share` says over how many connections the next one goes, `took` how it went."""

    def __init__(self, fixed: int = 0) -> None:
        """`fixed`: always so many, 0 for what turns out to be faster."""
        self._lock = threading.Lock()
        self._rates: dict[int, list[float]] = {1: [], _SEVERAL: []}
        self._width = fixed or 1
        self._decided = fixed > 0

    def share(self, size: int) -> int:
        """Over how many connections a body of so many bytes goes."""
        return self._width if size >= _LEAST_BYTES else 1

    def refused(self) -> None:
        """Several are not allowed: it stays at one."""
        self._width, self._decided = 1, True

    def took(self, size: int, width: int, seconds: float) -> None:
        """A body went over so many connections, in so many seconds."""
        if self._decided or size < _LEAST_BYTES or seconds <= 0:
            return
        with self._lock:
            if width != self._width:
                return  # it set out before that was decided
            rates = self._rates[width]
            rates.append(size / seconds)
            if len(rates) < _TRIES:
                return
            if width == 1:
                self._decided = max(rates) >= _SLOW
                self._width = 1 if self._decided else _SEVERAL
            else:
                self._decided = True
                self._width = _SEVERAL if max(rates) >= _GAIN * max(self._rates[1]) else 1


def parts(size: int, count: int, least: int) -> list[tuple[int, int]]:
    """(offset, size) of the parts of a body: so many of about the same size, none but the last under `least`."""
    each = max(least, -(-size // count))
    return [(at, min(each, size - at)) for at in range(0, size, each)]
