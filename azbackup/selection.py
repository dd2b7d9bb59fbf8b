"""Which entries of a snapshot are meant: paths, and patterns in gitignore syntax (library pathspec). Pure.

A path means itself and everything below it. With --include only what a pattern matches is meant, --exclude takes away
from that. Directories above something that is meant come along, so that it has a place with the right metadata.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import pathspec

from azbackup.errors import NothingStored, UsageError
from azbackup.model import Entry, Kind


class Selection:
    """What is meant of one snapshot. Paths are relative to the source, or absolute below it."""

    def __init__(self, paths: Sequence[bytes], include: Sequence[str], exclude: Sequence[str]) -> None:
        self._paths = paths
        self._include = _spec("--include", include) if include else None
        self._exclude = _spec("--exclude", exclude) if exclude else None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self._paths and self._include is None and self._exclude is None

    def of(self, entries: Iterable[Entry], source: bytes) -> list[Entry]:
        """The entries that are meant, in their order. NothingStored for a path that is not there."""
        all_entries = list(entries)
        if self.everything:
            return all_entries
        roots = [_relative(path, source) for path in self._paths]
        known = {entry.path for entry in all_entries}
        for path, root in zip(self._paths, roots, strict=True):
            if root not in known:
                raise NothingStored(f"{os.fsdecode(path)} is not in the snapshot", "give a path below the source")
        meant = [entry for entry in all_entries if self._means(entry, roots)]
        above = {parent for entry in meant for parent in _parents(entry.path)}
        chosen = {entry.path for entry in meant} | above
        return [entry for entry in all_entries if entry.path in chosen]

    def _means(self, entry: Entry, roots: list[bytes]) -> bool:
        path = entry.path
        if roots and not any(path == root or not root or path.startswith(root + b"/") for root in roots):
            return False
        name = os.fsdecode(path) + ("/" if entry.kind == Kind.DIRECTORY else "")
        if self._include is not None and not self._include.match_file(name):
            return False
        return self._exclude is None or not path or not self._exclude.match_file(name)


def _spec(flag: str, patterns: Sequence[str]) -> pathspec.GitIgnoreSpec:
    try:
        return pathspec.GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise UsageError(f"{flag} has a pattern that cannot be read: {error}", "see gitignore(5)") from None


def _relative(path: bytes, source: bytes) -> bytes:
    if path.startswith(b"/"):
        inside = path == source or path.startswith(source.rstrip(b"/") + b"/")
        if not inside:
            raise NothingStored(
                f"{os.fsdecode(path)} is not below {os.fsdecode(source)}", "give a path below the source"
            )
        path = path[len(source) :]
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    return b"/".join(parts)


def _parents(path: bytes) -> list[bytes]:
    """All directories above a path, the source itself ('') included."""
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(len(parts))]
