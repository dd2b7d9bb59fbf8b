"""The entries of the chosen snapshots, under their prefixes: what is meant, and everything that there is."""

from __future__ import annotations

import os
from collections.abc import Sequence

from azbackup.catalog import Catalog
from azbackup.errors import Damaged, NothingStored
from azbackup.model import Entry, Kind, Snapshot, order
from azbackup.selection import Selection
from azbackup.writer import check_path

Chosen = Sequence[tuple[Snapshot, bytes]]  # each snapshot with its prefix in the destination, '' for none


def gather(catalog: Catalog, chosen: Chosen, selection: Selection) -> tuple[list[Entry], set[bytes]]:
    """(the entries that are meant, in path order; all paths that may be in the destination).

    Where two snapshots both have a path the newer one counts. NothingStored where nothing is meant: mostly a slip.
    """
    meant: dict[bytes, Entry] = {}
    paths = {parent for _, prefix in chosen for parent in _parents(prefix)}
    unknown: list[set[bytes]] = []
    for snapshot, prefix in sorted(chosen, key=lambda pair: pair[0].number):
        try:
            entries = list(catalog.entries(snapshot))
        except Damaged as error:
            if len(chosen) == 1:
                raise
            catalog.records.damage.append(f"{os.fsdecode(snapshot.source)} is not restored: {error.message}")
            continue
        for entry in entries:
            check_path(entry.path)
        unknown.append(set(selection.unknown({entry.path for entry in entries}, snapshot.source)))
        wanted = selection.of(entries, snapshot.source)
        if prefix:
            for entry in entries:
                entry.path = prefix + b"/" + entry.path if entry.path else prefix
        meant.update((entry.path, entry) for entry in wanted)
        paths.update(entry.path for entry in entries)
    _check(bool(meant), set.intersection(*unknown) if unknown else set(), chosen)
    return [meant[path] for path in sorted(meant, key=order)], paths


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


def hard_links(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The files; those that are hard links to one of them stand with it."""
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        if entry.kind == Kind.FILE:
            linked = (entry.device, entry.inode, entry.size, entry.mtime_ns, entry.chunks)
            groups.setdefault(linked if entry.links > 1 else entry.path, []).append(entry)
    return list(groups.values())
