"""All records of a partition, opened: which snapshots there are, what was in them, which chunk is in which pack.

Promises to notice what is hidden: snapshot numbers have no gap that nothing explains, a layer has all of its file
records, an entry's chunks have a pack. What a row no longer tells is read from its copy, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from azbackup.errors import Damaged
from azbackup.format.labels import PACK_PREFIX, SNAPSHOT_PREFIX, snapshot_name
from azbackup.format.layers import Item, State, merge, read_entries
from azbackup.format.model import Layer, PackId, PackRecord, Snapshot
from azbackup.format.payloads import decode_pack, decode_snapshot
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

    # --- snapshots

    def snapshots(self) -> list[Snapshot]:
        """All snapshots by number. A number that is missing is read from its copy, or reported as damage."""
        found = {each.number: each for each in self._decoded(SNAPSHOT_PREFIX, decode_snapshot)}
        expected = max(max(found, default=0), self._seen)
        if len(found) < expected:  # one listing, however many are missing: a number in a name costs nothing
            lost = sorted(self.records.copies.snapshot_numbers() - found.keys())
            self._recover_snapshots([number for number in lost if number <= expected], found)
            self._report_gaps(found, expected)
        self.newest = max(found, default=0)
        return [found[number] for number in sorted(found)]

    def _report_gaps(self, found: dict[int, Snapshot], expected: int) -> None:
        """A line for each run of numbers up to the expected one that no snapshot has."""
        before = 0
        for number in [*sorted(found), expected + 1]:
            first, last = before + 1, number - 1
            if first <= last:
                which = snapshot_name(first) + (f" to {snapshot_name(last)}" if first < last else "")
                text = f"{which}: missing, row and copy"
                if last > max(found, default=0):
                    text += (
                        f"; this machine stored snapshots up to {self._seen}; those after {max(found, default=0)} are "
                        "no longer in the storage (deleted, or the storage was rolled back)"
                    )
                self.records.report(text)
            before = number

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
        """Every pack record. One that cannot be used is reported as damage: its chunks are then unknown."""
        return self._decoded(PACK_PREFIX, decode_pack)

    def packs_without_row(self, known: set[PackId]) -> Iterator[tuple[PackId, PackRecord]]:
        """Pack records that only their copies still tell of; asked for when a chunk has no pack."""
        for name in self.records.copies.names(PACK_PREFIX):
            if PackId(name.removeprefix(PACK_PREFIX)) not in known:
                try:
                    yield decode_pack(name, self.records.missing(name))
                except Damaged as error:
                    self.records.report(error.message)
