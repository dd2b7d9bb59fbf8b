"""What a run said and came to, kept for whoever is told of its end. Only made where somebody is."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

_LINES = 100


class Heard:
    """One command's words and results."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=_LINES)  # the last ones, as they were printed or would have been
        self.summaries: list[dict[str, Any]] = []  # of each directory, or the one of another command
        self.closing = ""  # the last line of the last summary
        self.message = ""  # the last error
        self.hint = ""

    def summary(self, values: Mapping[str, Any], line: str) -> None:
        """A part of the run came to its end."""
        self.summaries.append(dict(values))
        self.closing = line

    def error(self, message: str, hint: str) -> None:
        """It, or a part of it, failed."""
        self.message, self.hint = message, hint
        self.lines += (message, f"hint: {hint}")
