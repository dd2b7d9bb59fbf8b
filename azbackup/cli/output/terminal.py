"""How a run shows itself: a bar on a terminal, problems and one line from cron, or JSON lines.

Text for people goes to stderr, JSON to stdout.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from json import dumps
from typing import Any, TextIO

from azbackup.cli.output.problems import Problems
from azbackup.cli.output.text import clean, size_text, time_text, write

_REDRAW_SECONDS = 0.1
_KEPT = 1000  # lines about damage


def _columns() -> int:
    """The terminal's width, 80 where it has none."""
    try:
        return os.get_terminal_size(2).columns or 80
    except (OSError, ValueError):
        return 80


class LineProgress:
    """Problems and notes, a line each: what cron mails. `quiet` leaves the notes out.

    `json` is true where programs read the output: then every event is one object, and no line is written.
    """

    json = False

    def __init__(self, program: str, out: TextIO | None, *, quiet: bool) -> None:
        self.program = program
        self.out = out
        self.quiet = quiet
        self.damaged: list[str] = []  # the first ones
        self.damages = 0
        self.problems = Problems()

    def stage(self, name: str, files: int = 0, size: int = 0) -> None:
        """Nothing to show."""

    def advance(self, path: bytes, files: int, size: int) -> None:
        """Nothing to show."""

    def problem(self, path: bytes, message: str) -> None:
        """Prints the path and what is wrong with it, unless many had the same: `tell_rest` counts those."""
        if self.problems.add(path, message):
            self.line(f"{os.fsdecode(path) or '.'}: {message}")

    def note(self, message: str) -> None:
        """Prints the message, unless quiet."""
        if not self.quiet:
            self.line(message)

    def damage(self, message: str) -> None:
        """Keeps it for the end of the run, which names the first ones."""
        self.damages += 1
        if len(self.damaged) < _KEPT:
            self.damaged.append(message)

    def begin_next(self) -> None:
        """Forgets the damage of what the same command did before: that has been named."""
        self.damaged.clear()
        self.damages = 0

    def tell_rest(self) -> None:
        """Counts the problems that were not printed. The end of a run calls it, before the summary or the error."""
        for text in self.problems.rest():
            self.line(text)

    def show_damage(self, text: str) -> None:
        """Prints a line about damage, also when quiet."""
        self.line(text)

    def event(self, event: str, **values: Any) -> None:
        """Nothing to show: events are for programs."""

    def summary(self, values: Mapping[str, Any], *lines: str, urgent: Sequence[str] = ()) -> None:
        """Ends the run: `values` for programs, lines for people; those of `urgent` come first, also when quiet."""
        self.event("summary", **values)
        if self.json:
            return
        self.tell_rest()
        for text in urgent:
            self.line(text)
        for text in lines:
            self.note(text)

    def line(self, text: str) -> None:
        """Writes `program: text`."""
        write(self.out, f"{self.program}: {clean(text)}\n")

    def close(self) -> None:
        """Nothing is left on the screen."""


class BarProgress(LineProgress):
    """A line that is redrawn: files, bytes, speed, time left, the path in hand."""

    def __init__(self, program: str, out: TextIO | None) -> None:
        super().__init__(program, out, quiet=False)
        self._name = ""
        self._begin(0, 0)

    def _begin(self, files: int, size: int) -> None:
        self._of_files, self._of_size = files, size
        self._files = self._size = 0
        self._started = self._drawn = time.monotonic()
        self._shown = False

    def stage(self, name: str, files: int = 0, size: int = 0) -> None:
        """Starts the line anew."""
        self._name = name
        self._begin(files, size)

    def advance(self, path: bytes, files: int, size: int) -> None:
        """Redraws, ten times a second at most."""
        self._files += files
        self._size += size
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_SECONDS:
            self._drawn = now
            self._draw(path, now - self._started)

    def _draw(self, path: bytes, seconds: float) -> None:
        speed = self._size / seconds
        total = f" of {size_text(self._of_size)}" if self._of_size >= self._size else ""
        left = (self._of_size - self._size) / speed if total and speed else 0
        eta = f", {time_text(left)} left" if left else ""
        text = f"{self._name}: {self._files:,} files, {size_text(self._size)}{total}, {size_text(speed)}/s{eta}"
        width = _columns() - 1
        room = width - len(text) - 2
        if room > 12:
            name = clean(os.fsdecode(path))
            text += "  " + (name if len(name) <= room else "..." + name[len(name) - room + 3 :])
        write(self.out, "\r\x1b[K" + text[:width])
        self._shown = True

    def line(self, text: str) -> None:
        """Writes above the bar."""
        self.close()
        super().line(text)

    def close(self) -> None:
        """Takes the bar off the screen."""
        if self._shown:
            write(self.out, "\r\x1b[K")
            self._shown = False


class JsonProgress(LineProgress):
    """One JSON object a line on stdout: `event` is problem, note, damage, plan, error or summary."""

    json = True

    def problem(self, path: bytes, message: str) -> None:
        """{"event": "problem", "path", "message"}, one for each."""
        self.problems.add(path, message)
        self.event("problem", path=os.fsdecode(path), message=message)

    def tell_rest(self) -> None:
        """Nothing: each problem has had its event."""

    def note(self, message: str) -> None:
        """{"event": "note", "message"}."""
        self.event("note", message=message)

    def show_damage(self, text: str) -> None:
        """{"event": "damage", "message"}."""
        self.event("damage", message=text)

    def event(self, event: str, **values: Any) -> None:
        """Writes {"event": event} with the values."""
        write(self.out, dumps({"event": event, **values}) + "\n")
