"""The clock by which a run is shown: a thread that looks at the figures from time to time, whatever the run hangs in.

Promises that the run waits for it only to write a line of its own, and never longer than a moment when it ends.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

from azbackup.cli.output.figures import Figures, Speeds
from azbackup.progress import Forecast

_TICK_SECONDS = 0.5
_SHORT_SECONDS = 3.0  # a run that is over by then needs no count
_PAUSE_SECONDS = 5.0  # more than that between two ticks: the process was stopped, or the machine slept


class View(Protocol):
    """How figures are shown; `draws` where they are there all the time."""

    draws: bool

    def show(self, figures: Figures, speeds: Speeds, now: float) -> None:
        """Shows them, if it is time to: `now` in seconds of any clock. Called by the clock's thread."""

    def above(self, text: str) -> None:
        """Writes lines that stay. Called by the run's own thread."""

    def hide(self) -> None:
        """Takes off the screen what does not stay, within a moment. Called by any thread."""


class Clock:
    """The thread."""

    def __init__(self, figures: Figures, speeds: Speeds, view: View, *, counts: bool) -> None:
        """`counts`: somebody looks, for whom it is worth to count what is ahead."""
        self.figures = figures
        self.speeds = speeds
        self.view = view
        self._counts = counts
        self._count: Callable[[Forecast], None] | None = None
        self._count_at = math.inf
        self._ended = threading.Event()
        self._runs = False  # the thread that ends with it

    def begin(self) -> None:
        """There is something to show from now on: a stage, whose count is its own. After an end it is another run's."""
        self._count, self._count_at = None, math.inf
        if self._ended.is_set():
            self._ended, self._runs = threading.Event(), False
            self.figures = Figures(self.speeds.traffic)
        if not self._runs:
            self._runs = True
            threading.Thread(target=self._run, args=(self._ended,), daemon=True).start()

    def count_ahead(self, count: Callable[[Forecast], None]) -> None:
        """Has what is ahead counted, unless the run is over before that would help."""
        if self._counts:
            self._count = count
            self._count_at = time.monotonic() + _SHORT_SECONDS

    def end(self) -> None:
        """Nothing is shown any more."""
        self._ended.set()
        self.view.hide()

    def _start_count(self) -> None:
        count, self._count, self._count_at = self._count, None, math.inf
        if count is not None:
            forecast = self.figures.forecast = Forecast()
            threading.Thread(target=count, args=(forecast,), daemon=True).start()

    def _run(self, ended: threading.Event) -> None:
        looked = time.monotonic()
        while not ended.wait(_TICK_SECONDS):
            now = time.monotonic()
            if now - looked > _PAUSE_SECONDS:
                self.speeds.forgive()
            if now > self._count_at:
                self._start_count()
            self.speeds.note(self.figures, now)
            self.view.show(self.figures, self.speeds, now)
            looked = time.monotonic()
        self.view.hide()
