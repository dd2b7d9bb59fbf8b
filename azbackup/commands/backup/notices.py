"""What a backup says about single paths while it reads them: each path once, however often the tree is gone through."""

from __future__ import annotations

import os

from azbackup.progress import Progress

_NAMED_LEFT_OUT = 50


class Notices:
    """The lines of one run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._left_out: set[int] = set()  # hashes of paths: of a million, names would take ten times as much
        self._problems: set[int] = set()

    def left_out(self, path: bytes, why: str) -> None:
        """A line for each of the first paths that are left out; `finish` counts the others."""
        if _is_new(path, self._left_out) and len(self._left_out) <= _NAMED_LEFT_OUT:
            self.note(path, why)

    def problem(self, path: bytes, message: str) -> None:
        """A path could not be read, or not all that is below it."""
        if _is_new(path, self._problems):
            self._progress.problem(path, message)

    def note(self, path: bytes, message: str) -> None:
        """A line about a path that was stored all the same."""
        self._progress.note(f"{os.fsdecode(path)}: {message}")

    def done(self, path: bytes, size: int) -> None:
        """A path is dealt with."""
        self._progress.advance(path, 1, size)

    def finish(self) -> None:
        """Counts what was left out without a line of its own."""
        more = len(self._left_out) - _NAMED_LEFT_OUT
        if more > 0:
            self._progress.note(f"and {more:,} more vanished or were skipped")


def _is_new(path: bytes, seen: set[int]) -> bool:
    """Whether a path was not seen before; it is from now on."""
    before = len(seen)
    seen.add(hash(path))
    return len(seen) > before
