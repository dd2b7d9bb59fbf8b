"""Which files of which snapshots miss something: told once the chunks that are nowhere are known.

A run's entry is in every snapshot that stands on the run's layer, unless a later layer of that snapshot has the path,
too. Only the layers of sources that are touched are read once more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from azbackup.format.layers import Hole
from azbackup.format.model import Kind, Snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.snapshots import Source, source_of


class LostEntry(NamedTuple):
    """A file as a run's layer has it, some of whose chunks are nowhere."""

    run: str
    path: bytes
    size: int
    chunks: bytes


class TouchedFile(NamedTuple):
    """A file that cannot be restored whole, and the snapshots that have it so."""

    source: Source
    path: bytes
    size: int
    snapshots: list[int]

    def __str__(self) -> str:
        """In words."""
        where = os.fsdecode(self.source.path.rstrip(b"/") + b"/" + self.path)
        return f"{where} on {self.source.host}, {spans_text(self.snapshots)}"


def spans_text(numbers: Iterable[int]) -> str:
    """Numbers of snapshots, as in: snapshot 3; snapshots 3-17, 20."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    single = len(spans) == 1 and spans[0][0] == spans[0][1]
    texts = (f"{first}-{last}" if first != last else str(first) for first, last in spans)
    return f"snapshot{'s' * (not single)} {', '.join(texts)}"


def users_text(snapshots: list[Snapshot], run: str) -> str:
    """The snapshots that stand on a run's layer, and their source, in words."""
    users = [snapshot for snapshot in snapshots if any(layer.run == run for layer in snapshot.layers)]
    return f"{spans_text(snapshot.number for snapshot in users)} of {source_of(users[0])}"


def touched_files(catalog: Catalog, snapshots: list[Snapshot], lost: list[LostEntry]) -> list[TouchedFile]:
    """The files that are touched, by source and path."""
    by_run: dict[str, dict[bytes, int]] = {}
    for entry in lost:
        by_run.setdefault(entry.run, {})[entry.path] = entry.size
    by_source: dict[Source, list[Snapshot]] = {}
    for snapshot in snapshots:
        by_source.setdefault(source_of(snapshot), []).append(snapshot)
    found: list[TouchedFile] = []
    for source, its in sorted(by_source.items()):
        runs = {layer.run for snapshot in its for layer in snapshot.layers} & by_run.keys()
        if runs:
            found += _of_source(catalog, source, its, {run: by_run[run] for run in runs})
    return found


def _of_source(
    catalog: Catalog, source: Source, snapshots: list[Snapshot], lost: dict[str, dict[bytes, int]]
) -> list[TouchedFile]:
    paths = {path for its in lost.values() for path in its}
    says: dict[str, dict[bytes, int]] = {}  # by run: what its layer says of the paths, -1 for nothing that is lost
    having: dict[bytes, list[int]] = {}
    sizes: dict[bytes, int] = {}
    for snapshot in snapshots:
        if not any(layer.run in lost for layer in snapshot.layers):
            continue
        state: dict[bytes, int] = {}
        for layer in _read(catalog, snapshot, paths, lost, says):
            state.update(layer)
        for path, size in state.items():
            if size >= 0:
                having.setdefault(path, []).append(snapshot.number)
                sizes[path] = size
    return [TouchedFile(source, path, sizes[path], numbers) for path, numbers in sorted(having.items())]


def _read(
    catalog: Catalog,
    snapshot: Snapshot,
    paths: set[bytes],
    lost: dict[str, dict[bytes, int]],
    says: dict[str, dict[bytes, int]],
) -> list[dict[bytes, int]]:
    """What the layers of a snapshot say of some paths; layers that were read before are not read again."""
    if any(layer.run not in says for layer in snapshot.layers):
        for layer, items in zip(snapshot.layers, catalog.layers(snapshot.layers), strict=True):
            if layer.run in says:
                continue
            its = lost.get(layer.run, {})
            entries = (item for item in items if not isinstance(item, Hole) and item.path in paths)
            says[layer.run] = {
                entry.path: its.get(entry.path, -1) if entry.kind == Kind.FILE else -1 for entry in entries
            }
    return [says[layer.run] for layer in snapshot.layers]
