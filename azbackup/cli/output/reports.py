"""Progress where nothing can be drawn anew: a line now and then, for a log, or an event a second, for a program."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TextIO

from azbackup.cli.output.figures import Figures, Speeds
from azbackup.cli.output.phrases import line_text, values
from azbackup.cli.output.text import clean, write

_FIRST_SECONDS = 10.0
_LONGEST_SECONDS = 600.0
_EVENT_SECONDS = 1.0

_Say = Callable[[Figures, Speeds], None]


class Reports:
    """Shows the figures at intervals that grow by a half each time; the first one again when a stage begins."""

    draws = False

    def __init__(
        self, say: Callable[[Figures, Speeds], None], out: TextIO | None, first: float, longest: float
    ) -> None:
        self._say = say
        self._out = out
        self._first = first
        self._longest = longest
        self._seconds = 0.0
        self._due = 0.0
        self._stage = ""

    def show(self, figures: Figures, speeds: Speeds, now: float) -> None:
        """Says how far it is, when it is time to."""
        if figures.stage != self._stage:
            self._stage, self._seconds, self._due = figures.stage, self._first, now + self._first
        if now >= self._due:
            self._seconds = min(self._seconds * 1.5, self._longest)
            self._due = now + self._seconds
            self._say(figures, speeds)

    def above(self, text: str) -> None:
        """Writes them."""
        write(self._out, text)

    def hide(self) -> None:
        """What was said stays."""


def lines(program: str, out: TextIO | None) -> Reports:
    """A line at growing intervals."""

    def say(figures: Figures, speeds: Speeds) -> None:
        write(out, f"{program}: {clean(line_text(figures, speeds, time.time()))}\n")

    return Reports(say, out, _FIRST_SECONDS, _LONGEST_SECONDS)


def events(write_event: Callable[..., Any], out: TextIO | None) -> Reports:
    """An event a second."""

    def say(figures: Figures, speeds: Speeds) -> None:
        write_event("progress", **values(figures, speeds, time.time()))

    return Reports(say, out, _EVENT_SECONDS, _EVENT_SECONDS)
