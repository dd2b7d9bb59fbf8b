"""--lock-wait: how long a backup waits for another one of the same source on this host, which it may not overlap."""

from __future__ import annotations

import time

from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import time_text
from azbackup.progress import WAITING

_LOOK_SECONDS = 1.0


class LockWait:
    """The patience of one backup: called again and again while the lock is held."""

    def __init__(self, seconds: float, source: str, show: LineProgress) -> None:
        self._seconds = seconds
        self._source = source
        self._show = show
        self._until: float | None = None

    def __call__(self) -> bool:
        """Sleeps a moment; returns whether another look is due."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
            if self._seconds:
                self._show.note(
                    f"another backup of {self._source} is running: waiting for it, {time_text(self._seconds)} at most"
                )
                self._show.stage(WAITING)
        left = self._until - now
        if left <= 0:
            self._show.close()
            return False
        time.sleep(min(left, _LOOK_SECONDS))
        return True

    def end(self) -> None:
        """The lock is there: nothing is shown any more until there is something else to show."""
        if self._until is not None:
            self._show.close()
