"""The entries of the chosen snapshots, under their prefixes: what is meant, and everything that there is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from azbackup.errors import Damaged, NothingStored
from azbackup.format.model import Entry, Snapshot, order
from azbackup.format.paths import check_path
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
    for _, prefix in chosen:
        check_path(prefix)
    paths = {parent for _, prefix in chosen for parent in _parents(prefix)}
    unknown: list[set[bytes]] = []
    for source, (snapshot, prefix) in enumerate(sorted(chosen, key=lambda pair: pair[0].number)):
        seen: list[bytes] = []
        entries = catalog.entries(snapshot)
        watched = selection.watch(_seen(entries, seen) if with_paths else entries, snapshot.source)
        try:
            wanted = selection.of(watched, snapshot.source)
        except Damaged as error:
            if len(chosen) == 1:
                raise
            catalog.records.report(f"{os.fsdecode(snapshot.source)} is not restored: {error.message}")
            continue
        unknown.append(watched.unknown)
        for entry in wanted:
            entry.path = _under(prefix, entry.path)
            entry.device += source << 64  # numbers of different sources say nothing about each other
        meant.update((entry.path, entry) for entry in wanted)
        paths.update(_under(prefix, path) for path in seen)
    _check(meant, set.intersection(*unknown) if unknown else set(), chosen)
    ordered = meant if len(chosen) == 1 else sorted(meant, key=order)
    return [meant[path] for path in ordered], paths


def _seen(entries: Iterator[Entry], paths: list[bytes]) -> Iterator[Entry]:
    """The entries, each of whose paths is added to `paths`."""
    for entry in entries:
        paths.append(entry.path)
        yield entry


def _under(prefix: bytes, path: bytes) -> bytes:
    return prefix + b"/" + path if prefix and path else prefix or path


def _check(meant: Mapping[bytes, Entry], unknown: set[bytes], chosen: Chosen) -> None:
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
