"""What is below each directory of a list: of one level, or of everything as it comes. Pure.

Counted is all that is no directory; bytes are those of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from azbackup.commands.browse.sizes import Directory
from azbackup.format.model import Entry, Kind


@dataclass
class LevelRow:
    """An entry; of a directory also how many files are below it, and their bytes."""

    entry: Entry
    files: int = 0
    size: int = 0


def level(entries: Iterable[Entry], base: bytes) -> Iterator[LevelRow]:
    """`base` itself, and what lies directly in it, from all entries in path order.

    A directory that is not among the entries (a record that is lost hides it) is made up from what is in it.
    """
    held: LevelRow | None = None
    for entry in entries:
        if entry.path == base and entry.kind == Kind.DIRECTORY:
            yield LevelRow(entry)
            continue
        top = _top(entry.path, base)
        if held is None or held.entry.path != top:
            if held is not None:
                yield held
            held = LevelRow(entry if entry.path == top else Entry(top, int(Kind.DIRECTORY)))
        if entry.path != top and entry.kind != Kind.DIRECTORY:
            held.files += 1
            held.size += _bytes(entry)
    if held is not None:
        yield held


def with_totals(entries: Iterable[Entry]) -> Iterator[Entry | Directory]:
    """All entries as they come, in path order; after the last one below a directory that one's totals.

    Holds the directories on the way to the entry in hand. One that is not among the entries has no totals.
    """
    above: list[Directory] = []
    for entry in entries:
        while above and not _is_below(entry.path, above[-1].path):
            yield _complete(above)
        yield entry
        if entry.kind == Kind.DIRECTORY:
            above.append(Directory(entry.path))
        elif above:
            above[-1].add(Directory(b"", 1, _bytes(entry)))
    while above:
        yield _complete(above)


def _complete(above: list[Directory]) -> Directory:
    """Takes the last directory, which counts in the one above it."""
    done = above.pop()
    if above:
        above[-1].add(done)
    return done


def _is_below(path: bytes, directory: bytes) -> bool:
    return not directory or path.startswith(directory + b"/")


def _bytes(entry: Entry) -> int:
    return entry.size if entry.kind == Kind.FILE else 0


def _top(path: bytes, base: bytes) -> bytes:
    """The path directly below `base` that a path is, or lies below."""
    if path == base:
        return path
    start = len(base) + 1 if base else 0
    end = path.find(b"/", start)
    return path if end < 0 else path[:end]
