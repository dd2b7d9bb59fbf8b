"""What a backup rewrites: which chunks of the last snapshot lie in packs that are hardly needed, or are small.

    entries of the last snapshot -> its chunks, and those of files too large for the budget, or unreadable
      -> anything due? -> what the newest snapshots of the other sources need -> packs.rewriting.Rewriting

Reads records only. Where a record is lost nothing is rewritten: nobody knows what is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from azbackup.errors import Damaged
from azbackup.format.labels import PACK_BYTES
from azbackup.format.model import ChunkId, Entry, Kind, Snapshot
from azbackup.packs.known import SoundPack
from azbackup.packs.rewriting import Needs, Rewriting, Terms, due_chunks, may_be_due
from azbackup.records.catalog import Catalog
from azbackup.records.snapshots import latest_by_source, source_of
from azbackup.records.uses import used_chunks

LEAST_BUDGET = PACK_BYTES  # however small the tree: a full pack


class Rewrite(NamedTuple):
    """What is asked for: packs of which less than `below` percent are needed, and a budget in percent of the tree.

    `days`: how long a pack of each tier is paid for at least. `is_over`: whether there is no time left for it.
    """

    below: float
    budget: float
    days: Mapping[str, int]
    is_over: Callable[[], bool] | None = None


class Base(NamedTuple):
    """The last snapshot of the source, all snapshots, and whether a file of it is read anyway."""

    parent: Snapshot
    snapshots: Sequence[Snapshot]
    is_read: Callable[[Entry], bool]


def planned(wish: Rewrite, catalog: Catalog, base: Base, packs: Sequence[SoundPack], now: float) -> Rewriting | None:
    """What is to be rewritten, None for nothing. `now` is Unix time."""
    terms = Terms(wish.below, wish.days, now)
    if not may_be_due(packs, terms):
        return None
    budget = max(LEAST_BUDGET, int(base.parent.totals.size * wish.budget / 100))
    try:
        needs = _own(catalog, base, budget)
        if not due_chunks(packs, needs, terms):
            return None
        latest = latest_by_source(base.snapshots)
        latest.pop(source_of(base.parent), None)
        due = due_chunks(packs, needs._replace(others=used_chunks(catalog, latest.values())), terms)
    except Damaged:
        return None
    return Rewriting(due, budget, wish.is_over) if due else None


def _own(catalog: Catalog, base: Base, budget: int) -> Needs:
    """What the last snapshot needs; stuck is what only files have that are not read, whatever is due."""
    movable: set[ChunkId] = set()
    heavy: set[ChunkId] = set()
    unreadable = frozenset(base.parent.unreadable)
    below = tuple(path + b"/" if path else b"" for path in unreadable)
    for entry in catalog.entries(base.parent, whole=True):
        if entry.kind != Kind.FILE or not entry.chunks:
            continue
        stays = entry.path in unreadable or entry.path.startswith(below)
        if stays or (entry.size > budget and not base.is_read(entry)):
            heavy.update(entry.chunk_ids())
        else:
            movable.update(entry.chunk_ids())
    heavy -= movable
    return Needs(movable | heavy if heavy else movable, heavy)
