"""Finished packs on their way: the pack first, then its record, behind the back of the run that fills the next one.

A killed run leaves at worst a pack without a record, which nothing refers to; every pack whose record has landed is
known to the next run.
"""

from __future__ import annotations

from azbackup.background import Background
from azbackup.catalog import encode_pack
from azbackup.formats import PACK_PREFIX, pack_blob
from azbackup.packer import Pack
from azbackup.records import Records
from azbackup.stores import BlobStore, Row

_IN_FLIGHT = 2  # packs of 64 MiB: what bounds the memory of a backup


class Uploads:
    """The packs of one run. Not for use by two threads."""

    def __init__(self, blobs: BlobStore, records: Records, partition: str, tier: str) -> None:
        self._blobs = blobs
        self._records = records
        self._partition = partition
        self._tier = tier
        self._workers: Background[None] = Background(_IN_FLIGHT, _IN_FLIGHT)
        self.packs = 0
        self.size = 0

    def send(self, pack: Pack) -> None:
        """Uploads a pack and then writes its record, in the background. Raises what an earlier one met."""

        def both() -> None:
            row = self._upload(pack)
            self._records.put_copies([row])
            self._records.insert([row])

        self._count(pack)
        self._workers.submit(both)

    def send_last(self, pack: Pack | None) -> list[Row]:
        """Waits for all packs and uploads the last one, whose record is given back: it is committed with the rest."""
        self._workers.join()
        self._workers.stop()
        if pack is None:
            return []
        self._count(pack)
        return [self._upload(pack)]

    def _count(self, pack: Pack) -> None:
        self.packs += 1
        self.size += len(pack.data)

    def _upload(self, pack: Pack) -> Row:
        self._blobs.put_new(pack_blob(self._partition, pack.pack_id), pack.data, self._tier, pack.record.md5)
        pack.record.tier = self._tier
        return self._records.seal(PACK_PREFIX + pack.pack_id, encode_pack(pack.record))
