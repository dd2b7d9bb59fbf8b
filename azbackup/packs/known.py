"""Which chunks are stored: what the pack records say, held against the packs that are there.

    pack records -> packs as the container lists them -> ids of the chunks that a backup may count on

Promises that a chunk counts only where a pack that holds it is there with the size and the MD5 of its record, and is
not condemned: retention is going to delete that one. "Not there" is never taken for "nothing was ever stored": a record
without its pack is damage, unless all of its chunks are in other packs, where an earlier run stored them again.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

from azbackup.format.labels import PACK_MAGIC, pack_blob
from azbackup.format.model import ChunkId, PackId, PackRecord, split_ids
from azbackup.packs.layout import fault_of
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition
from azbackup.storage.protocols import BlobInfo


def since(info: BlobInfo) -> float:
    """Since when a pack is paid for in its tier, by Unix time."""
    return max(info.created or info.modified, info.moved)


class SoundPack(NamedTuple):
    """A pack that is there as its record says: bytes, ids and sealed lengths of its chunks but padding, Unix time."""

    pack_id: PackId
    size: int
    ids: bytes
    sealed: array[int]
    tier: str
    made: float

    @property
    def contents(self) -> int:
        """Its bytes without the padding: only they can be needed."""
        return len(PACK_MAGIC) + sum(self.sealed)


class KnownChunks:
    """The ids of all chunks that a sound pack is known to hold; the packs themselves in `sound`, if they are wanted."""

    def __init__(self, partition: Partition, catalog: Catalog, *, whole: bool = False) -> None:
        """Reads the pack records, then lists the packs: one that another run adds meanwhile precedes its record.

        `whole`: the packs are wanted, not the ids alone.
        """
        self._whole = whole
        recorded = [(pack_id, *self._kept(record)) for pack_id, record in catalog.packs()]
        there = {info.name: info for info in partition.blobs.listed(pack_blob(partition.name, ""))}
        condemned = catalog.retired.condemned
        self.packs: set[PackId] = {pack_id for pack_id, *_ in recorded} | condemned.keys()
        self.ids: set[ChunkId] = set()
        self.sound: list[SoundPack] = []
        doubtful: list[tuple[PackId, str, bytes]] = []
        for pack_id, size, md5, ids, sealed in recorded:
            if pack_id in condemned:
                continue
            info = there.get(pack_blob(partition.name, pack_id))
            fault = fault_of(info, size, md5)
            if info is None or fault:
                doubtful.append((pack_id, fault, ids))
                continue
            self.ids.update(split_ids(ids))
            if self._whole:
                self.sound.append(SoundPack(pack_id, size, ids, sealed, info.tier, since(info)))
        for pack_id, fault, ids in doubtful:
            if lost := sum(each not in self.ids for each in set(split_ids(ids))):
                partition.records.report(f"pack {pack_id} {fault}: {lost:,} of its chunks are in no other pack")

    def _kept(self, record: PackRecord) -> tuple[int, bytes, bytes, array[int]]:
        """Size, MD5, ids but for the padding, and the lengths if they are wanted, in as little memory as they take."""
        lengths = array("I", record.content_lengths if self._whole else ())
        return record.size, record.md5, record.content_ids, lengths

    def adopt(self, pack_id: PackId, record: PackRecord, made: float) -> None:
        """Takes a pack, made then, that was found sound though no record tells of it."""
        sealed = array("I", record.content_lengths)
        self.sound.append(SoundPack(pack_id, record.size, record.content_ids, sealed, record.tier, made))
