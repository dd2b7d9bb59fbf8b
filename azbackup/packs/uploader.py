"""Finished packs on their way, behind the back of the run that fills the next one; then their records, in groups.

    pack durable -> noted in the journal -> (64 of them, or a minute later) copies -> rows

Without a journal every pack's record follows it at once. A killed run leaves at worst a pack that nothing refers to;
every pack that the journal or the table knows is used by the next run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from io import BytesIO

from azbackup.format.checksum import md5_of
from azbackup.format.labels import PACK_PREFIX, pack_blob
from azbackup.format.model import SealedRecord
from azbackup.format.payloads import encode_pack
from azbackup.memory import give_back_memory
from azbackup.packs.packer import Pack
from azbackup.packs.run import TRUSTED_NS, Run
from azbackup.records.partition import Partition
from azbackup.workers import Workers

_IN_FLIGHT = 2  # packs of 64 MiB: what bounds the memory of a backup
_GROUP = 64
_GROUP_NS = 60_000_000_000


class PackUploader:
    """The packs of one run. Its methods are called from one thread."""

    def __init__(self, partition: Partition, run: Run, recycle: Callable[[BytesIO], None]) -> None:
        """`recycle` takes the buffer of a pack that has been uploaded, while others travel: they fill up that fast."""
        self._partition = partition
        self._run = run
        self._journal = run.journal
        self._recycle = recycle
        self._workers: Workers[SealedRecord | None] = Workers(_IN_FLIGHT, _IN_FLIGHT)
        self._lock = threading.Lock()
        self._travelling = 0
        self._unwritten: list[SealedRecord] = []
        self._doubtful: list[SealedRecord] = []
        self._written_ns = run.clock.now_ns()
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
        return [*self._doubtful, *self._unwritten]

    def _count(self, pack: Pack) -> None:
        self.packs += 1
        self.size += len(pack.data)

    def _upload(self, pack: Pack) -> SealedRecord:
        record = pack.record
        record.tier = self._run.tier
        record.md5 = md5_of(pack.data)
        name = pack_blob(self._partition.name, pack.pack_id)
        self._partition.blobs.put_new(name, pack.data, record.tier, record.md5)
        return self._partition.records.seal(PACK_PREFIX + pack.pack_id, encode_pack(pack.record))

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
        waited = self._run.clock.now_ns() - self._written_ns
        if self._in_journal(row) and len(self._unwritten) < _GROUP and waited < _GROUP_NS:
            return
        if not 0 <= waited < TRUSTED_NS:  # as of a machine that slept: retention may have condemned what had no record
            self._doubtful += self._unwritten  # for the commit, which looks before
            self._unwritten = []
            self._written_ns = self._run.clock.now_ns()
            return
        self._run.copies.put(self._unwritten)
        self._partition.records.insert(self._unwritten)
        self._unwritten = []
        self._written_ns = self._run.clock.now_ns()
        self._empty_journal()

    def _empty_journal(self) -> None:
        """All that it has is in the table now."""
        if self._journal is not None:
            with contextlib.suppress(OSError):
                self._journal.clear()

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
