"""The problems of a run, grouped by what is wrong, so that one missing pack is five lines and not twelve thousand.

The first few of each reason are shown as they come; the others are counted, with where they lie. All of them go into
the file of --problems. Takes the same memory for three problems and for a million.
"""

from __future__ import annotations

from typing import Protocol

from azbackup.spread import Spread

_NAMED = 5  # of each reason
_REASONS = 20  # that are told apart; further ones share one count
_OTHERS = "for other reasons"


class ProblemSink(Protocol):
    """Takes every problem, shown or not."""

    name: str

    def add(self, path: bytes, message: str) -> None:
        """Writes one."""


class Problems:
    """What could not be read or restored in one run. Called from the run's own thread only."""

    def __init__(self, *, each: bool = False) -> None:
        """`each`: every one is shown."""
        self._each = each
        self._reasons: dict[str, int] = {}
        self._hidden: dict[str, Spread] = {}
        self.count = 0
        self._told = 0  # of them, when the rest was told last
        self.file: ProblemSink | None = None

    def add(self, path: bytes, message: str) -> bool:
        """Takes a problem; whether it is to be shown now."""
        self.count += 1
        if self.file is not None:
            self.file.add(path, message)
        if self._each:
            return True
        reason = message if message in self._reasons or len(self._reasons) < _REASONS else _OTHERS
        self._reasons[reason] = self._reasons.get(reason, 0) + 1
        if self._reasons[reason] <= _NAMED:
            return True
        self._hidden.setdefault(reason, Spread()).add(path)
        return False

    def rest(self) -> list[str]:
        """Returns a line for each reason of which not all were shown, and where to find them.

        A second time only what came since: a summary may be followed by an error.
        """
        hidden, self._hidden = self._hidden, {}
        lines = [_line(reason, spread) for reason, spread in hidden.items()]
        new, self._told = self.count > self._told, self.count
        if self.file is not None:
            if not new:
                return []
            which = f"all {self.count:,} problems are" if self.count > 1 else "the problem is"
            return [*lines, f"{which} in {self.file.name}"]
        return [*lines, "-v names each of them, --problems FILE writes them to a file"] if lines else []


def _line(reason: str, spread: Spread) -> str:
    where = f", {text}" if (text := spread.text()) else ""
    why = f" {reason}" if reason == _OTHERS else f": {reason}"
    return f"... and {spread.count:,} more{where}{why}"
