"""Which chunks some snapshots use: what can be seen of their layers, gone through once. Reads records only.

    layers of the snapshots -> merged by path -> at each path the versions that a snapshot shows -> their chunks

Promises all or nothing: where a record is lost, nobody knows what it used, and Damaged is raised. Memory: the ids of
the chunks that are used.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from azbackup.errors import Damaged
from azbackup.format.layers import Hole, Item
from azbackup.format.model import ChunkId, Entry, Kind, Layer, Snapshot, order
from azbackup.records.catalog import Catalog


def used_chunks(catalog: Catalog, snapshots: Iterable[Snapshot]) -> set[ChunkId]:
    """The ids of all chunks that the snapshots use. Raises Damaged if a record of them is lost."""
    used: set[ChunkId] = set()
    for its in by_full_layer(snapshots):
        for entry in shown_entries(catalog, its):
            used.update(entry.chunk_ids())
    return used


def by_full_layer(snapshots: Iterable[Snapshot]) -> list[list[Snapshot]]:
    """The snapshots that stand on one full layer, together."""
    standing: dict[str, list[Snapshot]] = {}
    for snapshot in snapshots:
        standing.setdefault(snapshot.layers[0].run, []).append(snapshot)
    return list(standing.values())


def shown_entries(catalog: Catalog, snapshots: list[Snapshot]) -> Iterator[Entry]:
    """The entries that at least one of the snapshots shows, each version once, in path order.

    The snapshots stand on one full layer. Raises Damaged if a record is lost.
    """
    layers: dict[str, Layer] = {}
    for snapshot in snapshots:
        for layer in snapshot.layers:
            if layers.setdefault(layer.run, layer) != layer:
                raise Damaged(f"snapshot {snapshot.number} says of run {layer.run} what others do not")
    places = {run: place for place, run in enumerate(layers)}
    # Of each snapshot the places of its layers, the newest first: of these the first one that has a path decides.
    stacks = {tuple(places[layer.run] for layer in reversed(snapshot.layers)) for snapshot in snapshots}
    streams = catalog.layers(list(layers.values()), whole=True)
    merged = heapq.merge(*(_placed(place, stream) for place, stream in enumerate(streams)))
    for _, group in groupby(merged, key=itemgetter(0)):
        versions = {place: entry for _, place, entry in group}
        if len(versions) > 1:
            shown = {next((place for place in stack if place in versions), -1) for stack in stacks}
            versions = {place: entry for place, entry in versions.items() if place in shown}
        for entry in versions.values():
            if entry.kind != Kind.REMOVED:
                yield entry


def _placed(place: int, items: Iterator[Item]) -> Iterator[tuple[bytes, int, Entry]]:
    for item in items:
        if isinstance(item, Hole):
            raise Damaged(f"{item} are not known")
        yield order(item.path), place, item
