"""The entries of the chosen snapshots, under their prefixes: what is meant, and everything that there is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from azbackup.errors import Damaged, NothingStored
from azbackup.filesystem.destination import check_path
from azbackup.format.model import Entry, Snapshot, order
from azbackup.records.catalog import Catalog
from azbackup.records.selection import Selection

Chosen = Sequence[tuple[Snapshot, bytes]]  # each snapshot with its prefix in the destination, '' for none


def target_entries(
    catalog: Catalog, chosen: Chosen, selection: Selection, *, with_paths: bool
) -> tuple[list[Entry], set[bytes]]:
    """(the entries that are meant, in path order; all paths that may be in the destination, if asked for).

    Where two snapshots both have a path the newer one counts. NothingStored where nothing is meant: mostly a slip.
    Of a part of a snapshot only that part is held in memory.
    """
    meant: dict[bytes, Entry] = {}
    paths = {parent for _, prefix in chosen for parent in _parents(prefix)}
    unknown: list[set[bytes]] = []
    for snapshot, prefix in sorted(chosen, key=lambda pair: pair[0].number):
        watched = _Watched(catalog.entries(snapshot), selection.roots(snapshot.source), with_paths)
        try:
            wanted = selection.of(watched, snapshot.source)
        except Damaged as error:
            if len(chosen) == 1:
                raise
            catalog.records.damage.append(f"{os.fsdecode(snapshot.source)} is not restored: {error.message}")
            continue
        unknown.append(set(selection.unknown(watched.found, snapshot.source)))
        for entry in wanted:
            entry.path = _under(prefix, entry.path)
        meant.update((entry.path, entry) for entry in wanted)
        paths.update(_under(prefix, path) for path in watched.paths)
    _check(bool(meant), set.intersection(*unknown) if unknown else set(), chosen)
    ordered = meant if len(chosen) == 1 else sorted(meant, key=order)
    return [meant[path] for path in ordered], paths


class _Watched:
    """Entries on their way through: checked, and what is to be known of all of them noted."""

    def __init__(self, entries: Iterator[Entry], roots: set[bytes], with_paths: bool) -> None:
        self._entries = entries
        self._roots = roots
        self._with_paths = with_paths
        self.found: set[bytes] = set()  # those of the roots that are there
        self.paths: list[bytes] = []

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            check_path(entry.path)
            if entry.path in self._roots:
                self.found.add(entry.path)
            if self._with_paths:
                self.paths.append(entry.path)
            yield entry


def _under(prefix: bytes, path: bytes) -> bytes:
    return prefix + b"/" + path if prefix and path else prefix or path


def _check(meant: bool, unknown: set[bytes], chosen: Chosen) -> None:
    """NothingStored for a path that no snapshot has, and where nothing at all is meant."""
    sources = ", ".join(os.fsdecode(snapshot.source) for snapshot, _ in chosen)
    hint = f"give paths as they are below {sources}, patterns as in .gitignore"
    if unknown:
        raise NothingStored(f"{os.fsdecode(min(unknown))} is not in the snapshot", hint)
    if not meant:
        raise NothingStored("nothing in the snapshot matches the paths and patterns", hint)


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]
