"""What a backup says about single paths while it reads them: each path once, however often the tree is gone through."""

from __future__ import annotations

import os

from azbackup.progress import Progress

_NAMED = 50  # paths of each sort
_LEFT_OUT = "vanished or were skipped"


class Notices:
    """The lines of one run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._notes: dict[str, set[int]] = {}  # hashes of paths: of a million, names would take ten times as much
        self._problems: set[int] = set()

    def left_out(self, path: bytes, why: str) -> None:
        """A path is not in the snapshot, since there is nothing that could be."""
        self._note(path, why, _LEFT_OUT)

    def note(self, path: bytes, message: str) -> None:
        """A path was stored, and something is to be said about it; one message has always the same words."""
        self._note(path, message, message)

    def problem(self, path: bytes, message: str) -> None:
        """A path could not be read, or not all of it, or not all that is below it."""
        if _is_new(path, self._problems):
            self._progress.problem(path, message)

    def done(self, path: bytes, size: int) -> None:
        """A path is dealt with."""
        self._progress.advance(path, 1, size)

    def finish(self) -> None:
        """Counts the paths that did not get a line of their own."""
        for sort, paths in self._notes.items():
            if len(paths) > _NAMED:
                more = f"and {len(paths) - _NAMED:,} more"
                self._progress.note(f"{more} {sort}" if sort == _LEFT_OUT else f"{more}: {sort}")

    def _note(self, path: bytes, message: str, sort: str) -> None:
        """A line for each of the first paths of a sort; `finish` counts the others."""
        seen = self._notes.setdefault(sort, set())
        if _is_new(path, seen) and len(seen) <= _NAMED:
            self._progress.note(f"{os.fsdecode(path) or '.'}: {message}")


def _is_new(path: bytes, seen: set[int]) -> bool:
    """Whether a path was not seen before; it is from now on."""
    before = len(seen)
    seen.add(hash(path))
    return len(seen) > before
