"""How long one request is tried again: quickly at first, then as long as was allowed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

ABSENT_SECONDS = (0.0, 0.3, 1.0)  # nobody has answered yet: four tries, then a mistyped name is said to be one
OUTAGE_SECONDS = (0.0, 0.3, 1.0, 2.0, 4.0, 8.0, 15.0)  # somebody had answered: half a minute without a network
BUSY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # the service asks for patience
_LATER_SECONDS = 5.0
_SILENT_SECONDS = 240.0  # spent in tries that timed out: the rest of the quick ones is left out


class Patience(msgspec.Struct, frozen=True):
    """What waiting is allowed beyond the quick tries, and whom to tell that a run waits.

    `network_seconds`: for a network that is not there. `stays`: whatever passes is waited for, however long it takes,
    once the account was reached.
    """

    network_seconds: float = 0.0
    stays: bool = False
    report: Callable[[str], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = lambda: 0.0  # the command line gives a real one


class Waits:
    """The pauses between the tries of one request, for one kind of failure."""

    def __init__(self, quick: Sequence[float], patience: Patience) -> None:
        self._quick = list(quick)
        self._patience = patience
        self._began: float | None = None
        self._silent = 0.0
        self.is_long = False  # whether the quick tries are over

    def next(self, seconds: float = 0.0, silent_seconds: float = 0.0) -> float | None:
        """The next pause, None when there is none left.

        `seconds` are allowed beyond the quick tries; `silent_seconds` were spent waiting for an answer.
        """
        if self._began is None:
            self._began = self._patience.clock()
        self._silent += silent_seconds
        if self._silent >= _SILENT_SECONDS:
            self._quick = []
        if self._quick:
            return self._quick.pop(0)
        waited = self._patience.clock() - self._began
        self.is_long = True
        return _LATER_SECONDS if waited < seconds else None
