"""Deleting what retention took away, in the reverse of a backup's order: what points goes before what it points to.

    packs:     rows -> blobs
    snapshots: the pack records in the copies of their runs, copied -> file records -> those copies
               -> heads -> rows -> copies

Promises that a kill between any two deletions leaves what a later run finds again: a retired record is deleted when all
that it says is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from azbackup.errors import Damaged
from azbackup.format.framing import COPY_BYTES, unframe
from azbackup.format.labels import (
    PACK_PREFIX,
    SNAPSHOT_PREFIX,
    files_name,
    is_snapshot,
    number_of,
    pack_blob,
    record_blob,
    retired_name,
    snapshot_name,
)
from azbackup.format.model import PackId, RunId, SealedRecord, Snapshot
from azbackup.format.payloads import decode_snapshot
from azbackup.packs.run import Clock
from azbackup.records.catalog import Catalog
from azbackup.records.commit import RunCopies
from azbackup.records.heads import head_names
from azbackup.records.partition import Partition
from azbackup.storage.protocols import Removal


class Burial:
    """The deletions of one run."""

    def __init__(self, partition: Partition, catalog: Catalog, removal: Removal, clock: Clock) -> None:
        self._partition = partition
        self._catalog = catalog
        self._removal = removal
        self._clock = clock

    def packs(self, packs: Sequence[PackId]) -> None:
        """Deletes packs: first their rows, so that none is missing that a row tells of."""
        self._removal.rows([PACK_PREFIX + pack for pack in packs])
        self._removal.blobs([pack_blob(self._partition.name, pack) for pack in packs])

    # --- snapshots

    def snapshots(self, removed: Mapping[int, float], packs: Collection[PackId]) -> int:
        """Deletes the records of snapshots, and the file records that no other one stands on; how many.

        `removed`: which, and when each was retired: one that was made later is another one, and stays. `packs` are
        those that there are: their records are kept.
        """
        made = self._made()
        numbers = {number for number, retired in removed.items() if made.get(number, 0.0) <= retired}
        due = [snapshot for snapshot in self._catalog.standing if snapshot.number in numbers]
        due += self._copied((numbers & made.keys()) - {snapshot.number for snapshot in due})
        others = [snapshot for snapshot in self._catalog.standing if snapshot.number not in numbers]
        kept = {layer.run for snapshot in others for layer in snapshot.layers} | {each.run for each in others}
        runs = {run: records for run, records in _runs(due).items() if run not in kept}
        self._delete_runs(runs, {PACK_PREFIX + pack for pack in packs})
        self._removal.rows([name for snapshot in due for name in head_names(self._partition.records, snapshot)])
        self._removal.rows([snapshot_name(snapshot.number) for snapshot in due])
        names = [snapshot_name(number) for number in sorted(numbers & {*made, *(each.number for each in due)})]
        self._removal.blobs([record_blob(self._partition.name, name) for name in names])
        return len(names)

    def _copied(self, numbers: Collection[int]) -> list[Snapshot]:
        """The snapshots of some numbers as their copies say it: those that lost their row."""
        records, found = self._partition.records, []
        for name in map(snapshot_name, sorted(numbers)):
            try:
                found.append(decode_snapshot(name, records.open_sealed(records.copied(name, sure=True))))
            except Damaged:
                continue
        return found

    def _made(self) -> dict[int, float]:
        """When the copy of each snapshot was made, as the service has it."""
        prefix = record_blob(self._partition.name, "")
        listed = self._partition.blobs.listed(prefix + SNAPSHOT_PREFIX)
        named = ((info.name.removeprefix(prefix), info.created or info.modified) for info in listed)
        return {number_of(name, SNAPSHOT_PREFIX): made for name, made in named if is_snapshot(name)}

    def _delete_runs(self, runs: dict[str, int], rows: Collection[str]) -> None:
        """Deletes the file records of some runs, by run: how many, and the copies, but for what others need of them."""
        if not runs:
            return
        copies, needed = self._copies_of(runs, rows)
        if needed:
            RunCopies(self._partition.records, RunId(self._clock.new_stamp())).put(needed)
        self._removal.rows([files_name(run, number) for run in sorted(runs) for number in range(1, runs[run] + 1)])
        self._removal.blobs(copies)

    def _copies_of(self, runs: Collection[str], rows: Collection[str]) -> tuple[list[str], list[SealedRecord]]:
        """(names of the copies of some runs, the records in them that are among some rows).

        Anybody who can create blobs could put a copy there: one that opens is kept.
        """
        blobs = self._partition.blobs
        names: list[str] = []
        needed: dict[str, SealedRecord] = {}
        for run in sorted(runs):
            for info in list(blobs.listed(record_blob(self._partition.name, run + "-"))):
                if info.size > COPY_BYTES:
                    continue
                try:
                    found = unframe(blobs.get(info.name))
                except Damaged:
                    continue  # nobody knows what else it holds
                needed.update((row.name, row) for row in found if row.name in rows and self._opens(row))
                names.append(info.name)
        return names, list(needed.values())

    def _opens(self, row: SealedRecord) -> bool:
        try:
            self._partition.records.open_sealed(row)
        except Damaged:
            return False
        return True

    # --- retired records

    def retirements(self, is_due: Callable[[int], bool]) -> None:
        """Deletes the oldest retired records as far as all that they say is gone; never the newest one."""
        self._catalog.snapshots()
        retired = self._catalog.retired
        standing = {snapshot.number for snapshot in self._catalog.standing}
        standing |= self._partition.records.copies.snapshot_numbers()
        prefix = pack_blob(self._partition.name, "")
        packs = {name.removeprefix(prefix) for name in self._partition.blobs.names(prefix)}
        for record in retired.records[:-1]:
            removed = {number for number in record.removed if retired.has(number)}
            left = standing & removed or packs & set(record.condemned) & retired.condemned.keys()
            if left or not is_due(record.number):
                break
            # One by one: an older one that came back without a newer one would say what that took back.
            name = retired_name(record.number)
            self._removal.rows([name])
            self._removal.blobs([record_blob(self._partition.name, name)])


def _runs(snapshots: Sequence[Snapshot]) -> dict[str, int]:
    """The runs that snapshots were made by or stand on, and how many file records each has."""
    found = dict.fromkeys((snapshot.run for snapshot in snapshots), 0)
    for snapshot in snapshots:
        for layer in snapshot.layers:
            found[layer.run] = max(layer.records, found.get(layer.run, 0))
    return found
