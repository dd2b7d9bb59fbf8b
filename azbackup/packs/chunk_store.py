"""Chunks into packs: what no pack holds yet is compressed, sealed, packed and sent; the rest costs nothing.

    split -> (known chunk? stop here) -> compress -> seal -> pack, padded -> upload

Which chunks are known is read from the pack records when the first chunk is asked for, so that a run that reads no
file never asks. Packs that a killed run had uploaded are adopted from the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from azbackup.crypto.sealing import SEAL_BYTES, seal_chunk
from azbackup.errors import Damaged
from azbackup.format.labels import PACK_PREFIX, pack_blob
from azbackup.format.model import ChunkId, PackId, PackRecord, SealedRecord, split_ids
from azbackup.format.payloads import decode_pack
from azbackup.packs.compressor import Body, Compressor
from azbackup.packs.hasher import Hasher
from azbackup.packs.ids import ChunkIds
from azbackup.packs.known import KnownChunks, SoundPack
from azbackup.packs.layout import fault_of
from azbackup.packs.packer import Packer
from azbackup.packs.padding import seal_padding
from azbackup.packs.run import Run
from azbackup.packs.uploader import PackUploader
from azbackup.progress import Work
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition

if TYPE_CHECKING:
    from azbackup.packs.rewriting import Rewriting

Tell = Callable[[Work, int], None]


def _silent(_work: Work, _size: int) -> None:
    """Nobody wants to know."""


def not_condemned(catalog: Catalog, rows: list[SealedRecord]) -> list[SealedRecord]:
    """Those records of packs that retention has not condemned: what had no record for a month may be."""
    return [row for row in rows if row.name.removeprefix(PACK_PREFIX) not in catalog.retired.condemned]


class ChunkStore:
    """The chunks of one partition, as one run sees and extends them. Not for use by two threads."""

    def __init__(self, partition: Partition, catalog: Catalog, run: Run, tell: Tell = _silent, *, fresh: bool) -> None:
        """`fresh`: nothing is stored yet, so nothing needs to be read. `tell` hears what becomes of the bytes."""
        self._rewriting: Rewriting | None = None
        self._adopted: list[tuple[PackId, PackRecord, float]] = []  # of a killed run, and when each was made
        self._tell = tell
        self._partition = partition
        self._catalog = catalog
        self._journal = run.journal
        self._hasher = Hasher(partition.keys)
        self._chunk_key = partition.keys.chunk_key.reveal()
        self._compressor = Compressor()
        self._packer = Packer(lambda: PackId(run.clock.new_stamp()), partial(seal_padding, partition.keys))
        self._uploads = PackUploader(partition, run, self._packer.recycle)
        self._run = run
        self._index: KnownChunks | None = None
        self._known: ChunkIds | None = ChunkIds(run.scratch) if fresh else None
        if self._journal is not None and not fresh and self._journal.rows():
            self._chunks()  # before the journal is forgotten, even if this run stores nothing

    @property
    def packs(self) -> int:
        """How many packs this run has made so far."""
        return self._uploads.packs

    @property
    def size(self) -> int:
        """Their bytes."""
        return self._uploads.size

    def store(self, descriptor: int, size_hint: int, limit: int) -> tuple[bytes, int]:
        """(chunk ids, bytes read) of a file from the descriptor's position on, at most `limit` bytes of it.

        Raises OSError if that fails.
        """
        ids = []
        size = 0
        known = self._chunks()
        for chunk_id, plain in self._hasher.split(descriptor, size_hint, limit):
            ids.append(chunk_id)
            size += len(plain)
            if chunk_id not in known and not self._came_since(chunk_id):
                known.add(chunk_id)
                self._seal(self._compressor.add(chunk_id, plain))
            elif self._rewriting is not None and self._rewriting.takes(chunk_id, len(plain)):
                self._seal(self._compressor.add(chunk_id, plain))
            else:
                self._tell("saved", len(plain))
            self._tell("read", len(plain))
        return b"".join(ids), size

    def store_again(self, chunk_id: ChunkId, plain: bytes) -> bool:
        """Stores a chunk anew that is stored, if that is still to be done; whether these are its bytes."""
        if self._hasher.name(plain) != chunk_id:
            return False
        if self._rewriting is not None and self._rewriting.takes(chunk_id, len(plain)):
            self._seal(self._compressor.add(chunk_id, plain))
        self._tell("read", len(plain))
        return True

    def holds(self, chunks: bytes) -> bool:
        """Whether every chunk of a concatenation of ids is stored: what no pack holds has to be stored anew."""
        wanted = split_ids(chunks)
        if not wanted or self._chunks().issuperset(wanted):
            return True
        return self._index is not None and self._index.holds(wanted)

    def _came_since(self, chunk_id: ChunkId) -> bool:
        """Whether another run has stored a chunk since this machine looked; if not it is this run's own now."""
        if self._index is None or not self._index.is_partial:
            return False
        if self._index.read_new() and chunk_id in self._index.ids:
            return True
        self._index.own.add(chunk_id)
        return False

    def sound(self) -> list[SoundPack]:
        """The packs that this run counts on."""
        known = self._read_known(whole=True)
        if self._known is None:
            self._count_on(known)
        for adopted in self._adopted:
            known.adopt(*adopted)
        return known.sound

    def rewrite(self, rewriting: Rewriting) -> None:
        """From now on chunks are stored anew that it takes."""
        self._rewriting = rewriting

    def lost(self, catalog: Catalog, rows: list[SealedRecord]) -> int:
        """How many of the chunks that this run counts on are in no pack any more, as a new catalog has it.

        `rows` are those of packs that `finish` gave.
        """
        if self._known is None:
            return 0
        there = KnownChunks(self._partition, catalog, scratch=self._run.scratch).ids
        for row in not_condemned(catalog, rows):
            there.update(decode_pack(row.name, self._partition.records.open_sealed(row))[1].chunk_ids())
        return sum(each not in there for each in self._known)

    def finish(self) -> list[SealedRecord]:
        """Everything is uploaded; the pack records that are to be committed with the rest."""
        self._seal(self._compressor.finish())
        packs = self._packer.finish()
        for pack in packs[:-1]:
            self._uploads.send(pack)
        return self._uploads.finish(packs[-1] if packs else None)

    def committed(self) -> None:
        """The records that `finish` gave are in the table: the journal may forget them."""
        if self._journal is not None:
            self._journal.clear()

    def _seal(self, bodies: Iterator[Body]) -> None:
        for chunk_id, plain_size, parts in bodies:
            sealed_size = sum(map(len, parts)) + SEAL_BYTES
            with self._packer.add(chunk_id, sealed_size, plain_size) as room:
                seal_chunk(self._chunk_key, chunk_id, parts, room)
            self._tell("stored", sealed_size)
            while (full := self._packer.full()) is not None:
                self._uploads.send(full)

    def _chunks(self) -> ChunkIds:
        """The ids of all chunks that some pack is known to hold, read when the first one is asked for."""
        if self._known is None:
            self._known = self._count_on(self._read_known())
        return self._known

    def _read_known(self, *, whole: bool = False) -> KnownChunks:
        return KnownChunks(self._partition, self._catalog, self._run, whole=whole)

    def _count_on(self, known: KnownChunks) -> ChunkIds:
        """Counts on what is known, and on what a killed run has noted that is not."""
        self._index = known
        self._known = known.ids
        self._adopt(not_condemned(self._catalog, list(known.unrecorded.values())))
        return known.ids

    def _adopt(self, rows: list[SealedRecord]) -> None:
        """Makes the packs known that a killed run had uploaded but not recorded, if they are there as it said."""
        adopted = []
        for row in rows:
            try:
                pack_id, record = decode_pack(row.name, self._partition.records.open_sealed(row))
            except Damaged:
                continue  # of another partition, or from before its table was lost
            name = pack_blob(self._partition.name, pack_id)
            there = next((info for info in self._partition.blobs.listed(name) if info.name == name), None)
            if there is not None and not fault_of(there, record.size, record.md5):
                adopted.append(row)
                self._adopted.append((pack_id, record, there.created or there.modified))
                self._chunks().update(split_ids(record.content_ids))
                if self._index is not None:
                    self._index.own.update(split_ids(record.content_ids))
        self._uploads.adopt(adopted)
