"""All records of a partition, opened: which snapshots there are, what was in them, which chunk is in which pack.

Promises to notice what is hidden: snapshot numbers have no gap that nothing explains, a layer has all of its file
records, an entry's chunks have a pack. What a row no longer tells is read from its copy, and said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import reduce
from typing import TypeVar

from azbackup.errors import Damaged
from azbackup.format.labels import (
    PACK_PREFIX,
    RETIRED_PREFIX,
    SNAPSHOT_PREFIX,
    number_of,
    retired_name,
    snapshot_name,
)
from azbackup.format.layers import Item, State, merge, read_entries
from azbackup.format.model import Layer, PackId, PackRecord, SealedRecord, Snapshot
from azbackup.format.payloads import Fence, decode_numbered, decode_pack
from azbackup.format.retirement import Retired, Retirement, decode_retirement
from azbackup.records.bounds import planted_text
from azbackup.records.copies import USELESS_COPIES
from azbackup.records.heads import LARGE, from_heads, kept_number
from azbackup.records.layer_rows import Rows, layer_payloads, layer_rows
from azbackup.records.record_store import RecordStore
from azbackup.records.snapshots import Source

T = TypeVar("T")

_FEW = 32  # rows of snapshots that a machine which knows nothing reads before it asks for heads


def _passed_text(passed: list[int]) -> str:
    """A line for the copies that were passed over: one of them may be genuine."""
    return (
        f"{snapshot_name(min(passed))} to {snapshot_name(max(passed))}: {len(passed):,} copies were not looked at, "
        f"since {USELESS_COPIES} others are of no use: --snapshot NUMBER looks at that one, restore.py --verify at all"
    )


def gap_texts(gaps: Iterable[tuple[int, int]], newest: int, seen: int) -> Iterator[str]:
    """A line for each run of numbers that nothing explains; `seen` is the highest that this machine stored."""
    for first, last in gaps:
        which = snapshot_name(first) + (f" to {snapshot_name(last)}" if first < last else "")
        text = f"{which}: missing, row and copy"
        if last > newest and seen:
            text += (
                f"; this machine stored snapshots up to {seen}; those after {newest} are "
                "no longer in the storage (deleted, or the storage was rolled back)"
            )
        yield text


class Catalog:
    """What one partition knows."""

    def __init__(self, records: RecordStore, seen: int = 0) -> None:
        """`seen` is the highest snapshot number that this machine remembers, 0 for none."""
        self.records = records
        self.newest = 0  # the highest snapshot number found
        self._seen = seen
        self._probed: list[SealedRecord] | None = None  # all rows that `_read` asks for, once they are known to be few
        self.from_head = False  # whether `newest_of` found what it looked for
        self._fences: set[int] = set()
        self._retired: Retired | None = None
        self.standing: list[Snapshot] = []  # all that have a record still, retired or not

    # --- snapshots

    def newest_of(self, source: Source, own_seen: int = 0) -> Snapshot | None:
        """The newest snapshot of a source, in a partition too large to read all others for it; else None.

        None says nothing about what there is: `snapshots` does. What heads say is not believed where it is less than
        this machine has seen, `own_seen` of this source. No gap is noticed here: a rollback is.
        """
        if not self._may_be_large():
            return None
        found = from_heads(self.records, source, self._seen, own_seen)
        if found is None:
            return None
        snapshot, highest = found
        retired = Retired(self._decoded(RETIRED_PREFIX, decode_retirement))
        if retired.has(snapshot.number):
            return None
        self.newest = max(highest, retired.highest)
        self._retired = retired
        self.from_head = True
        return snapshot

    @property
    def is_large(self) -> bool:
        """Whether there are more snapshots than are read by each run."""
        return self.newest > LARGE

    def _may_be_large(self) -> bool:
        """Whether there may be more snapshots than a page has; a machine that knows of none reads a few of them."""
        if known := self._seen or kept_number(self.records):
            return known > LARGE
        rows = self.records.first(RETIRED_PREFIX, SNAPSHOT_PREFIX[:-1] + ".", _FEW)
        self._probed = rows if 0 < len(rows) < _FEW else None
        return len(rows) == _FEW

    def snapshots(self, wanted: int | None = None, *, every_copy: bool = False) -> list[Snapshot]:
        """All snapshots by number, but those that were retired.

        A number that is missing is read from its copy, or reported as damage. Of copies that are of no use a run reads
        some and then no more, the newest first, but for the one that is `wanted`; `every_copy`: all of them. The one
        that is wanted is given as long as it stands, retired or not.
        """
        found, retired = self._read()
        bounds = self.records.bounds
        expected = bounds.last or max(max(found, default=bounds.after), retired.highest, self._seen)
        if any(retired.gaps({*found, *self._fences}, expected, bounds.after)):
            retired = self._with_copies(retired)
        if any(retired.gaps({*found, *self._fences}, expected, bounds.after)):
            copied = self.records.copies.snapshot_numbers() - found.keys()  # one listing, however many
            lost = {each for each in copied if each <= expected and bounds.has(each) and not retired.has(each)}
            sure = lost if every_copy else lost & {wanted}
            passed = self._recover_snapshots([*sorted(sure), *sorted(lost - sure, reverse=True)], sure, found)
            self._report_gaps(found, {*found, *self._fences, *passed}, expected, retired)
            if passed:
                self.records.report(_passed_text(passed))
        self.newest = bounds.fence or max(max(found, default=bounds.after), retired.highest)
        self._retired = retired
        self.standing = [found[number] for number in sorted(found)]
        return [each for each in self.standing if each.number == wanted or not retired.has(each.number)]

    @property
    def retired(self) -> Retired:
        """What retention took away, as it was when it was read first."""
        if self._retired is None:
            self._retired = self._read()[1]
        return self._retired

    def _read(self) -> tuple[dict[int, Snapshot], Retired]:
        """The snapshots that have a row, by number, and all retired records."""
        found: dict[int, Snapshot] = {}
        records: list[Retirement] = []
        rows, self._probed = self._probed, None
        for row in self.records.neighbours(RETIRED_PREFIX, SNAPSHOT_PREFIX) if rows is None else rows:
            try:
                if row.name.startswith(SNAPSHOT_PREFIX):
                    self._take(row.name, self.records.decoded(row.name, row, decode_numbered)[1], found)
                elif row.name.startswith(RETIRED_PREFIX):
                    records.append(self.records.decoded(row.name, row, decode_retirement)[1])
            except Damaged as error:
                self.records.report(error.message)
        return found, Retired(records)

    def _take(self, name: str, numbered: Snapshot | Fence, found: dict[int, Snapshot]) -> None:
        """Notes what stands at a number; a snapshot where this data key has none is reported, and not used."""
        number = number_of(name, SNAPSHOT_PREFIX)
        if isinstance(numbered, Fence):
            self._fences.add(number)
        elif self.records.bounds.has(number):
            found[number] = numbered
        else:
            self.records.report(planted_text(number))

    def _with_copies(self, retired: Retired) -> Retired:
        """The same with the records that only their copies still tell of."""
        records = list(retired.records)
        known = {retired_name(record.number) for record in records}
        for name in self.records.copies.names(RETIRED_PREFIX):
            if name not in known:
                try:
                    records.append(self.records.decoded(name, None, decode_retirement)[1])
                except Damaged as error:
                    self.records.report(error.message)
        return Retired(records)

    def _report_gaps(self, found: dict[int, Snapshot], explained: set[int], expected: int, retired: Retired) -> None:
        """A line for each run of numbers up to the expected one that nothing explains, and that were not retired."""
        gaps = retired.gaps(explained, expected, self.records.bounds.after)
        deque(map(self.records.report, gap_texts(gaps, max(found, default=0), self._seen)), maxlen=0)

    def _decoded(self, prefix: str, decode: Callable[[str, bytes], T], since: str = "") -> Iterator[T]:
        """The records under a prefix; one that does not open, or is not what it should be, is reported as damage."""
        for row in self.records.rows(prefix + since, prefix[:-1] + "."):
            try:
                _, record = self.records.decoded(row.name, row, decode)
            except Damaged as error:
                self.records.report(error.message)
                continue
            yield record

    def _recover_snapshots(self, numbers: list[int], sure: set[int], found: dict[int, Snapshot]) -> list[int]:
        """Adds snapshots without a row, if their copies tell of them; returns the numbers that were passed over."""
        passed = []
        for number in numbers:
            if self.records.looks_no_further and number not in sure:
                passed.append(number)
                continue
            name = snapshot_name(number)
            try:
                self._take(name, self.records.decoded(name, None, decode_numbered, sure=number in sure)[1], found)
            except Damaged:
                continue  # a gap, which is reported
        return passed

    # --- entries

    def entries(self, snapshot: Snapshot, *, whole: bool = False) -> State:
        """The state of the source at a snapshot, in path order, and what is hidden of it.

        With `whole` nothing may be: raises Damaged instead.
        """
        full, *changes = self.layers(snapshot.layers, whole=whole)
        if not changes:
            return State(full)
        report = None if whole else self.records.report
        above = reduce(lambda below, newer: merge(below, newer, report, final=False), changes)
        return State(merge(full, above, report, final=True))

    def layers(self, layers: list[Layer], *, whole: bool = False, full: bool = True) -> list[Iterator[Item]]:
        """What each of some layers says, removals and holes too, in path order; their rows come by one query.

        The first of them is a `full` one, or a change as the others are.
        """
        rows = layer_rows(self.records, layers)
        return [self._layer(layer, rows, full=full and not number, whole=whole) for number, layer in enumerate(layers)]

    def _layer(self, layer: Layer, rows: Rows, *, full: bool, whole: bool) -> Iterator[Item]:
        def report(text: str) -> None:
            self.records.report(f"run {layer.run}: {text}")

        return read_entries(layer_payloads(self.records, layer, rows), full=full, report=None if whole else report)

    # --- packs

    def packs(self, since: str = "") -> Iterator[tuple[PackId, PackRecord]]:
        """Every pack record, or those whose ids are not before `since`; those of condemned packs last.

        One that cannot be used is reported as damage: its chunks are then unknown.
        """
        condemned = self.retired.condemned
        late: list[tuple[PackId, PackRecord]] = []
        for pack_id, record in self._decoded(PACK_PREFIX, decode_pack, since):
            if pack_id in condemned:
                late.append((pack_id, record))
            else:
                yield pack_id, record
        yield from late

    def packs_without_row(self, known: Collection[PackId]) -> Iterator[tuple[PackId, PackRecord]]:
        """Pack records that only their copies still tell of; asked for when a chunk has no pack."""
        for name in self.records.copies.names(PACK_PREFIX):
            if PackId(name.removeprefix(PACK_PREFIX)) not in known:
                try:
                    yield self.records.decoded(name, None, decode_pack)[1]
                except Damaged as error:
                    self.records.report(error.message)
