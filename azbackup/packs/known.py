"""Which chunks are stored: what the pack records say, held against the packs that are there.

    packs as the container lists them -> pack records -> ids of the chunks that a backup may count on

Promises that a chunk counts only where a pack that holds it is there with the size and the MD5 of its record, and is
not condemned: retention is going to delete that one. "Not there" is never taken for "nothing was ever stored": a record
without its pack is damage, unless all of its chunks are in other packs, where an earlier run stored them again. A
pack that came after the listing is looked for once more before it is called missing.

What is held of a listing is a number a pack, and of the records the ids, in a file once they are many.

In a large partition a run looks at all of that once a week, and at once where it misses something. In between it goes
by the records that this machine keeps, and reads those that came since when it meets a chunk that is in none of them.
Whatever retention condemned since is known to each run, and is kept no more.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from azbackup.errors import Damaged
from azbackup.format.labels import PACK_MAGIC, PACK_PREFIX, pack_blob, stamp
from azbackup.format.model import ChunkId, PackId, PackRecord, split_ids
from azbackup.format.payloads import decode_pack
from azbackup.packs.ids import ChunkIds, Scratch, no_scratch
from azbackup.packs.layout import fault_of
from azbackup.packs.run import Run, no_listing
from azbackup.packs.sightings import Sightings
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition
from azbackup.storage.protocols import NEVER, BlobInfo, Look

_DAY_SECONDS = 86_400
WEEK_SECONDS = 7 * _DAY_SECONDS
_MARGIN_SECONDS = 2 * _DAY_SECONDS  # by which the name of a pack may be older than its record


def is_due(look: Look | None, now: int) -> bool:
    """Whether it is a week since this machine looked at everything; where it never did there is nothing to repeat."""
    return look is not None and not 0 <= now - look.whole < WEEK_SECONDS


def since(info: BlobInfo) -> float:
    """Since when a pack is paid for in its tier, by Unix time."""
    return max(info.created or info.modified, info.moved)


class SoundPack(NamedTuple):
    """A pack that is there as its record says: bytes, ids and both lengths of its chunks but padding, Unix time."""

    pack_id: PackId
    size: int
    ids: bytes
    sealed: array[int]
    plain: array[int]
    tier: str
    made: float

    @property
    def contents(self) -> int:
        """Its bytes without the padding: only they can be needed."""
        return len(PACK_MAGIC) + sum(self.sealed)


def _rowless(partition: Partition, catalog: Catalog) -> Iterator[tuple[PackId, PackRecord, BlobInfo]]:
    """The sound packs that only copies tell of: all copies are read, if there are packs without a row at all."""
    prefix, condemned, records = pack_blob(partition.name, ""), catalog.retired.condemned, partition.records
    known = {prefix + pack_id for pack_id, _ in catalog.packs()}
    listed = partition.blobs.listed(prefix)
    there = {PACK_PREFIX + info.name.removeprefix(prefix): info for info in listed if info.name not in known}
    for row in records.copies.every(snapshots=False) if there else ():
        if (info := there.get(row.name)) is None or row.name.removeprefix(PACK_PREFIX) in condemned:
            continue
        with contextlib.suppress(Damaged):  # as good as none
            pack_id, record = decode_pack(row.name, records.open_sealed(row))
            if not fault_of(info, record.size, record.md5):
                del there[row.name]
                yield pack_id, record, info


class KnownChunks:
    """The ids of all chunks that a sound pack is known to hold; the packs themselves in `sound`, if they are wanted."""

    def __init__(
        self,
        partition: Partition,
        catalog: Catalog,
        run: Run | None = None,
        *,
        whole: bool = False,
        scratch: Scratch = no_scratch,
    ) -> None:
        """The `run` remembers when this machine looked at all packs; without one nothing does.

        `whole`: all packs are wanted, not the ids alone. `scratch` makes files for ids that are too many to be held,
        the run's where there is one.
        """
        self._partition = partition
        self._records = partition.records
        self._catalog = catalog
        self._looks = run.looks if run is not None else None
        self._now = run.clock.now_ns() // 10**9 if run is not None else 0
        self._whole = whole
        self._ahead = run.listed if run is not None and not whole else no_listing
        noted = run.journal.rows() if run is not None and run.journal is not None else []
        self.unrecorded = {row.name: row for row in noted}  # what a killed run noted of packs that have no record
        self.ids = ChunkIds(run.scratch if run is not None else scratch)
        self.own: set[ChunkId] = set()  # stored by this run while more may have to be looked at
        self._left: list[Callable[[], None]] = []
        self._rowless: list[tuple[PackId, PackRecord, BlobInfo]] | None = None  # packs that only copies tell of
        self.sound: list[SoundPack] = []
        self._look = self._looks.last() if self._looks is not None and catalog.from_head and not whole else None
        if self._look is not None and self._take_kept(self._look):
            self._left = [self._read_new, self._read_all]
        else:
            self._read_all()

    @property
    def is_partial(self) -> bool:
        """Whether there may be more than what was looked at."""
        return bool(self._left)

    def look_further(self) -> bool:
        """Reads what came since, then everything; whether anything was left to do. `ids` stays the same object."""
        if not self._left:
            return False
        self._left.pop(0)()
        return True

    def read_new(self) -> bool:
        """Reads what came since, unless that was done."""
        return len(self._left) > 1 and self.look_further()

    def holds(self, wanted: Sequence[ChunkId]) -> bool:
        """Whether all of some chunks are stored: before it says no it looks further, and at copies."""
        while not self.ids.issuperset(wanted):
            if not (self.look_further() or self._look_at_copies(wanted)):
                return False
        return True

    def _look_at_copies(self, wanted: Sequence[ChunkId]) -> bool:
        """Takes packs that have some of the chunks, are there, and whose records have lost their rows; whether any was.

        Each is damage, and its row is put back at the end: else all of it would be stored a second time, and nobody
        would hear of it. What a killed run left without a row, and nothing needs, is none.
        """
        if self._rowless is None:
            self._rowless = list(_rowless(self._partition, self._catalog))
        missing = {each for each in wanted if each not in self.ids}
        needed = [each for each in self._rowless if not missing.isdisjoint(split_ids(each[1].content_ids))]
        for pack_id, record, info in needed:
            self._records.report(f"row {PACK_PREFIX}{pack_id} is missing; its copy was used")
            self._records.lost_rows += 1
            self._take(pack_id, record, info)
        self._rowless = [each for each in self._rowless if each not in needed]
        return bool(needed)

    # --- everything

    def _read_all(self) -> None:
        """Lists the packs, then reads the records of those that are there."""
        prefix = pack_blob(self._partition.name, "")
        there: Mapping[str, BlobInfo] = {}
        if self._whole:
            there = {info.name: info for info in self._partition.blobs.listed(prefix)}
        seen = self._ahead() or Sightings(there.values() if self._whole else self._partition.blobs.listed(prefix))
        condemned = self._catalog.retired.condemned
        self.ids.clear()
        doubtful: list[tuple[PackId, PackRecord]] = []
        rows, gone = 0, []
        for pack_id, record in self._catalog.packs():
            self.unrecorded.pop(PACK_PREFIX + pack_id, None)
            if pack_id in condemned:
                gone.append(pack_id)
                continue
            rows += 1
            name = pack_blob(self._partition.name, pack_id)
            if seen.has(name, record.size, record.md5):
                self._take(pack_id, record, there.get(name))
            else:
                doubtful.append((pack_id, record))
        missing = self._look_again(doubtful)
        for pack_id, fault, ids in missing:
            if lost := sum(each not in self.ids for each in set(split_ids(ids))):
                self._records.report(f"pack {pack_id} {fault}: {lost:,} of its chunks are in no other pack")
        self.ids.update(self.own)
        look = Look(self._now, self._now, self._catalog.retired.last, rows)
        self._note(NEVER if missing else look, gone)  # what is wrong is told by each run

    def _look_again(self, doubtful: list[tuple[PackId, PackRecord]]) -> list[tuple[PackId, str, bytes]]:
        """Takes those packs that came after the listing; of the others the fault, and the ids."""
        if not doubtful:
            return []
        names = {pack_blob(self._partition.name, pack_id) for pack_id, _ in doubtful}
        listed = self._partition.blobs.listed(pack_blob(self._partition.name, ""))
        there = {info.name: info for info in listed if info.name in names}
        missing = []
        for pack_id, record in doubtful:
            info = there.get(pack_blob(self._partition.name, pack_id))
            if fault := fault_of(info, record.size, record.md5):
                missing.append((pack_id, fault, record.content_ids))
            else:
                self._take(pack_id, record, info)
        return missing

    def _take(self, pack_id: PackId, record: PackRecord, info: BlobInfo | None) -> None:
        """Counts on a pack, but for its padding."""
        self.ids.update(split_ids(record.content_ids))
        if self._whole and info is not None:
            self._keep(pack_id, record, info.tier, since(info))

    def adopt(self, pack_id: PackId, record: PackRecord, made: float) -> None:
        """Takes a pack, made then, that was found sound though no record tells of it."""
        self._keep(pack_id, record, record.tier, made)

    def _keep(self, pack_id: PackId, record: PackRecord, tier: str, made: float) -> None:
        sealed = array("I", record.content_lengths)
        plain = array("I", record.plain[: len(sealed)])
        self.sound.append(SoundPack(pack_id, record.size, record.content_ids, sealed, plain, tier, made))

    # --- what this machine keeps, and what is new

    def _take_kept(self, look: Look) -> bool:
        """Takes the records that this machine keeps; whether they are all that it had, and may be counted on.

        Each pack that was condemned since is known: no retired record has come and gone again unseen.
        """
        retired = self._catalog.retired
        unseen = set(range(look.retired + 1, retired.last + 1)) - {record.number for record in retired.records}
        if is_due(look, self._now) or unseen or retired.last < look.retired:
            return False
        gone, count = [], 0
        for row in self._records.kept(PACK_PREFIX, PACK_PREFIX[:-1] + "."):
            count += 1
            try:
                pack_id, record = decode_pack(row.name, self._records.open_sealed(row))
            except Damaged:
                return False
            self.unrecorded.pop(PACK_PREFIX + pack_id, None)
            if pack_id in retired.condemned:
                gone.append(pack_id)
            else:
                self.ids.update(split_ids(record.content_ids))
        if count < look.rows:
            return False
        self._look = look._replace(retired=retired.last, rows=count - len(gone))
        if gone or retired.last != look.retired:
            self._note(self._look, gone)
        return True

    def _read_new(self) -> None:
        """Adds the records whose packs are not older than the last such look, by their names, and some days more."""
        assert self._look is not None, "only what goes on from a look may be read in part"
        condemned, gone = self._catalog.retired.condemned, []
        first = stamp(max(0, min(self._look.asked, self._now) - _MARGIN_SECONDS), b"")
        for pack_id, record in self._catalog.packs(first):
            self.unrecorded.pop(PACK_PREFIX + pack_id, None)
            if pack_id in condemned:
                gone.append(pack_id)
            else:
                self.ids.update(split_ids(record.content_ids))
        self._note(self._look._replace(asked=self._now), gone)

    def _note(self, look: Look, gone: list[PackId]) -> None:
        """Remembers a look, once nothing is kept of packs that are going to be deleted."""
        if self._looks is not None and self._catalog.is_large:
            forgotten = self._records.forget([PACK_PREFIX + pack_id for pack_id in gone])
            self._looks.note(look if forgotten else NEVER)
