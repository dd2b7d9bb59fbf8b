"""A vault without its bytes: a tree that changes, backups of it, retention and rewriting, as numbers in memory.

    for each run: files change -> what is rewritten, as the project decides it -> packs -> a snapshot
                  -> what rules keep -> once a week: which packs nothing needs, condemned, deleted

What decides is the project's own code (keeping, free, rewriting, choice, by ChunkIndex); what is played here is what
reads and writes: the pass over the files, the filling of packs, the retired records and their grace period.
"""

from __future__ import annotations

import math
import random
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple, cast

from azbackup.commands.backup.rewriting import Base, Rewrite, planned
from azbackup.commands.maintenance.free import DAY_SECONDS, LEAST_DAYS, PackState, free_packs
from azbackup.commands.maintenance.keeping import Rules, verdicts
from azbackup.commands.maintenance.ledger import GRACE_DAYS
from azbackup.format.labels import CHUNK_ID_BYTES, PACK_BYTES, PACK_CHUNKS, PACK_MAGIC
from azbackup.format.model import ChunkId, Entry, Kind, Layer, PackId, PackRecord, Snapshot, Totals
from azbackup.packs.index import ChunkIndex
from azbackup.packs.known import SoundPack
from azbackup.packs.padding import padded_size
from azbackup.packs.rewriting import Rewriting
from azbackup.records.catalog import Catalog
from azbackup.storage.prices import Prices
from azbackup.storage.protocols import BlobInfo

CHUNK_BYTES = 1_363_149  # of a large file, on average
_BEGAN = 1_500_000_000.0
_LOOK_DAYS = 7.0
_LOGARITHMIC = 2.0  # the spread of sizes: a few large files have most of the bytes
_PART = 0.1  # of a large file's chunks change at once


class Life(NamedTuple):
    """What is played: a tree of so many files and bytes, of which a share changes a day; what is done about it.

    `busy`: the share of the files in which all changes happen. `rewrite`: None for none.
    """

    files: int
    size: int
    changed: float
    rules: Rules
    rewrite: Rewrite | None
    tier: str = "archive"
    runs_a_day: int = 1
    busy: float = 1.0
    seed: int = 1


class State(NamedTuple):
    """What there is on a day. Bytes but for counts; `uploaded`, `rewritten` since the beginning.

    `needed` is what kept snapshots need, `waiting` what is not needed of packs that are paid for still, or in their
    grace period. `thawed` are the packs that a restore of the newest snapshot reads, `restored` what it needs.
    """

    day: float
    packs: int
    stored: int
    needed: int
    waiting: int
    snapshots: int
    uploaded: int
    rewritten: int
    thawed_packs: int
    thawed: int
    restored: int
    tree: int
    chunks: int


class _Pack(NamedTuple):
    record: PackRecord
    info: BlobInfo
    sound: SoundPack


class _Gone(NamedTuple):
    """A chunk that the runs from `first` to before `end` had."""

    first: int
    end: int
    chunk_id: ChunkId


