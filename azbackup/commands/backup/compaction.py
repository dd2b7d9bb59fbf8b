"""Layers that stay few and small: a run's own layer takes in those below it that it has outgrown.

    [full, 4n, n, n] and n new -> [full, 4n, 3n]        a log-structured merge

Each entry is written again a few times in ten years, however often a backup runs, and a state has a score of layers at
most. Promises that the layers together say what they said before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from azbackup.errors import Damaged
from azbackup.format.layers import Hole, Item, merge, read_entries
from azbackup.format.model import Entry, Layer, SealedRecord
from azbackup.format.patches import Patch
from azbackup.records.catalog import Catalog
from azbackup.records.layer_rows import size_of

_SHARE = 0.75  # a layer that is smaller than this share of all above it goes into the new one; the full one at 1


def kept_below(layers: list[Layer]) -> int:
    """How many of the layers, the new one last, stay below it as they are."""
    kept = len(layers) - 1
    above = size_of(layers[kept])
    for place in reversed(range(kept)):
        size = size_of(layers[place])
        if size < above * (_SHARE if place else 1):
            kept = place
        above += size
    return kept


def compacted(
    catalog: Catalog,
    below: list[Layer],
    own: Layer,
    rows: list[SealedRecord],
    write: Callable[[Iterable[Entry | Patch]], tuple[Layer, list[SealedRecord]]],
) -> tuple[list[Layer], list[SealedRecord]]:
    """The layers of the snapshot to be, and the records of its own one; `rows` are those of `own` before.

    `write` makes a layer of entries. What of the layers below cannot be read leaves them as they are.
    """
    kept = kept_below([*below, own])
    if kept == len(below):
        return [*below, own], rows
    try:
        layer, merged = write(_merged(catalog, below[kept:], rows, full=not kept))
    except Damaged:
        return [*below, own], rows
    return ([*below[:kept], layer], merged) if merged else ([*below, own], rows)


def _merged(catalog: Catalog, below: list[Layer], rows: list[SealedRecord], *, full: bool) -> Iterator[Entry | Patch]:
    """What some layers and the new one above them say. Raises Damaged if that is not whole."""
    above: Iterator[Item] = read_entries(map(catalog.records.open_sealed, rows))
    lowest, *others = catalog.layers(below, whole=True, full=full)
    for layer in reversed(others):
        above = merge(layer, above, None, final=False)
    for item in merge(lowest, above, None, final=full):
        assert not isinstance(item, Hole)  # it was Damaged
        yield item
