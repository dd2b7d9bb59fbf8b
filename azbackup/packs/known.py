"""Which chunks are stored: what the pack records say, held against the packs that are there.

    pack records -> packs as the container lists them -> ids of the chunks that a backup may count on

Promises that a chunk counts only where a pack that holds it is there with the size and the MD5 of its record, and is
not condemned: retention is going to delete that one. "Not there" is never taken for "nothing was ever stored": a record
without its pack is damage, unless all of its chunks are in other packs, where an earlier run stored them again.
"""

from __future__ import annotations

from azbackup.format.labels import pack_blob
from azbackup.format.model import ChunkId, PackId, split_ids
from azbackup.packs.layout import fault_of
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition


class KnownChunks:
    """The ids of all chunks that a sound pack is known to hold."""

    def __init__(self, partition: Partition, catalog: Catalog) -> None:
        """Reads the pack records, then lists the packs: one that another run adds meanwhile precedes its record."""
        recorded = [(pack_id, record.size, record.md5, record.ids) for pack_id, record in catalog.packs()]
        there = {info.name: info for info in partition.blobs.listed(pack_blob(partition.name, ""))}
        condemned = catalog.retired.condemned
        self.packs: set[PackId] = {pack_id for pack_id, *_ in recorded} | condemned.keys()
        self.ids: set[ChunkId] = set()
        doubtful: list[tuple[PackId, str, bytes]] = []
        for pack_id, size, md5, ids in recorded:
            if pack_id in condemned:
                continue
            fault = fault_of(there.get(pack_blob(partition.name, pack_id)), size, md5)
            if fault:
                doubtful.append((pack_id, fault, ids))
            else:
                self.ids.update(split_ids(ids))
        for pack_id, fault, ids in doubtful:
            if lost := sum(each not in self.ids for each in set(split_ids(ids))):
                partition.records.report(f"pack {pack_id} {fault}: {lost:,} of its chunks are in no other pack")
