"""The entries of a snapshot, as they come. Reads records only, never a pack.

What a lost record hides is reported as damage; the rest is listed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from azbackup.errors import Damaged
from azbackup.format.model import Entry, Snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.selection import Selection


class Listing:
    """What a selection means of one snapshot after the other."""

    def __init__(self, catalog: Catalog, selection: Selection) -> None:
        self._catalog = catalog
        self._selection = selection
        self._unknown: list[set[bytes]] = []
        self._whole = True

    def entries(self, snapshot: Snapshot) -> Iterator[Entry]:
        """The entries that are meant, in path order, as they come."""
        watched = self._selection.watch(self._catalog.entries(snapshot), snapshot.source)
        try:
            yield from self._selection.among(watched, snapshot.source)
        except Damaged as error:
            self._whole = False
            text = f"snapshot {snapshot.number} of {os.fsdecode(snapshot.source)} is not listed to its end"
            self._catalog.records.report(f"{text}: {error.message}")
            return
        self._unknown.append(watched.unknown)

    @property
    def unknown(self) -> list[bytes]:
        """The paths, as they were given, that no snapshot has; none when one of them could not be read to its end."""
        return sorted(set.intersection(*self._unknown)) if self._whole and self._unknown else []
