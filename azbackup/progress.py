"""What a run tells while it works: one protocol of five methods, so that the core never prints.

A problem is a path that could not be read or restored (exit status 3); a note is worth a line and changes nothing.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listener of a run. Called from the run's own thread only. It keeps what it needs: a run hands on no lists."""

    def stage(self, name: str, files: int = 0, size: int = 0) -> None:
        """Begins a stage; `files` and `size` (bytes) are what it expects, 0 when unknown."""

    def advance(self, path: bytes, files: int, size: int) -> None:
        """Counts `files` more entries and `size` more bytes as done; `path` is the one in hand."""

    def problem(self, path: bytes, message: str) -> None:
        """Reports a path that could not be read, or restored."""

    def note(self, message: str) -> None:
        """Tells the user something that does not change the exit status.

        A file was skipped, a snapshot chosen, a row repaired, or a thaw is pending.
        """

    def damage(self, message: str) -> None:
        """Reports stored data that is missing, cut, swapped or altered: the run goes on and ends with status 13."""
