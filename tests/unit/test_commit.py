"""What a run asks that finds its number taken, and how often."""

from __future__ import annotations

import msgspec
import pytest

from azbackup.errors import WrongPassword
from azbackup.format.labels import snapshot_name
from azbackup.format.model import SealedRecord
from azbackup.format.payloads import Fence, encode_fence
from azbackup.records.bounds import Bounds
from azbackup.records.commit import RunCopies, commit
from azbackup.records.record_store import RecordStore
from tests.unit.test_catalog import Partition, partition, snapshot

__all__ = ["partition"]


class Key:
    """Whether the data key is in force, and how often that was asked."""

    def __init__(self, *, current: bool) -> None:
        self.current = current
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.current


def late(partition: Partition, key: Key) -> int:
    """The number that a run gets which saw no snapshot yet."""
    records = partition.catalog().records
    records.bounds = Bounds(is_current=key)
    made = snapshot(9)
    return commit(records, [], RunCopies(records, made.run), made, 0).number


def put(partition: Partition, row: SealedRecord, *, copy: bool, with_row: bool) -> None:
    """A record where the next snapshot goes."""
    if copy:
        partition.catalog().records.copies.put(row.name, [row])
    if with_row:
        partition.rows.insert([row])


def fence(records: RecordStore) -> SealedRecord:
    """The end of an era, as the fourth number."""
    return records.seal(snapshot_name(4), encode_fence(Fence(1)))


def test_behind_snapshots_it_is_asked_once(partition: Partition) -> None:
    """However many numbers were taken: none of them is that of a fence."""
    key = Key(current=True)
    assert late(partition, key) == 4
    assert key.asked == 1


@pytest.mark.parametrize("with_row", [True, False])
@pytest.mark.parametrize("kind", ["fence", "garbage"])
def test_behind_a_fence_nothing_is_put(partition: Partition, kind: str, with_row: bool) -> None:
    """Nor behind what may be one under another key: the key is asked for first, and was replaced."""
    row = fence(partition.catalog().records)
    if kind == "garbage":
        row = msgspec.structs.replace(row, sealed=bytes(len(row.sealed)))
    put(partition, row, copy=True, with_row=with_row)
    before = set(partition.blobs.blobs)
    with pytest.raises(WrongPassword):
        late(partition, Key(current=False))
    assert set(partition.blobs.blobs) == before


def test_a_fence_that_came_to_nothing_is_passed_over(partition: Partition) -> None:
    """A change that was killed before it replaced the record: the key is asked for, and asked again at the end."""
    put(partition, fence(partition.catalog().records), copy=True, with_row=False)
    key = Key(current=True)
    assert late(partition, key) == 5
    assert key.asked == 2
