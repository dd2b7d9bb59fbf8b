"""Which chunks some snapshots use: what can be seen of their layers, gone through once. Reads records only.

    layers of the snapshots -> merged by path -> at each path the versions that a snapshot shows -> their chunks

Promises all or nothing: where a record is lost, nobody knows what it used, and Damaged is raised. Memory: the ids of
the chunks that are used.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from operator import itemgetter

from azbackup.errors import Damaged
from azbackup.format.layers import Hole, Item
from azbackup.format.model import ChunkId, Entry, Kind, Layer, Snapshot, order
from azbackup.format.patches import Patch, whole
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
    stacks, groups = _by_path(catalog, snapshots)
    for versions in groups:
        if len(versions) == 1 and isinstance(entry := next(iter(versions.values())), Entry):  # nearly always
            shown: Iterable[Entry] = (entry,)
        else:
            shown = (_whole(stack) for stack in _shown(stacks, versions).values())
        for entry in shown:
            if entry.kind != Kind.REMOVED:
                yield entry


def shown_patches(catalog: Catalog, snapshots: list[Snapshot]) -> Iterator[tuple[str, bytes, Callable[[], Entry]]]:
    """(run, path, what gives the entry) of each patch that at least one of the snapshots shows, in path order.

    The same holds of them. Raises Damaged if a record is lost; what gives the entry does if it cannot be put together.
    """
    stacks, groups = _by_path(catalog, snapshots)
    for versions in groups:
        if any(isinstance(version, Patch) for version in versions.values()):
            for run, stack in _shown(stacks, versions).items():
                if isinstance(stack[0], Patch):
                    yield run, stack[0].path, partial(_whole, stack)


_Versions = dict[str, Entry | Patch]  # of one path, by run


def _by_path(catalog: Catalog, snapshots: list[Snapshot]) -> tuple[set[tuple[str, ...]], Iterator[_Versions]]:
    """Of each snapshot the runs of its layers, the newest first; and what they say of each path, in path order."""
    layers: dict[str, Layer] = {}
    for snapshot in snapshots:
        for layer in snapshot.layers:
            if layers.setdefault(layer.run, layer) != layer:
                raise Damaged(f"snapshot {snapshot.number} says of run {layer.run} what others do not")
    stacks = {tuple(layer.run for layer in reversed(snapshot.layers)) for snapshot in snapshots}
    streams = zip(layers, catalog.layers(list(layers.values()), whole=True), strict=True)
    merged = heapq.merge(*(_placed(run, stream) for run, stream in streams))
    return stacks, ({run: item for _, run, item in group} for _, group in groupby(merged, key=itemgetter(0)))


def _shown(stacks: set[tuple[str, ...]], versions: _Versions) -> dict[str, list[Entry | Patch]]:
    """The versions of a path that are shown, by run: those of a snapshot, the newest first, which decides.

    Whatever lies below a patch, it makes the same of it: one snapshot for each is enough.
    """
    having = {tuple(run for run in stack if run in versions) for stack in stacks}
    return {runs[0]: [versions[run] for run in runs] for runs in having if runs}


def _whole(stack: list[Entry | Patch]) -> Entry:
    try:
        return whole(stack)
    except Damaged as error:
        raise Damaged(f"the entry of {os.fsdecode(stack[0].path)!r} is not known: {error.message}") from None


def _placed(run: str, items: Iterator[Item]) -> Iterator[tuple[bytes, str, Entry | Patch]]:
    for item in items:
        if isinstance(item, Hole):
            raise Damaged(f"{item} are not known")
        yield order(item.path), run, item
