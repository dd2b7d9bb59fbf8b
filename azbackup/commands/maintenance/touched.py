"""Which files of which snapshots miss something: told once the chunks that are nowhere are known.

A run's entry is in every snapshot that stands on the run's layer, unless a later layer of that snapshot has the path,
too. Only the layers of sources that are touched are read once more.
"""

from __future__ import annotations

import hashlib
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
    """A file that cannot be restored whole, and the snapshots that have it so.

    `subject` names its contents, whatever the path: what is acknowledged where they are lost for good.
    """

    source: Source
    path: bytes
    size: int
    snapshots: list[int]
    subject: str

    def __str__(self) -> str:
        """In words."""
        where = os.fsdecode(self.source.path.rstrip(b"/") + b"/" + self.path)
        return f"{where} on {self.source.host}, {spans_text(self.snapshots)}"


_Says = dict[bytes, "LostEntry | None"]  # what a layer says of a path: None for nothing that is lost


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
    by_run: dict[str, dict[bytes, LostEntry]] = {}
    for entry in lost:
        by_run.setdefault(entry.run, {})[entry.path] = entry
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
    catalog: Catalog, source: Source, snapshots: list[Snapshot], lost: dict[str, dict[bytes, LostEntry]]
) -> list[TouchedFile]:
    paths = {path for its in lost.values() for path in its}
    says: dict[str, _Says] = {}
    having: dict[tuple[bytes, str], list[int]] = {}  # by path and subject
    sizes: dict[bytes, int] = {}
    for snapshot in snapshots:
        if not any(layer.run in lost for layer in snapshot.layers):
            continue
        state: _Says = {}
        for layer in _read(catalog, snapshot, paths, lost, says):
            state.update(layer)
        for path, entry in state.items():
            if entry is not None:
                having.setdefault((path, _subject(entry)), []).append(snapshot.number)
                sizes[path] = entry.size
    return [
        TouchedFile(source, path, sizes[path], numbers, subject) for (path, subject), numbers in sorted(having.items())
    ]


def _subject(entry: LostEntry) -> str:
    return "contents-" + hashlib.blake2b(entry.chunks, digest_size=8).hexdigest()


def _read(
    catalog: Catalog,
    snapshot: Snapshot,
    paths: set[bytes],
    lost: dict[str, dict[bytes, LostEntry]],
    says: dict[str, _Says],
) -> list[_Says]:
    """What the layers of a snapshot say of some paths; layers that were read before are not read again."""
    if any(layer.run not in says for layer in snapshot.layers):
        for layer, items in zip(snapshot.layers, catalog.layers(snapshot.layers), strict=True):
            if layer.run in says:
                continue
            its = lost.get(layer.run, {})
            entries = (item for item in items if not isinstance(item, Hole) and item.path in paths)
            says[layer.run] = {
                entry.path: its.get(entry.path) if entry.kind == Kind.FILE else None for entry in entries
            }
    return [says[layer.run] for layer in snapshot.layers]
