"""Which numbers an era has, and what stands for a snapshot elsewhere."""

from __future__ import annotations

from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.format.labels import snapshot_name
from azbackup.format.model import Layer, Snapshot, Totals
from azbackup.format.payloads import Fence, encode_fence, encode_snapshot
from azbackup.records.bounds import Bounds
from azbackup.records.catalog import Catalog
from azbackup.records.record_store import RecordStore
from tests.contract.memory import MemoryBlobs, MemoryRows, MemoryTable

RUN = "20261127T000000Z-0123456789abcdef"


def catalog_of(bounds: Bounds, snapshots: list[int], fences: list[int] = []) -> tuple[Catalog, list[str]]:  # noqa: B006
    """A catalog of rows that whoever has the key put there, and what it says as damage."""
    rows, said = MemoryRows(MemoryTable(), "user1"), []
    records = RecordStore(rows, MemoryBlobs(), derive(Secret(bytes(32))), "user1", said.append)
    records.bounds = bounds
    snapshot = Snapshot(b"/home", "host", RUN, 1, 2, [Layer(RUN, 1, 1)], Totals())
    for number in snapshots:
        records.insert([records.seal(snapshot_name(number), encode_snapshot(snapshot))])
    for number in fences:
        records.insert([records.seal(snapshot_name(number), encode_fence(Fence(2)))])
    return Catalog(records), said


def numbers(catalog: Catalog) -> list[int]:
    """The snapshots that count."""
    return [each.number for each in catalog.snapshots()]


def test_numbers_of_an_era() -> None:
    """Those between its bounds, whoever put them there; elsewhere they are damage, and a gap below the end is."""
    catalog, said = catalog_of(Bounds(2, 6), [1, 3, 5, 6, 7])
    assert numbers(catalog) == [3, 5]
    assert [text.partition(":")[0] for text in said] == [*map(snapshot_name, (1, 6, 7, 4))]
    assert "missing" in said[-1]
    assert catalog.newest == 6


def test_an_era_begins_behind_the_one_before() -> None:
    """The numbers of that one are no gap, and the first snapshot of this one has the next."""
    catalog, said = catalog_of(Bounds(6), [])
    assert (numbers(catalog), catalog.newest, said) == ([], 6, [])
    catalog, said = catalog_of(Bounds(6), [7, 9])
    assert (numbers(catalog), catalog.newest) == ([7, 9], 9)
    assert [text.partition(":")[0] for text in said] == [snapshot_name(8)]


def test_a_fence_that_was_passed_over() -> None:
    """It explains its number, and is no snapshot."""
    catalog, said = catalog_of(Bounds(), [1, 3], [2])
    assert (numbers(catalog), catalog.newest, said) == ([1, 3], 3, [])
