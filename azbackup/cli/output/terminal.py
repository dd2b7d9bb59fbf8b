"""How a run shows itself: a bar on a terminal, problems and one line from cron, or JSON lines.

Text for people goes to stderr, JSON to stdout. Names are shown with control characters escaped: a file's name must not
be able to drive a terminal.
"""

from __future__ import annotations

import io
import json
import os
import time
from typing import Any, TextIO

from azbackup.errors import AzbackupError

_RESULT_CHARACTERS = 64 * 1024  # collected before they are written
_REDRAW_SECONDS = 0.1


def clean(text: str) -> str:
    """The text with everything that is not printable escaped, on one line."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def size_text(size: float) -> str:
    """Bytes as people read them: 512 B, 45.2 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def time_text(seconds: float) -> str:
    """A duration as people read it: 3.2 s, 12 min, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def money_text(amount: float, currency: str) -> str:
    """12.30 USD; what rounds to nothing is `under 0.01 USD`."""
    return f"{amount:.2f} {currency}" if amount >= 0.01 or not amount else f"under 0.01 {currency}"


def write(out: TextIO | None, text: str) -> None:
    """Writes at once. Output that nobody can take (closed, a broken pipe, a full disk) never stops the work."""
    try:
        if out is not None:
            out.write(text)
            out.flush()
    except (OSError, ValueError):
        _silence(out)


def _silence(out: TextIO | None) -> None:
    """Sends what is still to come, and what is left in the buffer, nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if out is not None:
            os.dup2(nowhere, out.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


def _columns() -> int:
    """The terminal's width, 80 where it has none."""
    try:
        return os.get_terminal_size(2).columns or 80
    except (OSError, ValueError):
        return 80


class LineProgress:
    """Problems and notes, a line each: what cron mails. `quiet` leaves the notes out."""

    def __init__(self, program: str, out: TextIO | None, quiet: bool) -> None:
        self.program = program
        self.out = out
        self.quiet = quiet

    def stage(self, name: str, files: int = 0, size: int = 0) -> None:
        """Nothing to show."""

    def advance(self, path: bytes, files: int, size: int) -> None:
        """Nothing to show."""

    def problem(self, path: bytes, message: str) -> None:
        """One line."""
        self.line(f"{os.fsdecode(path) or '.'}: {message}")

    def note(self, message: str) -> None:
        """One line."""
        if not self.quiet:
            self.line(message)

    def damage(self, text: str) -> None:
        """One line, also when quiet."""
        self.line(text)

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
    """One JSON object a line on stdout: `event` is problem, note, error or summary."""

    def problem(self, path: bytes, message: str) -> None:
        """{"event": "problem", "path", "message"}."""
        self.event("problem", path=os.fsdecode(path), message=message)

    def note(self, message: str) -> None:
        """{"event": "note", "message"}."""
        self.event("note", message=message)

    def damage(self, text: str) -> None:
        """{"event": "damage", "message"}."""
        self.event("damage", message=text)

    def event(self, event: str, **values: Any) -> None:
        """Any event."""
        write(self.out, json.dumps({"event": event, **values}) + "\n")


class Results:
    """What was asked for, on stdout: lines that are collected, and written many at a time.

    `gone`: nobody takes them any more (a closed pipe, as of `| head`, or a closed stdout), so no more need be made.
    """

    def __init__(self, out: TextIO | None) -> None:
        self._out = out
        self._lines: list[str] = []
        self._size = 0
        self.gone = out is None
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(errors="backslashreplace")  # names that the terminal's encoding does not have

    def add(self, line: str) -> None:
        """One line, whose names were cleaned. AzbackupError when it cannot be written."""
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _RESULT_CHARACTERS:
            self.flush()

    def event(self, event: str, **values: Any) -> None:
        """One line of JSON."""
        self.add(json.dumps({"event": event, **values}))

    def flush(self) -> None:
        """Writes what is left. AzbackupError when it cannot be written (a full disk): a result is not done then."""
        lines, self._lines, self._size = self._lines, [], 0
        if self._out is None or self.gone or not lines:
            return
        try:
            self._out.write("\n".join(lines) + "\n")
            self._out.flush()
        except BrokenPipeError:
            self.gone = True
            _silence(self._out)
        except OSError as error:
            self.gone = True
            _silence(self._out)
            raise AzbackupError(f"the result cannot be written: {error.strerror}", "look at where it goes") from None