class _Entries:
    """Stands for the catalog where the decision to rewrite reads the last snapshot."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries

    def entries(self, _snapshot: Snapshot, *, whole: bool) -> Iterator[Entry]:
        """The entries of the one snapshot that it is asked for."""
        assert whole
        yield from self._entries


class Vault:
    """The life of one partition with one source."""

    def __init__(self, life: Life, prices: Prices) -> None:
        self.life = life
        self._days = prices.early_deletion_days
        self._random = random.Random(life.seed)
        self._entries: list[Entry] = []
        self._sizes: dict[ChunkId, int] = {}  # of all chunks that there are
        self._first: dict[ChunkId, int] = {}  # of those of the tree: since which run
        self._gone: list[_Gone] = []
        self._snapshots: list[Snapshot] = []
        self._packs: dict[PackId, _Pack] = {}
        self._condemned: dict[PackId, float] = {}  # since when that was seen, inf: not yet
        self._looked = -math.inf
        self._ids = 0
        self._owed = 0.0  # bytes: a run changes somewhat more or less than its share
        self._run = 0
        self.now = _BEGAN
        self.uploaded = self.rewritten = self.made = 0
        self._grow()
        self._every = max(1, round(1 / life.busy))  # such a file is one that changes
        self._sums = list(accumulate(entry.size for entry in self._entries[:: self._every]))

    # --- the tree

    def _grow(self) -> None:
        sizes = [self._random.lognormvariate(0.0, _LOGARITHMIC) for _ in range(self.life.files)]
        unit = self.life.size / sum(sizes)
        for number, size in enumerate(sizes):
            path = b"%03d/%05d" % (number // 100, number)
            chunks = self._fresh(max(100, int(size * unit)))
            self._entries.append(self._entry(path, chunks))

    def _entry(self, path: bytes, chunks: list[ChunkId]) -> Entry:
        size = sum(self._sizes[each] for each in chunks)
        return Entry(path, int(Kind.FILE), size, chunks=b"".join(chunks))

    def _fresh(self, size: int) -> list[ChunkId]:
        """The chunks of new contents."""
        count = max(1, round(size / CHUNK_BYTES))
        return [self._new_chunk(size // count) for _ in range(count)]

    def _new_chunk(self, size: int) -> ChunkId:
        self._ids += 1
        chunk_id = ChunkId(self._ids.to_bytes(CHUNK_ID_BYTES, "little"))
        self._sizes[chunk_id] = size
        self._first[chunk_id] = self._run
        return chunk_id

    def _change(self) -> list[ChunkId]:
        """Changes files until the share of a run has changed; the chunks that are new."""
        left = self._owed + self.life.changed / self.life.runs_a_day * self.life.size
        found: list[ChunkId] = []
        while left > 0:
            # Chosen by size, so that each byte is as likely to change as any other.
            number = self._by_size()
            chunks = self._entries[number].chunk_ids()
            count = max(1, int(len(chunks) * _PART)) if len(chunks) > 1 else 1
            at = self._random.randrange(len(chunks) - count + 1)
            for place in range(at, at + count):
                size = self._sizes[chunks[place]]
                self._retire(chunks[place])
                chunks[place] = self._new_chunk(size)
                found.append(chunks[place])
                left -= size
            self._entries[number] = self._entry(self._entries[number].path, chunks)
        self._owed = left
        return found

    def _by_size(self) -> int:
        place = bisect_left(self._sums, self._random.random() * self._sums[-1])
        return min(place, len(self._sums) - 1) * self._every

    def _retire(self, chunk_id: ChunkId) -> None:
        first = self._first.pop(chunk_id)
        if first < self._run:
            self._gone.append(_Gone(first, self._run, chunk_id))

    # --- a run

    def run(self) -> None:
        """A backup, and what the rules ask for after it."""
        self._run += 1
        if self._run > 1:
            self.now += DAY_SECONDS / self.life.runs_a_day
            before = list(self._entries)
            fresh = set(self._change())
            rewriting = self._rewriting(before)
            self._store(fresh, rewriting)
        else:
            self._first = dict.fromkeys(self._first, 1)
            self._store(set(self._first), None)
        moment = int(self.now * 1e9)
        totals = Totals(files=len(self._entries), size=self._tree())
        layers = [Layer("20200101T000000Z-0000000000000000", 1, 1)]
        self._snapshots.append(Snapshot(b"/s", "h", "r", moment, moment, layers, totals, number=self._run))
        if self.life.rules:
            self._retain()

    def _tree(self) -> int:
        return sum(entry.size for entry in self._entries)

    def _rewriting(self, before: list[Entry]) -> Rewriting | None:
        """What is rewritten, given the entries of the last snapshot."""
        wish = self.life.rewrite
        if wish is None:
            return None
        base = Base(self._snapshots[-1], self._snapshots[-1:])
        catalog = cast(Catalog, _Entries(before))
        packs = [pack.sound for pack_id, pack in self._packs.items() if pack_id not in self._condemned]
        return planned(wish, catalog, base, packs, self.now)

    def _store(self, fresh: set[ChunkId], rewriting: Rewriting | None) -> None:
        """One pass over the files: what is new, and what is stored anew."""
        chunks: list[ChunkId] = []
        for entry in self._entries:
            ids = entry.chunk_ids()
            if not fresh.isdisjoint(ids):
                again = [each for each in ids if each not in fresh]
                chunks += [each for each in ids if each in fresh]
            else:
                again = [part.chunk_id for part in rewriting.parts(entry)] if rewriting is not None else []
            for each in again:
                if rewriting is not None and rewriting.takes(each, self._sizes[each]):
                    chunks.append(each)
                    self.rewritten += self._sizes[each]
        limit, size, held = PACK_BYTES // 2, len(PACK_MAGIC), list[ChunkId]()
        for each in chunks:
            if held and (size + self._sizes[each] > limit or len(held) + 1 >= PACK_CHUNKS):
                self._pack(held, size, limit)
                limit, size, held = PACK_BYTES, len(PACK_MAGIC), []
            held.append(each)
            size += self._sizes[each]
        if held:
            self._pack(held, size, limit)

    def _pack(self, ids: list[ChunkId], size: int, limit: int) -> None:
        whole = padded_size(size, limit)
        sealed = array("I", [self._sizes[each] for each in ids])
        joined = b"".join(ids)
        record = PackRecord(whole, b"", self.life.tier, joined, sealed, sealed)
        pack_id = PackId(f"{len(self._packs)}-{self._run:06}-{self._ids}-{self.uploaded}")
        info = BlobInfo(pack_id, whole, b"", self.life.tier, created=self.now)
        self._packs[pack_id] = _Pack(
            record, info, SoundPack(pack_id, whole, joined, sealed, sealed, self.life.tier, self.now)
        )
        self.uploaded += whole
        self.made += 1

    # --- retention

    def _retain(self) -> None:
        [its] = verdicts(self._snapshots, self.life.rules, time.gmtime, self.now).values()
        before = len(self._snapshots)
        self._snapshots = [each.snapshot for each in its if each.reasons]
        looks = self.now - self._looked >= _LOOK_DAYS * DAY_SECONDS
        if looks or len(self._snapshots) < before:  # a record is written, which has seen the earlier ones
            for pack_id, seen in self._condemned.items():
                if seen == math.inf:
                    self._condemned[pack_id] = self.now
        if not looks:
            return
        self._looked = self.now
        for state in self._free():
            since = self._condemned.get(state.pack_id)
            if since is None:
                if state.is_old(self.now + GRACE_DAYS * DAY_SECONDS, self.now - LEAST_DAYS * DAY_SECONDS):
                    self._condemned[state.pack_id] = math.inf
            elif self.now - since >= GRACE_DAYS * DAY_SECONDS and state.free_at <= self.now:
                del self._packs[state.pack_id], self._condemned[state.pack_id]
        self._forget()

    def _free(self) -> list[PackState]:
        records = ((pack_id, pack.record) for pack_id, pack in self._packs.items())
        there = {pack_id: pack.info for pack_id, pack in self._packs.items()}
        return free_packs(records, there, self._used(), self._condemned, self._days)[0]

    def _used(self) -> set[ChunkId]:
        """What kept snapshots need."""
        used = set(self._first)
        if not self.life.rules:
            return used.union(each.chunk_id for each in self._gone)
        kept = [snapshot.number for snapshot in self._snapshots]
        for each in self._gone:
            at = bisect_left(kept, each.first)
            if at < len(kept) and kept[at] < each.end:
                used.add(each.chunk_id)
        return used

    def _forget(self) -> None:
        """Chunks that no kept snapshot needs are needed never again."""
        used = self._used()
        self._gone = [each for each in self._gone if each.chunk_id in used]
        held = {ChunkId(each) for pack in self._packs.values() for each in pack.record.chunk_ids()}
        self._sizes = {each: size for each, size in self._sizes.items() if each in held or each in used}

    # --- what there is

    def state(self) -> State:
        """What there is now."""
        used = self._used()
        waiting = sum(
            pack.record.size - self._needed_of(pack, used) for pack in self._packs.values() if self._waits(pack)
        )
        index = ChunkIndex(entry.chunks for entry in self._entries)
        index.add(((pack_id, pack.record) for pack_id, pack in self._packs.items()), self._rank)
        index.choose()
        return State(
            day=(self.now - _BEGAN) / DAY_SECONDS,
            packs=len(self._packs),
            stored=sum(pack.record.size for pack in self._packs.values()),
            needed=sum(self._sizes[each] for each in used),
            waiting=waiting,
            snapshots=len(self._snapshots),
            uploaded=self.uploaded,
            rewritten=self.rewritten,
            thawed_packs=len(index.packs),
            thawed=sum(pack.record.size for pack in index.packs),
            restored=sum(self._sizes[each] for each in self._first),
            tree=self._tree(),
            chunks=sum(len(pack.record.sealed) for pack in self._packs.values()),
        )

    def _waits(self, pack: _Pack) -> bool:
        days = max(LEAST_DAYS + GRACE_DAYS, self._days.get(self.life.tier, 0))
        is_young = pack.info.created + days * DAY_SECONDS > self.now
        return is_young or pack.sound.pack_id in self._condemned

    def _needed_of(self, pack: _Pack, used: set[ChunkId]) -> int:
        pairs = zip(pack.record.chunk_ids(), pack.record.sealed, strict=True)
        return sum(size for each, size in pairs if each in used)

    def _rank(self, pack_id: PackId, _record: PackRecord) -> int:
        return int(pack_id in self._condemned)
