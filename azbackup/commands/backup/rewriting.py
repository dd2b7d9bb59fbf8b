"""What a backup rewrites: which chunks of the last snapshot lie in packs that are hardly needed, or are small.

    entries of the last snapshot -> its chunks, and those of files that were unreadable
      -> anything due? -> what the newest snapshots of the other sources need -> packs.rewriting.Rewriting

Reads records only. Where a record is lost nothing is rewritten: nobody knows what is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple

from azbackup.errors import Damaged
from azbackup.format.labels import CHUNK_ID_BYTES, PACK_BYTES
from azbackup.format.model import ChunkId, Kind, PackRecord, Snapshot, split_ids
from azbackup.packs.index import ChunkIndex
from azbackup.packs.known import SoundPack
from azbackup.packs.rewriting import Needs, Rewriting, Terms, due_packs, may_be_due, within
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
    """The last snapshot of the source, and all snapshots."""

    parent: Snapshot
    snapshots: Sequence[Snapshot]


def planned(wish: Rewrite, catalog: Catalog, base: Base, packs: Sequence[SoundPack], now: float) -> Rewriting | None:
    """What is to be rewritten, None for nothing. `now` is Unix time."""
    terms = Terms(wish.below, wish.days, now)
    if not may_be_due(packs, terms):
        return None
    budget = max(LEAST_BUDGET, int(base.parent.totals.size * wish.budget / 100))
    files: list[bytes] = []
    try:
        needs = _own(catalog, base.parent, files)
        if not due_packs(packs, needs, terms):
            return None
        latest = latest_by_source(base.snapshots)
        latest.pop(source_of(base.parent), None)
        due = due_packs(packs, needs._replace(others=used_chunks(catalog, latest.values())), terms)
    except Damaged:
        return None
    chunks, left = within(due, budget)
    return Rewriting(chunks, budget, _places(files, chunks, packs), wish.is_over, left) if chunks else None


def _own(catalog: Catalog, parent: Snapshot, files: list[bytes]) -> Needs:
    """What the last snapshot needs; stuck is what only files have that could not be read. `files` gets the large ones.

    They are those of several chunks, of each the ids.
    """
    movable: set[ChunkId] = set()
    stuck: set[ChunkId] = set()
    unreadable = frozenset(parent.unreadable)
    below = tuple(path + b"/" if path else b"" for path in unreadable)
    for entry in catalog.entries(parent, whole=True):
        if entry.kind != Kind.FILE or not entry.chunks:
            continue
        if entry.path in unreadable or entry.path.startswith(below):
            stuck.update(entry.chunk_ids())
            continue
        movable.update(entry.chunk_ids())
        if len(entry.chunks) > CHUNK_ID_BYTES:
            files.append(entry.chunks)
    stuck -= movable
    return Needs(movable | stuck if stuck else movable, stuck)


def _places(files: Sequence[bytes], due: Set[ChunkId], packs: Sequence[SoundPack]) -> ChunkIndex:
    """Knows how long each chunk is of the large files that have one which is due."""
    index = ChunkIndex(chunks for chunks in files if not due.isdisjoint(split_ids(chunks)))
    index.add(
        (
            (pack.pack_id, PackRecord(pack.size, b"", pack.tier, pack.ids, list(pack.sealed), list(pack.plain)))
            for pack in packs
        ),
        lambda *_: 0,
    )
    index.choose()
    return index
