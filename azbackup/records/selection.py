"""Which entries of a snapshot are meant: paths, and patterns in gitignore syntax (library pathspec). Pure.

A path means itself and everything below it. With --include only what a pattern matches is meant, --exclude takes away
from that. Directories above something that is meant come along, so that it has a place with the right metadata.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

from azbackup.errors import UsageError
from azbackup.format.layers import State
from azbackup.format.model import Entry, Kind
from azbackup.records.patterns import one_line

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


Matcher = Callable[[Entry], bool]  # whether an entry is meant


class Selection:
    """What is meant of one snapshot. Paths are relative to the source, or absolute below it."""

    def __init__(self, paths: Sequence[bytes], include: Sequence[str], exclude: Sequence[str]) -> None:
        """UsageError for a pattern that cannot be read, or a path that is empty: that is not the whole source."""
        if b"" in paths:
            raise UsageError("a path is an empty string", "was a variable not set? To restore everything give no path")
        self._paths = paths
        self._include = _spec("--include", include) if include else None
        self._exclude = _spec("--exclude", exclude) if exclude else None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self._paths and self._include is None and self._exclude is None

    def each(self) -> list[Selection]:
        """The same for each path by itself, in the order in which they were given; for none, itself."""
        return [self._of_path(path) for path in dict.fromkeys(self._paths)] or [self]

    def _of_path(self, path: bytes) -> Selection:
        found = copy(self)
        found._paths = [path]  # noqa: SLF001  its own
        return found

    def base(self, source: bytes) -> bytes | None:
        """The first path, as a snapshot of the source knows it, '' for none; None where it is not below the source."""
        return _relative(self._paths[0], source) if self._paths else b""

    def inside(self, path: bytes, source: bytes) -> bytes | None:
        """A path as a snapshot of the source knows it; None for an absolute one that is not below the source."""
        return _relative(path, source)

    def watch(self, entries: Iterable[Entry], source: bytes) -> Watched:
        """The same entries, which know at their end which of the selection's paths were not among them."""
        return Watched(entries, {path: _relative(path, source) for path in self._paths})

    def _roots(self, source: bytes) -> set[bytes]:
        """The paths as a snapshot of the source knows them."""
        return {root for path in self._paths if (root := _relative(path, source)) is not None}

    def of(self, entries: Iterable[Entry], source: bytes) -> Iterator[Entry]:
        """The entries that are meant, in their order; none when nothing matches."""
        if self.everything:
            yield from entries
            return
        roots = self._roots(source)
        above: list[Entry] = []  # directories on the way to the entry in hand that are not chosen so far
        for entry in entries:
            while above and not _is_below(entry.path, above[-1].path):
                above.pop()
            if self._means(entry, roots):
                yield from above
                yield entry
                above = []
            elif entry.kind == Kind.DIRECTORY:
                above.append(entry)

    def among(self, entries: Iterable[Entry], source: bytes) -> Iterator[Entry]:
        """The entries that are meant, without the directories above them, as they come."""
        roots = self._roots(source)
        return (entry for entry in entries if self._means(entry, roots))

    def means(self, entry: Entry, source: bytes) -> bool:
        """Whether an entry itself is meant, not only what is below it."""
        return self.everything or self._means(entry, self._roots(source))

    def _means(self, entry: Entry, roots: Collection[bytes]) -> bool:
        path = entry.path
        if self._paths and not any(path == root or _is_below(path, root) for root in roots):
            return False
        if self._include is not None and not _matches(self._include, entry):
            return False
        return self._exclude is None or not path or not _matches(self._exclude, entry)


class Watched:
    """Entries on their way through, and which of some paths were met. Made once, gone through once."""

    def __init__(self, entries: Iterable[Entry], paths: Mapping[bytes, bytes | None]) -> None:
        """`paths`: as they were given, and as the entries have them, None where they cannot."""
        self._entries = entries
        self._paths = paths
        self._met: set[bytes] = set()

    def __iter__(self) -> Iterator[Entry]:
        roots = set(self._paths.values())
        for entry in self._entries:
            if entry.path in roots:
                self._met.add(entry.path)
            yield entry

    @property
    def unknown(self) -> set[bytes]:
        """The paths, as they were given, that none of the entries so far had."""
        return {path for path, root in self._paths.items() if root not in self._met}

    def hidden(self, state: State) -> set[bytes]:
        """Those of the unknown paths that may be in the snapshot all the same."""
        return {path for path in self.unknown if (root := self._paths[path]) is not None and state.hides(root)}


def matcher(flag: str, patterns: Sequence[str]) -> Matcher:
    """Whether an entry matches the patterns of an option; the source itself never does.

    Raises UsageError if it cannot be right.
    """
    spec = _spec(flag, patterns)
    return lambda entry: _matches(spec, entry)


def _matches(spec: GitIgnoreSpec, entry: Entry) -> bool:
    return spec.match_file(one_line(os.fsdecode(entry.path)) + ("/" if entry.kind == Kind.DIRECTORY else ""))


def _spec(flag: str, patterns: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # 30 ms that most runs do without

    try:
        return GitIgnoreSpec.from_lines(map(one_line, patterns))
    except (ValueError, re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"{flag} has a pattern that cannot be read: {error}", "see gitignore(5)") from None


def _relative(path: bytes, source: bytes) -> bytes | None:
    """A path as the snapshot knows it; None for an absolute one that is not below the source."""
    if path.startswith(b"/"):
        inside = source.rstrip(b"/") + b"/"
        if not (path.rstrip(b"/") + b"/").startswith(inside):
            return None
        path = path[len(inside) :]
    return b"/".join(part for part in path.split(b"/") if part not in (b"", b"."))


def _is_below(path: bytes, directory: bytes) -> bool:
    return not directory or path.startswith(directory + b"/")
