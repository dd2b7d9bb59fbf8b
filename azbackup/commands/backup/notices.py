"""What a backup says about single paths while it reads them: each path once, however often the tree is gone through."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from azbackup.format.model import Entry
from azbackup.progress import Progress

_NAMED = 50  # paths of each sort
_NAMED_MOUNTS = 10
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

    def hold(self, path: bytes, size: int) -> None:
        """A path is read from now on."""
        self._progress.hold(path, size)

    def done(self, entry: Entry, old: Entry | None, *, same: bool) -> None:  # noqa: ARG002  a preview wants them
        """An entry that is no directory is dealt with; `old` is what the last snapshot has, `same`: and that is it."""
        self._progress.advance(entry.path, 1, entry.size)

    def excluded(self, path: bytes, size: int, rule: str) -> None:
        """A rule leaves a path out: no news, or every run would have a thousand lines of it."""

    def removed(self, old: Entry) -> None:
        """A path of the last snapshot is gone: its files' owner knows."""

    def left_behind(self, dropped: int, mounts: Mapping[str, Sequence[bytes]]) -> None:
        """What the rules did that nobody may expect: files that were stored until now, and mounts, by the reason."""
        for why, paths in mounts.items():
            names = ", ".join(os.fsdecode(path) for path in paths[:_NAMED_MOUNTS])
            more = f" and {len(paths) - _NAMED_MOUNTS:,} more" if len(paths) > _NAMED_MOUNTS else ""
            self._progress.note(f"left out, {why}: {names}{more}")
        if dropped:
            files = "1 file" if dropped == 1 else f"{dropped:,} files"
            self._progress.note(f"{files} of the last snapshot left out from now on; earlier snapshots keep them")

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
