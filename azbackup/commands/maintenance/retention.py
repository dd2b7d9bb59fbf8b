"""Retention: snapshots that rules do not keep are retired, packs that nothing needs condemned; later both are deleted.

    rules -> a retired record: from here on those snapshots are no more, and no backup counts on those packs
    a grace period later, by another run: their records, and the packs if they are still unused -> deleted

No lock. What a backup that began before the record counts on is there for the grace period, and is spared if its
snapshot uses it; a backup that takes longer than half a day looks again before it commits (commands/backup/run).
Promises that nothing goes without a rule or a number, nothing at all while any record is lost, and that a run that is
killed anywhere leaves what the next one goes on with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from azbackup.commands.maintenance.burial import Burial
from azbackup.commands.maintenance.free import DAY_SECONDS, LEAST_DAYS, PackState, free_packs, unrecorded
from azbackup.commands.maintenance.keeping import LocalTime, Rules, Verdict, verdicts
from azbackup.commands.maintenance.ledger import GRACE_DAYS, Ledger
from azbackup.errors import Damaged, NothingStored
from azbackup.format.labels import pack_blob, record_blob, snapshot_name
from azbackup.format.model import ChunkId, PackId, PackRecord, Snapshot
from azbackup.format.retirement import Retirement, joined, without
from azbackup.packs.run import Clock
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog
from azbackup.records.commit import finish_commit
from azbackup.records.partition import Partition
from azbackup.records.record_store import RecordStore
from azbackup.records.snapshots import Source, sources_text
from azbackup.records.uses import used_chunks
from azbackup.storage.prices import Prices
from azbackup.storage.protocols import BlobInfo, Removal

_MOST = 20_000  # snapshots or packs of one record
_MONTH_DAYS = 30.0
_NEARLY_DAYS = 1.0  # a deletion may begin so soon


@dataclass(frozen=True)
class Wish:
    """What is asked for. `sources`: whose snapshots the rules are for, None for all. `forget`: numbers that go anyhow.

    `recall`: numbers that were retired and are wanted again. `early`: the days that packs are paid for anyway are not
    waited for. `always`: packs are looked at even if that was done this week. `dry_run`: nothing is written. `known`:
    whether a message is of damage that was settled. `others`: the snapshots of other eras, which rules count as well.
    """

    rules: Rules
    prices: Prices
    sources: Collection[Source] | None = None
    forget: Collection[int] = ()
    recall: Collection[int] = ()
    early: bool = False
    always: bool = False
    dry_run: bool = False
    known: Callable[[str], bool] = lambda _: False
    others: Sequence[Snapshot] = ()


@dataclass
class Outcome:
    """What happened, or would. `waiting`: condemned, and not deleted yet; `young`: free, and paid for still.

    `month` is what all of these cost a month, `fee` what deleting them at once would.
    """

    verdicts: dict[Source, list[Verdict]] = field(default_factory=dict)
    retired: list[Snapshot] = field(default_factory=list)
    recalled: list[Snapshot] = field(default_factory=list)
    looked: bool = False
    condemned: list[PackState] = field(default_factory=list)
    waiting: list[PackState] = field(default_factory=list)
    young: list[PackState] = field(default_factory=list)
    deleted: list[PackState] = field(default_factory=list)
    spared: list[PackId] = field(default_factory=list)
    records: int = 0  # snapshots whose records were deleted
    total: int = 0  # bytes of all sound packs
    month: float = 0.0
    fee: float = 0.0
    currency: str = ""

    @property
    def free(self) -> list[PackState]:
        """The packs that hold nothing that is kept, and are there."""
        return [*self.condemned, *self.waiting, *self.young]


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """What happened in all eras of a partition; the verdicts are of all of them in each."""
    whole = Outcome(verdicts=outcomes[-1].verdicts, currency=outcomes[-1].currency)
    for each in outcomes:
        for name in ("retired", "recalled", "condemned", "waiting", "young", "deleted", "spared"):
            getattr(whole, name).extend(getattr(each, name))
        whole.looked |= each.looked
        whole.records, whole.total = whole.records + each.records, whole.total + each.total
        whole.month, whole.fee = whole.month + each.month, whole.fee + each.fee
    return whole


class Retention:
    """One run. Made once, run once."""

    def __init__(
        self, partition: Partition, catalog: Catalog, removal: Removal, local: LocalTime, clock: Clock
    ) -> None:
        """`local` says what the clock shows at a Unix time; `clock` names new copies, and guesses the time."""
        self._partition = partition
        self._records = partition.records
        self._catalog = catalog
        self._removal = removal
        self._local = local
        self._clock = clock
        self._ledger = Ledger(partition, catalog)
        self._outcome = Outcome()
        self._packs: set[PackId] = set()  # all that have a record or are there
        self._heard: list[str] = []

    def run(self, wish: Wish, progress: Progress) -> Outcome:
        """What was done. Raises Damaged, and removes nothing, where a record is lost."""
        report = self._records.report

        def hear(text: str) -> None:
            if not wish.known(text):
                self._heard.append(text)
            report(text)

        self._records.report = hear
        try:
            if not (wish.dry_run or wish.recall):
                self._removal.check()
            progress.stage("looking at the snapshots")
            snapshots = self._snapshots(wish)
            self._check_whole()
            going = self._going(snapshots, wish)
            self._outcome.recalled = self._recalled(wish)
            live = [snapshot for snapshot in snapshots if snapshot.number not in going] + self._outcome.recalled
            self._look(live, wish, progress)
            self._check_whole()
            if not wish.dry_run:
                self._write(going, live)
                if not wish.recall:
                    self._delete(wish, progress)
            _price(self._outcome, wish.prices, self._ledger.now)
        finally:
            self._records.report = report
        return self._outcome

    def _check_whole(self) -> None:
        if self._heard:
            raise _unsure(self._heard[0])

    def _snapshots(self, wish: Wish) -> list[Snapshot]:
        """All snapshots; a commit, or a retired record, that was killed at its very end is finished first."""
        self._ledger.read()
        snapshots = self._catalog.snapshots()
        if wish.dry_run:
            return snapshots
        self._ledger.finish()
        if not self._records.bounds.fence:
            _finish_commits(self._records, self._catalog.newest)
        return self._catalog.snapshots()

    # --- what goes

    def _going(self, snapshots: list[Snapshot], wish: Wish) -> set[int]:
        """The numbers of the snapshots that are to be retired. Raises NothingStored for one that is not there."""
        there = {snapshot.number: snapshot for snapshot in snapshots}
        for number in wish.forget:
            if number not in there and not self._catalog.retired.has(number):
                raise NothingStored(f"no snapshot {number}", "restore.py --snapshots lists those there are")
        copy = self._newest_copy() if wish.rules.within else []
        now = max((self._ledger.see(info) for info in copy), default=math.inf)
        every = sorted([*snapshots, *wish.others], key=lambda snapshot: snapshot.number)
        found = verdicts(every, wish.rules, self._local, now)
        if wish.sources is not None:
            missing = [source for source in wish.sources if source not in found]
            if missing and wish.always:
                known = f"its sources: {sources_text(found)}"
                raise NothingStored(f"source {missing[0]} is not in partition {self._partition.name}", known)
            found = {source: its for source, its in found.items() if source in wish.sources}
        going = {each.snapshot.number for its in found.values() for each in its if not each.reasons}
        going = (going | set(wish.forget)) & there.keys()
        going = set(sorted(going)[:_MOST])
        self._outcome.verdicts = found
        self._outcome.retired = [there[number] for number in sorted(going)]
        return going

    def _recalled(self, wish: Wish) -> list[Snapshot]:
        """The retired snapshots that are wanted again. Raises NothingStored for one that is going to be deleted."""
        if wish.recall:  # which deletes nothing: the later of two clocks is the safe one
            self._ledger.now = max(self._ledger.now, self._clock.now_ns() / 1e9)
        standing = {each.number: each for each in self._catalog.standing if self._catalog.retired.has(each.number)}
        retired = {number: each.number for each in self._catalog.retired.records for number in each.removed}
        for number in wish.recall:
            if number not in standing or number not in retired or self._ledger.is_due(retired[number], _NEARLY_DAYS):
                there = ", ".join(map(str, sorted(standing))) or "none"
                raise NothingStored(f"snapshot {number} cannot be recalled", f"retired, and not deleted yet: {there}")
        return [standing[number] for number in sorted(wish.recall)]

    # --- packs

    def _look(self, live: list[Snapshot], wish: Wish, progress: Progress) -> None:
        """Finds the packs that nothing needs, unless that was done this week."""
        outcome, condemned = self._outcome, self._catalog.retired.condemned
        guess = self._clock.now_ns() / 1e9
        if not wish.always and guess - self._ledger.looked() < GRACE_DAYS * DAY_SECONDS:
            return
        outcome.looked = True
        progress.stage("looking for packs that nothing needs")
        used = self._used(live)
        rows: set[PackId] = set()
        prefix = pack_blob(self._partition.name, "")
        there = {PackId(info.name.removeprefix(prefix)): info for info in self._partition.blobs.listed(prefix)}
        for info in (*there.values(), *self._newest_copy()):
            self._ledger.see(info)
        days = wish.prices.early_deletion_days
        free, outcome.total = free_packs(self._recorded(rows), there, used, condemned, days)
        # Of killed backups, and of retention that was killed between a row and its pack.
        rowless = unrecorded(there, rows, condemned, days, self._ledger.now - LEAST_DAYS * DAY_SECONDS)
        if rowless and _is_held(self._catalog, used, there):
            free += rowless
        # By the clock here, which may be wrong: before anything is deleted the service's counts.
        today = max(self._ledger.now, guess)
        for state in free:
            if state.pack_id in condemned:
                outcome.waiting.append(state)
            elif wish.early or state.is_old(today + GRACE_DAYS * DAY_SECONDS, today - LEAST_DAYS * DAY_SECONDS):
                outcome.condemned.append(state)
            else:
                outcome.young.append(state)
        del outcome.condemned[_MOST:]
        self._packs = rows | there.keys()
        outcome.spared = sorted((condemned.keys() & rows) - {state.pack_id for state in outcome.waiting})[:_MOST]

    def _recorded(self, rows: set[PackId]) -> Iterator[tuple[PackId, PackRecord]]:
        """The pack records, their packs noted in `rows` as they come."""
        for pack_id, record in self._catalog.packs():
            rows.add(pack_id)
            yield pack_id, record

    def _used(self, live: list[Snapshot]) -> set[ChunkId]:
        try:
            return used_chunks(self._catalog, live)
        except Damaged as error:
            raise _unsure(error.message) from None

    def _newest_copy(self) -> list[BlobInfo]:
        """The copy of the newest snapshot, as the container lists it."""
        names = [record_blob(self._partition.name, snapshot_name(each.number)) for each in self._catalog.standing[-1:]]
        return [info for name in names for info in self._partition.blobs.listed(name)]

    # --- writing and deleting

    def _write(self, going: set[int], live: list[Snapshot]) -> None:
        """The record that retires, condemns and spares; also where it only says that this run has seen the others."""
        outcome, retired = self._outcome, self._catalog.retired
        if not (going or outcome.looked or outcome.recalled):
            return
        self._ledger.write(
            Retirement(
                numbers=without(
                    joined([*retired.numbers, *((number, number) for number in going)]),
                    [snapshot.number for snapshot in outcome.recalled],
                ),
                removed=sorted(going),
                condemned=[state.pack_id for state in outcome.condemned],
                spared=list(outcome.spared),
                recalled=[snapshot.number for snapshot in outcome.recalled],
                seen=self._ledger.seen(),
                looked=outcome.looked,
            )
        )
        standing = {snapshot.number for snapshot in self._catalog.snapshots()}
        self._ledger.read()
        self._check_whole()
        if lost := [snapshot.number for snapshot in live if snapshot.number not in standing]:
            raise _unsure(f"{snapshot_name(lost[0])} is there no more")

    def _delete(self, wish: Wish, progress: Progress) -> None:
        """Deletes what was retired and condemned by records whose grace period is over."""
        outcome, retired, ledger = self._outcome, self._catalog.retired, self._ledger
        if not outcome.looked:
            return
        progress.stage("deleting what was retired")
        outcome.deleted = [
            state
            for state in outcome.waiting
            if ledger.is_due(retired.condemned.get(state.pack_id, 0)) and (wish.early or state.free_at <= ledger.now)
        ]
        gone = {state.pack_id for state in outcome.deleted}
        outcome.waiting = [state for state in outcome.waiting if state.pack_id not in gone]
        burial = Burial(self._partition, self._catalog, self._removal, self._clock)
        burial.packs(sorted(gone))
        outcome.records = burial.snapshots(ledger.removed(), self._packs - gone)
        burial.retirements(ledger.is_due)


def _finish_commits(records: RecordStore, newest: int) -> None:
    """Finishes the commits beyond the newest snapshot: what they need is needed."""
    for number in sorted(number for number in records.copies.snapshot_numbers() if number > newest):
        name = snapshot_name(number)
        try:
            records.copied(name, sure=True)
        except Damaged:
            if number == newest + 1:  # it may have been one; what lies further on somebody put there
                records.report(f"{name}: its copy does not open, and it has no row")
                newest = number
            continue
        finish_commit(records, number)
        newest = number


def _is_held(catalog: Catalog, used: set[ChunkId], there: Collection[PackId]) -> bool:
    """Whether packs with a row have all that is used: else one whose row was lost may be the one that has it."""
    records = (record for pack_id, record in catalog.packs() if pack_id in there)
    return not used.difference(each for record in records for each in record.chunk_ids())


def _price(outcome: Outcome, prices: Prices, now: float) -> None:
    """Says what the packs that nothing needs cost, and what it would cost to be rid of them now."""
    outcome.currency = prices.currency
    for state in outcome.free:
        if state.tier in prices.gb_month:
            left = max(0.0, state.free_at - now) / DAY_SECONDS
            outcome.month += prices.storing(state.size, state.tier, _MONTH_DAYS, 1)
            outcome.fee += prices.storing(state.size, state.tier, left, 1)


def _unsure(why: str) -> Damaged:
    """Nothing is removed while something is lost: nobody knows what it needs."""
    return Damaged(
        f"nothing was removed, since stored records are damaged: {why}", "see docs/operations.md, damaged storage"
    )
