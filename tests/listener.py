"""A listener of runs for tests: it keeps what a run tells."""

from __future__ import annotations

from collections.abc import Callable

from azbackup.progress import Forecast, Work


class Silent:
    """Keeps the problems, notes and damage, and shows nothing."""

    def __init__(self) -> None:
        self.problems: list[tuple[bytes, str]] = []
        self.notes: list[str] = []
        self.damaged: list[str] = []

    def stage(self, name: str, files: int = 0, size: int = 0, fetch: int = 0) -> None:
        """Ignore it."""

    def expect(self, count: Callable[[Forecast], None]) -> None:
        """Ignore it."""

    def hold(self, path: bytes, size: int, done: int = 0) -> None:
        """Ignore it."""

    def count(self, work: Work, size: int) -> None:
        """Ignore it."""

    def advance(self, path: bytes, files: int, size: int) -> None:
        """Ignore it."""

    def problem(self, path: bytes, message: str) -> None:
        """Keep it."""
        self.problems.append((path, message))

    def note(self, message: str) -> None:
        """Keep it."""
        self.notes.append(message)

    def damage(self, message: str) -> None:
        """Keep it."""
        self.damaged.append(message)
