"""What a run tells while it works, so that the core never prints: one protocol, and the numbers that go with it.

A problem is a path that could not be read or restored (exit status 3); a note is worth a line and changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal, Protocol

# What bytes a run counts: those it read from files, those of them that some pack has already, those that are sealed in
# packs, and those that it wrote into files.
Work = Literal["read", "saved", "stored", "written"]


# The stage of a run that waits for another one to end.
WAITING = "waiting for another backup"


class Forecast:
    """What a backup has ahead of it, while it is counted: files, their bytes, and those of them that are to be read.

    `whole` once everything was counted.
    """

    def __init__(self) -> None:
        self.files = self.size = self.fresh = 0
        self.whole = False


class Traffic:
    """What goes over the wire, counted by the threads that send; looked at by whoever likes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.sent = 0
        self.received = 0
        self.failed = False  # the last try of a request had no answer
        self._clock = clock
        self._lock = threading.Lock()
        self._open = 0
        self._moved_at = clock()

    def begin(self) -> None:
        """A request leaves."""
        with self._lock:
            if not self._open and not self.failed:
                self._moved_at = self._clock()
            self._open += 1

    def end(self, *, answered: bool) -> None:
        """Its answer is there, or will not come."""
        with self._lock:
            self._open -= 1
            self.failed = not answered
            if answered:
                self._moved_at = self._clock()

    def add(self, sent: int = 0, received: int = 0) -> None:
        """Bytes moved. What leaves after a try that failed is no sign of life yet."""
        with self._lock:
            self.sent += sent
            self.received += received
            if received or not self.failed:
                self._moved_at = self._clock()

    def forgive(self) -> None:
        """The time until now was nobody's fault: this process was stopped, or the machine slept."""
        self._moved_at = self._clock()

    def silence(self) -> float:
        """For how many seconds nothing has moved although something was asked."""
        return self._clock() - self._moved_at if self._open or self.failed else 0.0


class Progress(Protocol):
    """Listener of a run. Called from the run's own thread only. It keeps what it needs: a run hands on no lists."""

    def stage(self, name: str, files: int = 0, size: int = 0, fetch: int = 0) -> None:
        """Begins a stage; `files`, `size` and `fetch` (bytes, to be read of packs) are expected, 0 when unknown."""

    def expect(self, count: Callable[[Forecast], None]) -> None:
        """Offers to count what is ahead: `count` fills a forecast, in any thread, and need not be called."""

    def hold(self, path: bytes, size: int, done: int = 0) -> None:
        """A path is in hand from now on; of its `size` bytes so many are done."""

    def count(self, work: Work, size: int) -> None:
        """Counts `size` more bytes of the path in hand, before they are counted as done."""

    def advance(self, path: bytes, files: int, size: int) -> None:
        """Counts `files` more entries and `size` more bytes as done."""

    def problem(self, path: bytes, message: str) -> None:
        """Reports a path that could not be read, or restored."""

    def note(self, message: str) -> None:
        """Tells the user something that does not change the exit status.

        A file was skipped, a snapshot chosen, a row repaired, or a thaw is pending.
        """

    def damage(self, message: str) -> None:
        """Reports stored data that is missing, cut, swapped or altered: the run goes on and ends with status 13."""
