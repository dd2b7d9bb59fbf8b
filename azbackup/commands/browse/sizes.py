"""What is large in a snapshot, by directory, and what of it no other snapshot has. Reads records only, never a pack.

    entries in path order -> a stack of the directories on the way -> those that hold a share of the whole

Holds the directories that are shown, and for `unique` the ids of one snapshot's chunks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from azbackup.format.model import ChunkId, Entry, Kind, Snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.uses import by_full_layer, shown_entries

SHARE = 0.01  # of the whole: what is smaller is not shown


@dataclass
class Directory:
    """The files below a directory, and their bytes; `unique`: those that no other snapshot has, about."""

    path: bytes
    files: int = 0
    size: int = 0
    unique: int = 0

    def add(self, other: Directory) -> None:
        """Takes in what is below another one."""
        self.files += other.files
        self.size += other.size
        self.unique += other.unique


def directories(entries: Iterable[Entry], alone: Collection[ChunkId] = frozenset()) -> list[Directory]:
    """The directories that hold at least SHARE of all bytes, the largest first.

    `alone` are the ids of chunks that no other snapshot has. A hard-linked file counts under each of its names.
    """
    found: list[Directory] = []
    whole = Directory(b"")
    stack = [whole]
    for entry in entries:
        while len(stack) > 1 and not entry.path.startswith(stack[-1].path + b"/"):
            _close(stack, found, whole.size)
        if entry.kind == Kind.DIRECTORY and entry.path:
            stack.append(Directory(entry.path))
        elif entry.kind == Kind.FILE:
            ids = entry.chunk_ids()
            unique = entry.size * sum(each in alone for each in ids) // len(ids) if alone and ids else 0
            stack[-1].add(Directory(b"", 1, entry.size, unique))
    while len(stack) > 1:
        _close(stack, found, whole.size)
    shown = [each for each in found if each.size >= whole.size * SHARE]
    return [whole, *sorted(shown, key=lambda each: (-each.size, each.path))]


def _close(stack: list[Directory], found: list[Directory], known: int) -> None:
    """The directory on top is complete; kept if it may hold its share of the whole, of which so much is known."""
    done = stack.pop()
    stack[-1].add(done)
    if done.size and done.size >= known * SHARE:
        found.append(done)


def chunks_alone(catalog: Catalog, snapshot: Snapshot, snapshots: Sequence[Snapshot]) -> set[ChunkId]:
    """The ids of the chunks of a snapshot that no other one has. Raises Damaged if a record of them is lost."""
    alone: set[ChunkId] = set()
    for entry in catalog.entries(snapshot, whole=True):
        alone.update(entry.chunk_ids())
    for entry in _of_others(catalog, [each for each in snapshots if each.number != snapshot.number]):
        alone.difference_update(entry.chunk_ids())
        if not alone:
            break
    return alone


def _of_others(catalog: Catalog, others: Sequence[Snapshot]) -> Iterator[Entry]:
    for its in by_full_layer(others):
        yield from shown_entries(catalog, its)
