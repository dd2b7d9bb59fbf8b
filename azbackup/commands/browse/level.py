"""One level of a snapshot: what lies directly in a directory, each directory there with all that is below it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
            held.size += entry.size if entry.kind == Kind.FILE else 0
    if held is not None:
        yield held


def _top(path: bytes, base: bytes) -> bytes:
    """The path directly below `base` that a path is, or lies below."""
    if path == base:
        return path
    start = len(base) + 1 if base else 0
    end = path.find(b"/", start)
    return path if end < 0 else path[:end]
