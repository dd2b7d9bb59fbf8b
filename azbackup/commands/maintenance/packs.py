"""The packs beside their records, in one pass over both, which are in the same order: names.

Promises that a chunk counts as stored only where a pack that holds it is there with the size and MD5 of its record.
What the listing shows and no row tells of may have a record in a copy: `offer` hears of all of those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from azbackup.commands.maintenance.findings import Findings, What
from azbackup.commands.maintenance.sieve import Sieve
from azbackup.errors import Damaged
from azbackup.format.labels import CHUNK_ID_BYTES, PACK_PREFIX, pack_blob
from azbackup.format.model import PackId, PackRecord, SealedRecord
from azbackup.format.payloads import decode_pack
from azbackup.packs.layout import fault_of
from azbackup.progress import Progress
from azbackup.records.partition import Partition
from azbackup.records.settlements import subject_of
from azbackup.storage.protocols import BlobInfo

_NAMED = 100_000  # packs without a row of which the copies are asked
_ASKED_ONCE = 100  # packs that were not in the listing and are looked for one by one
_RECENT_SECONDS = 86_400.0


class PackCheck:
    """The packs of one partition. `sound` has the chunks that sound packs hold, as their rows say."""

    def __init__(
        self, partition: Partition, findings: Findings, seen: Callable[[SealedRecord], None], now: float
    ) -> None:
        """`seen` hears each row."""
        self._partition = partition
        self._findings = findings
        self._seen = seen
        self._now = now
        self._prefix = pack_blob(partition.name, "")
        self._infos = self._listing()
        self._next: BlobInfo | None = None
        self._orphans: dict[str, BlobInfo] = {}  # packs that are there and have no row that opens, by pack id
        self._unopened: set[str] = set()  # names of rows that do not open
        self._rowless: list[tuple[str, int]] = []  # names and sizes of packs whose record only a copy has
        self._spare = Sieve(CHUNK_ID_BYTES)
        self._faulty: list[tuple[str, str, int]] = []  # (row name, what is wrong, size)
        self.sound = Sieve(CHUNK_ID_BYTES)
        self.count = self.size = 0
        self.from_copies: list[str] = []

    def _listing(self) -> Iterator[BlobInfo]:
        return self._partition.blobs.listed(self._prefix)

    def run(self, progress: Progress) -> None:
        """Holds each record against its pack."""
        records = self._partition.records
        self._next = next(self._infos, None)
        for row in records.rows(PACK_PREFIX, PACK_PREFIX[:-1] + "."):
            self._seen(row)
            try:
                pack_id, record = decode_pack(row.name, records.open_sealed(row))
            except Damaged:
                self._unopened.add(row.name)
                continue
            self._check(pack_id, record)
            progress.advance(pack_id.encode(), 1, record.size)
        while self._next is not None:
            self._step()

    def _step(self) -> None:
        """The next pack of the listing has no row that opens."""
        info = self._next
        assert info is not None
        if len(self._orphans) < _NAMED:
            self._orphans[info.name.removeprefix(self._prefix)] = info
        self._next = next(self._infos, None)

    def _check(self, pack_id: PackId, record: PackRecord) -> None:
        name = self._prefix + pack_id
        while self._next is not None and self._next.name < name:
            self._step()
        info = None
        if self._next is not None and self._next.name == name:
            info, self._next = self._next, next(self._infos, None)
        self._judge(pack_id, record, info)

    def _judge(self, pack_id: PackId, record: PackRecord, info: BlobInfo | None) -> None:
        fault = fault_of(info, record.size, record.md5)
        if fault:
            self._faulty.append((PACK_PREFIX + pack_id, fault, record.size))
            return
        self.count += 1
        self.size += record.size
        self.sound.add(record.content_ids)
        assert info is not None
        if info.tier not in (record.tier, "archive") and not info.pending:  # they age into that one
            text = f"pack {pack_id} is in tier {info.tier}, and was stored in {record.tier}"
            self._findings.add(What.TIER, PACK_PREFIX + pack_id, text, record.size)

    # --- packs that are not what they should be

    def tell_faulty(self) -> None:
        """Names them, unless they came while this went on, or all of their chunks are in other packs."""
        faulty, self._faulty = self._faulty, []
        there = self._looked_for([name for name, _, _ in faulty])
        for name, fault, size in faulty:
            pack_id = name.removeprefix(PACK_PREFIX)
            record = self._record(name)
            if record is None or self.has_spare(record.content_ids):
                continue  # it was removed meanwhile, or an earlier run stored its chunks again
            if not fault_of(there.get(pack_id), record.size, record.md5):
                self._judge(PackId(pack_id), record, there[pack_id])
                continue
            what = What.PACK_MISSING if fault == "is missing" else What.PACK_ALTERED
            self._findings.add(what, name, f"pack {pack_id} {fault}", size)

    def _looked_for(self, names: list[str]) -> dict[str, BlobInfo]:
        """What of some packs is there now, by pack id."""
        ids = {name.removeprefix(PACK_PREFIX) for name in names}
        blobs = self._partition.blobs
        if len(ids) <= _ASKED_ONCE:
            found = [info for each in sorted(ids) for info in blobs.listed(self._prefix + each)]
        else:
            found = [info for info in self._listing() if info.name.removeprefix(self._prefix) in ids]
        return {info.name.removeprefix(self._prefix): info for info in found}

    def _record(self, name: str) -> PackRecord | None:
        """A record by its row, None where it is there no more. It was seen to open."""
        for row in self._partition.records.rows(name, name + "!"):
            return decode_pack(row.name, self._partition.records.open_sealed(row))[1]
        return None

    # --- packs without a row, and rows that do not open

    def offer(self, row: SealedRecord) -> None:
        """A record in a copy: of use where its row is not there, or does not open."""
        pack_id = row.name.removeprefix(PACK_PREFIX)
        if row.name not in self._unopened and pack_id not in self._orphans:
            return
        try:
            record = decode_pack(row.name, self._partition.records.open_sealed(row))[1]
        except Damaged:
            return
        fault = fault_of(self._orphans.pop(pack_id, None), record.size, record.md5)
        if row.name in self._unopened:
            self._unopened.discard(row.name)
            self._findings.add(What.ROW_ALTERED, row.name, f"row {row.name} was altered; its copy was used")
            if fault:
                what = What.PACK_MISSING if fault == "is missing" else What.PACK_ALTERED
                self._findings.add(what, row.name, f"pack {pack_id} {fault}", record.size)
        else:
            self._rowless.append((row.name, record.size))
        if not fault:
            self._spare.add(record.content_ids)
        self.from_copies.append(row.name)

    def finish(self, *, needed: bool) -> None:
        """All copies were offered: what is left has none. `needed`: a snapshot has chunks that no row tells of."""
        for name, size in self._rowless:
            if needed:
                self._findings.add(What.ROW_MISSING, name, f"row {name} is missing; its copy was used", size)
            else:
                text = f"{name} has no row, and a copy: its backup is running, or did not come to its end"
                self._findings.add(What.UNFINISHED, name, text, size)
        for name in sorted(self._unopened):
            text = f"record {name} does not open, nor does a copy"
            self._findings.add(What.PACK_RECORD, subject_of(text), text)
        for pack_id, info in self._orphans.items():
            if PACK_PREFIX + pack_id not in self._unopened:
                new = ", which may belong to a backup that is running" if self._is_recent(info) else ""
                text = f"pack {pack_id} has no record{new}"
                self._findings.add(What.NO_RECORD, PACK_PREFIX + pack_id, text, info.size)

    def _is_recent(self, info: BlobInfo) -> bool:
        return self._now - info.created < _RECENT_SECONDS

    def has_spare(self, ids: bytes) -> bool:
        """Whether chunks that are in no sound pack with a row are in one that a copy tells of."""
        return all(
            self.sound.has_all(each) or self._spare.has_all(each)
            for each in (ids[at : at + CHUNK_ID_BYTES] for at in range(0, len(ids), CHUNK_ID_BYTES))
        )
