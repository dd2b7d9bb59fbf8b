"""The entries of a snapshot, as they come. Reads records only, never a pack.

What a lost record hides is reported as damage; the rest is listed.
"""

from __future__ import annotations

from collections.abc import Iterator

from azbackup.format.model import Entry, Snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.selection import Selection
from azbackup.records.snapshots import not_known


class Listing:
    """What a selection means of one snapshot after the other."""

    def __init__(self, catalog: Catalog, selection: Selection) -> None:
        self._catalog = catalog
        self._selection = selection
        self._unknown: list[set[bytes]] = []

    def entries(self, snapshot: Snapshot) -> Iterator[Entry]:
        """The entries that are meant, in path order, as they come."""
        state = self._catalog.entries(snapshot)
        watched = self._selection.watch(state, snapshot.source)
        yield from self._selection.among(watched, snapshot.source)
        for path in sorted(hidden := watched.hidden(state)):
            self._catalog.records.report(not_known(path, snapshot))
        self._unknown.append(watched.unknown - hidden)

    @property
    def unknown(self) -> list[bytes]:
        """The paths, as they were given, that no snapshot has, for all that is known."""
        return sorted(set.intersection(*self._unknown)) if self._unknown else []
