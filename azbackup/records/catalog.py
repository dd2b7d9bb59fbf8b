"""All records of a partition, opened: which snapshots there are, what was in them, which chunk is in which pack.

Promises to notice what is hidden: snapshot numbers have no gap that nothing explains, a layer has all of its file
records, an entry's chunks have a pack. What a row no longer tells is read from its copy, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from azbackup.errors import Damaged
from azbackup.format.labels import PACK_PREFIX, RETIRED_PREFIX, SNAPSHOT_PREFIX, retired_name, snapshot_name
from azbackup.format.layers import Item, State, merge, read_entries
from azbackup.format.model import Layer, PackId, PackRecord, Snapshot
from azbackup.format.payloads import decode_pack, decode_snapshot
from azbackup.format.retirement import Retired, Retirement, decode_retirement
from azbackup.records.layer_rows import Rows, layer_payloads, layer_rows
from azbackup.records.record_store import RecordStore

T = TypeVar("T")


class Catalog:
    """What one partition knows."""

    def __init__(self, records: RecordStore, seen: int = 0) -> None:
        """`seen` is the highest snapshot number that this machine remembers, 0 for none."""
        self.records = records
        self.newest = 0  # the highest snapshot number found
        self._seen = seen
        self._retired: Retired | None = None
        self.standing: list[Snapshot] = []  # all that have a record still, retired or not

    # --- snapshots

    def snapshots(self) -> list[Snapshot]:
        """All snapshots by number, but those that were retired.

        A number that is missing is read from its copy, or reported as damage.
        """
        found, retired = self._read()
        expected = max(max(found, default=0), self._seen)
        if any(retired.gaps(found, expected)):
            retired = self._with_copies(retired)
        if any(retired.gaps(found, expected)):  # one listing, however many: a number in a name costs nothing
            lost = sorted(self.records.copies.snapshot_numbers() - found.keys())
            wanted = [number for number in lost if number <= expected and not retired.has(number)]
            self._recover_snapshots(wanted, found)
            self._report_gaps(found, expected, retired)
        self.newest = max(max(found, default=0), retired.highest)
        self._retired = retired
        self.standing = [found[number] for number in sorted(found)]
        return [found[number] for number in sorted(found) if not retired.has(number)]

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
        for row in self.records.neighbours(RETIRED_PREFIX, SNAPSHOT_PREFIX):
            try:
                if row.name.startswith(SNAPSHOT_PREFIX):
                    snapshot = decode_snapshot(row.name, self.records.open(row))
                    found[snapshot.number] = snapshot
                elif row.name.startswith(RETIRED_PREFIX):
                    records.append(decode_retirement(row.name, self.records.open(row)))
            except Damaged as error:
                self.records.report(error.message)
        return found, Retired(records)

    def _with_copies(self, retired: Retired) -> Retired:
        """The same with the records that only their copies still tell of."""
        records = list(retired.records)
        known = {retired_name(record.number) for record in records}
        for name in self.records.copies.names(RETIRED_PREFIX):
            if name not in known:
                try:
                    records.append(decode_retirement(name, self.records.missing(name)))
                except Damaged as error:
                    self.records.report(error.message)
        return Retired(records)

    def _report_gaps(self, found: dict[int, Snapshot], expected: int, retired: Retired) -> None:
        """A line for each run of numbers up to the expected one that no snapshot has, and that were not retired."""
        newest = max(found, default=0)
        for first, last in retired.gaps(found, expected):
            which = snapshot_name(first) + (f" to {snapshot_name(last)}" if first < last else "")
            text = f"{which}: missing, row and copy"
            if last > newest:
                text += (
                    f"; this machine stored snapshots up to {self._seen}; those after {newest} are "
                    "no longer in the storage (deleted, or the storage was rolled back)"
                )
            self.records.report(text)

    def _decoded(self, prefix: str, decode: Callable[[str, bytes], T]) -> Iterator[T]:
        """The records under a prefix; one that does not open, or is not what it should be, is reported as damage."""
        for row in self.records.rows(prefix, prefix[:-1] + "."):
            try:
                record = decode(row.name, self.records.open(row))
            except Damaged as error:
                self.records.report(error.message)
                continue
            yield record

    def _recover_snapshots(self, numbers: list[int], found: dict[int, Snapshot]) -> None:
        """Adds snapshots without a row, if their copies tell of them; other numbers stay gaps, which are reported."""
        for number in numbers:
            name = snapshot_name(number)
            try:
                found[number] = decode_snapshot(name, self.records.missing(name))
            except Damaged:
                continue

    # --- entries

    def entries(self, snapshot: Snapshot, *, whole: bool = False) -> State:
        """The state of the source at a snapshot, in path order, and what is hidden of it.

        With `whole` nothing may be: raises Damaged instead.
        """
        full, *changes = self.layers(snapshot.layers, whole=whole)
        if not changes:
            return State(full)
        above = changes[0]
        for newer in changes[1:]:
            above = merge(above, newer, final=False)
        return State(merge(full, above, final=True))

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

    def packs(self) -> Iterator[tuple[PackId, PackRecord]]:
        """Every pack record, those of condemned packs last.

        One that cannot be used is reported as damage: its chunks are then unknown.
        """
        condemned = self.retired.condemned
        late: list[tuple[PackId, PackRecord]] = []
        for pack_id, record in self._decoded(PACK_PREFIX, decode_pack):
            if pack_id in condemned:
                late.append((pack_id, record))
            else:
                yield pack_id, record
        yield from late

    def packs_without_row(self, known: set[PackId]) -> Iterator[tuple[PackId, PackRecord]]:
        """Pack records that only their copies still tell of; asked for when a chunk has no pack."""
        for name in self.records.copies.names(PACK_PREFIX):
            if PackId(name.removeprefix(PACK_PREFIX)) not in known:
                try:
                    yield decode_pack(name, self.records.missing(name))
                except Damaged as error:
                    self.records.report(error.message)
