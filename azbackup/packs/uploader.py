"""Finished packs on their way, behind the back of the run that fills the next one; then their records, in groups.

    pack durable -> noted in the journal -> (64 of them, or a minute later) copies -> rows

Without a journal every pack's record follows it at once. A killed run leaves at worst a pack that nothing refers to;
every pack that the journal or the table knows is used by the next run.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from io import BytesIO

from azbackup.format.labels import PACK_PREFIX, pack_blob
from azbackup.format.model import SealedRecord
from azbackup.format.payloads import encode_pack
from azbackup.memory import give_back_memory
from azbackup.packs.packer import Pack
from azbackup.records.commit import RunCopies
from azbackup.records.record_store import RecordStore
from azbackup.storage.local.journal import Journal
from azbackup.storage.protocols import BlobStore
from azbackup.workers import Workers

_IN_FLIGHT = 2  # packs of 64 MiB: what bounds the memory of a backup
_GROUP = 64
_GROUP_NS = 60_000_000_000


class PackUploader:
    """The packs of one run. Its methods are called from one thread."""

    def __init__(
        self,
        blobs: BlobStore,
        records: RecordStore,
        copies: RunCopies,
        partition: str,
        tier: str,
        journal: Journal | None,
        now_ns: Callable[[], int],
        recycle: Callable[[BytesIO], None],
    ) -> None:
        """`recycle` takes the buffer of a pack that has been uploaded, while others travel: they fill up that fast."""
        self._blobs = blobs
        self._records = records
        self._copies = copies
        self._partition = partition
        self._tier = tier
        self._journal = journal
        self._now_ns = now_ns
        self._recycle = recycle
        self._workers: Workers[SealedRecord | None] = Workers(_IN_FLIGHT, _IN_FLIGHT)
        self._lock = threading.Lock()
        self._travelling = 0
        self._unwritten: list[SealedRecord] = []
        self._written_ns = now_ns()
        self.packs = 0
        self.size = 0

    def adopt(self, rows: list[SealedRecord]) -> None:
        """Takes the records of packs that an earlier run uploaded and did not come to record."""
        self._unwritten += rows

    def send(self, pack: Pack) -> None:
        """Uploads a pack and records it, in the background. Raises what an earlier one met."""
        self._count(pack)
        give_back_memory()  # the next pack grows beside this one: that is the peak of a run
        with self._lock:
            self._travelling += 1
        self._workers.submit(lambda: self._upload_and_note(pack))

    def finish(self, pack: Pack | None) -> list[SealedRecord]:
        """Uploads the last pack, beside the others, and waits for all; the records that are still to be written.

        The last pack's is not noted in the journal: it is committed with the rest at once.
        """
        last = None
        if pack is not None:
            self._count(pack)
            last = self._workers.submit(lambda: self._upload(pack))
        self._workers.join()
        self._workers.stop()
        if last is not None and (row := last.result()) is not None:
            self._unwritten.append(row)
        return self._unwritten

    def _count(self, pack: Pack) -> None:
        self.packs += 1
        self.size += len(pack.data)

    def _upload(self, pack: Pack) -> SealedRecord:
        record = pack.record
        record.tier = self._tier
        record.md5 = hashlib.md5(pack.data, usedforsecurity=False).digest()  # what Azure lists; the tags protect
        self._blobs.put_new(pack_blob(self._partition, pack.pack_id), pack.data, self._tier, record.md5)
        return self._records.seal(PACK_PREFIX + pack.pack_id, encode_pack(pack.record))

    def _upload_and_note(self, pack: Pack) -> None:
        row = self._upload(pack)
        pack.data = b""
        with self._lock:
            self._travelling -= 1
            if self._travelling:
                self._recycle(pack.buffer)
            self._note(row)

    def _note(self, row: SealedRecord) -> None:
        self._unwritten.append(row)
        if self._in_journal(row) and len(self._unwritten) < _GROUP and self._now_ns() - self._written_ns < _GROUP_NS:
            return
        self._copies.put(self._unwritten)
        self._records.insert(self._unwritten)
        self._unwritten = []
        self._written_ns = self._now_ns()

    def _in_journal(self, row: SealedRecord) -> bool:
        """Whether the journal has the row. A local disk that is full ends the journal, never the backup."""
        if self._journal is None:
            return False
        try:
            self._journal.add(row)
        except OSError:
            self._journal = None
            return False
        return True
