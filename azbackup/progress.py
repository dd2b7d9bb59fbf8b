"""What a run tells while it works: one protocol of five methods, so that the core never prints.

A problem is a path that could not be read or restored (exit status 3); a note is worth a line and changes nothing.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listener of a run. Called from the run's own thread only."""

    def stage(self, name: str, files: int = 0, size: int = 0) -> None:
        """A stage begins; `files` and `size` (bytes) are what it expects, 0 when unknown."""

    def advance(self, path: bytes, files: int, size: int) -> None:
        """`files` more entries and `size` more bytes are done; `path` is the one in hand."""

    def problem(self, path: bytes, message: str) -> None:
        """This path could not be read, or restored."""

    def note(self, message: str) -> None:
        """Worth a line: something was skipped, chosen, healed or is pending."""


class Silent:
    """A listener that keeps the problems and notes and shows nothing."""

    def __init__(self) -> None:
        self.problems: list[tuple[bytes, str]] = []
        self.notes: list[str] = []

    def stage(self, name: str, files: int = 0, size: int = 0) -> None:
        """Ignored."""

    def advance(self, path: bytes, files: int, size: int) -> None:
        """Ignored."""

    def problem(self, path: bytes, message: str) -> None:
        """Kept."""
        self.problems.append((path, message))

    def note(self, message: str) -> None:
        """Kept."""
        self.notes.append(message)
