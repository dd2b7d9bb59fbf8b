"""Which entries of a snapshot are meant: paths, and patterns in gitignore syntax (library pathspec). Pure.

A path means itself and everything below it. With --include only what a pattern matches is meant, --exclude takes away
from that. Directories above something that is meant come along, so that it has a place with the right metadata.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence

import pathspec

from azbackup.errors import UsageError
from azbackup.model import Entry, Kind


class Selection:
    """What is meant of one snapshot. Paths are relative to the source, or absolute below it."""

    def __init__(self, paths: Sequence[bytes], include: Sequence[str], exclude: Sequence[str]) -> None:
        """UsageError for a pattern that cannot be read."""
        self._paths = paths
        self._include = _spec("--include", include) if include else None
        self._exclude = _spec("--exclude", exclude) if exclude else None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self._paths and self._include is None and self._exclude is None

    def unknown(self, known: Collection[bytes], source: bytes) -> list[bytes]:
        """The paths, as they were given, that are not among the `known` ones of a source."""
        return [path for path in self._paths if _relative(path, source) not in known]

    def of(self, entries: Iterable[Entry], source: bytes) -> list[Entry]:
        """The entries that are meant, in their order; none when nothing matches."""
        all_entries = list(entries)
        if self.everything:
            return all_entries
        roots = [root for path in self._paths if (root := _relative(path, source)) is not None]
        meant = [entry for entry in all_entries if self._means(entry, roots)]
        chosen = {entry.path for entry in meant}
        for entry in meant:
            chosen.update(_parents(entry.path))
        return [entry for entry in all_entries if entry.path in chosen]

    def _means(self, entry: Entry, roots: Sequence[bytes]) -> bool:
        path = entry.path
        if self._paths and not any(path == root or not root or path.startswith(root + b"/") for root in roots):
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


def _relative(path: bytes, source: bytes) -> bytes | None:
    """A path as the snapshot knows it; None for an absolute one that is not below the source."""
    if path.startswith(b"/"):
        inside = source.rstrip(b"/") + b"/"
        if not (path.rstrip(b"/") + b"/").startswith(inside):
            return None
        path = path[len(inside) :]
    return b"/".join(part for part in path.split(b"/") if part not in (b"", b"."))


def _parents(path: bytes) -> list[bytes]:
    """All directories above a path, the source itself ('') included; none above ''."""
    parts = path.split(b"/") if path else []
    return [b"/".join(parts[:count]) for count in range(len(parts))]
