"""What records say once they are open: malformed ones are refused, what is hidden is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.errors import Damaged, NothingStored
from azbackup.format.compression import encode_payload
from azbackup.format.labels import PACK_BYTES, snapshot_name
from azbackup.format.model import Entry, Kind, Layer, PackRecord, Snapshot, Totals
from azbackup.format.payloads import decode_pack, decode_snapshot, encode_pack, encode_snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.commit import RunCopies, commit
from azbackup.records.record_store import RecordStore, compressed
from azbackup.records.snapshots import Source, latest_by_source, snapshot_by_number
from tests.contract.memory import Blob, MemoryBlobs, MemoryRows, MemoryTable, md5_of
from tests.listener import Silent

RUN = "20261122T210800Z-%016x"
PACK = "pack-" + RUN % 1
KEYS = derive(Secret(bytes(range(32))))
RECORD = PackRecord(8 + 30 + 40, b"m" * 16, "archive", bytes(64), [30, 40], [10, 20])


def snapshot(number: int = 0, source: bytes = b"/home", **fields: Any) -> Snapshot:
    """Return a snapshot of nothing."""
    run = RUN % number
    return Snapshot(source, "host", run, 1, 2, [Layer(run, 1, 1)], Totals(), number=number, **fields)


# --- packs


def test_pack_records_come_back() -> None:
    """What was encoded is decoded, with the id of the record's name."""
    assert decode_pack(PACK, encode_pack(RECORD)) == (RUN % 1, RECORD)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 77},
        {"size": 79},
        {"ids": bytes(63)},
        {"ids": bytes(96)},
        {"plain": [10]},
        {"plain": [10, 20, 30]},
        {"plain": [10, 0]},
        {"plain": [10, -20]},
        {"sealed": [70]},
        {"sealed": [80, -10]},
        {"sealed": [70, 0]},
        {"size": PACK_BYTES + 1, "sealed": [30, PACK_BYTES - 37]},
    ],
    ids=repr,
)
def test_columns_that_do_not_agree_are_damaged(change: dict[str, Any]) -> None:
    """Sizes, ids and lengths of a pack must fit each other, and be what a pack can have."""
    with pytest.raises(Damaged):
        decode_pack(PACK, encode_pack(msgspec.structs.replace(RECORD, **change)))


@pytest.mark.parametrize("name", ["pack-", "pack-x", "pack-../" + RUN % 1, PACK + "0", PACK.upper()])
def test_names_of_no_pack_are_damaged(name: str) -> None:
    """The id becomes part of a blob's name."""
    with pytest.raises(Damaged):
        decode_pack(name, encode_pack(RECORD))


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x90", msgspec.msgpack.encode({"size": "x"}), b"\x80"])
@pytest.mark.parametrize("decode", [decode_pack, decode_snapshot])
def test_malformed_payloads_are_damaged(payload: bytes, decode: Callable[[str, bytes], object]) -> None:
    """Whatever msgpack or types are wrong."""
    with pytest.raises(Damaged):
        decode(PACK if decode is decode_pack else "snapshot-00000001", payload)


def test_unknown_fields_are_passed_over() -> None:
    """A later version may say more about a pack or a snapshot."""
    for payload, decode, name in (
        (encode_pack(RECORD), decode_pack, PACK),
        (encode_snapshot(snapshot(1)), decode_snapshot, "snapshot-00000001"),
    ):
        more = msgspec.msgpack.encode({**msgspec.msgpack.decode(payload), "news": [1, 2]})
        assert decode(name, more) == decode(name, payload)


# --- snapshots


def test_snapshots_come_back() -> None:
    """The number is the one of the record's name, not of its contents."""
    found = decode_snapshot("snapshot-00000007", encode_snapshot(snapshot(3, unreadable=[b"\xff"])))
    assert found == msgspec.structs.replace(snapshot(3, unreadable=[b"\xff"]), number=7)


@pytest.mark.parametrize("run", ["", "../x", "x" * 33])
def test_runs_that_are_no_names_are_damaged(run: str) -> None:
    """A run id becomes part of a record's name."""
    for bad in (
        msgspec.structs.replace(snapshot(1), run=run),
        msgspec.structs.replace(snapshot(1), layers=[Layer(run, 1, 1)]),
    ):
        with pytest.raises(Damaged):
            decode_snapshot("snapshot-00000001", encode_snapshot(bad))


def test_choosing() -> None:
    """By number, and the newest of each source; what is not there is named with what is."""
    found = [snapshot(1), snapshot(2, b"/etc"), snapshot(3)]
    assert snapshot_by_number(found, 2) is found[1]
    assert latest_by_source(found) == {Source(b"/home", "host"): found[2], Source(b"/etc", "host"): found[1]}
    with pytest.raises(NothingStored, match="1 to 3"):
        snapshot_by_number(found, 9)
    with pytest.raises(NothingStored, match="there is none"):
        snapshot_by_number([], 1)


# --- a partition in memory


class Partition:
    """Records of one partition in memory."""

    def __init__(self) -> None:
        self.show = Silent()
        self.blobs = MemoryBlobs()
        self.rows = MemoryRows(MemoryTable(), "user1")

    def catalog(self) -> Catalog:
        """Return a catalog of its own, as each run has; `show` keeps what it tells."""
        self.show = Silent()
        return Catalog(RecordStore(self.rows, self.blobs, KEYS, "user1", self.show.damage))

    def commit(self, after: int, number: int) -> int:
        """Commit a snapshot of one file record; return the number that it got."""
        catalog = self.catalog()
        made = snapshot(number)
        row = catalog.records.seal(f"files-{made.run}-0001", msgspec.msgpack.encode([Entry(b"", int(Kind.DIRECTORY))]))
        return commit(catalog.records, [row], RunCopies(catalog.records, made.run), made, after).number

    def lose(self, number: int, copy: bool = True) -> None:
        """Remove a snapshot's row, and its copy."""
        del self.rows.table.rows["user1", snapshot_name(number)]
        if copy:
            del self.blobs.blobs[f"user1/records/{snapshot_name(number)}"]


@pytest.fixture
def partition() -> Partition:
    """Give a partition with three snapshots."""
    found = Partition()
    assert [found.commit(number - 1, number) for number in (1, 2, 3)] == [1, 2, 3]
    return found


def test_snapshots_are_listed_by_number(partition: Partition) -> None:
    """All of them, without a complaint."""
    catalog = partition.catalog()
    assert [each.number for each in catalog.snapshots()] == [1, 2, 3]
    assert partition.show.damaged == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_gap_is_noticed(partition: Partition, number: int) -> None:
    """A snapshot in between that is gone is read from its copy and said; without a copy it is said all the same."""
    partition.lose(number, copy=False)
    catalog = partition.catalog()
    assert [each.number for each in catalog.snapshots()] == [1, 2, 3]
    assert any(snapshot_name(number) in each for each in partition.show.damaged)
    del partition.blobs.blobs[f"user1/records/{snapshot_name(number)}"]
    catalog = partition.catalog()
    assert [each.number for each in catalog.snapshots()] == [each for each in (1, 2, 3) if each != number]
    assert any(snapshot_name(number) in each for each in partition.show.damaged)


@pytest.mark.parametrize("sealed", [None, b"", b"altered"], ids=repr)
def test_a_lost_row_is_read_from_its_copy_and_said(partition: Partition, sealed: bytes | None) -> None:
    """Gone, emptied or altered: the entries are right, and the damage names the record; without a copy: hidden."""
    name = f"files-{RUN % 2}-0001"
    if sealed is None:
        del partition.rows.table.rows["user1", name]
    else:
        partition.rows.table.rows["user1", name] = sealed
    catalog = partition.catalog()
    assert [entry.path for entry in catalog.entries(catalog.snapshots()[1])] == [b""]
    assert any(name in each for each in partition.show.damaged)
    del partition.blobs.blobs[f"user1/records/{RUN % 2}-0001"]
    catalog = partition.catalog()
    second = catalog.snapshots()[1]
    with pytest.raises(Damaged, match=name):
        list(catalog.entries(second, whole=True))
    state = catalog.entries(second)
    assert list(state) == []
    assert state.hides(b"")
    assert any("all paths" in each and name in each for each in partition.show.damaged)


def test_a_number_that_is_taken_is_the_next_one(partition: Partition) -> None:
    """A run that thinks it makes snapshot 2 makes 4, and nothing is overwritten."""
    assert partition.commit(1, 9) == 4
    assert [each.run for each in partition.catalog().snapshots()] == [RUN % each for each in (1, 2, 3, 9)]


def test_a_commit_that_was_begun_is_finished_by_the_next(partition: Partition) -> None:
    """Its copies are there, its rows are not: who comes next inserts them, and both are there."""
    partition.lose(3, copy=False)
    del partition.rows.table.rows["user1", f"files-{RUN % 3}-0001"]
    assert partition.commit(2, 9) == 4
    catalog = partition.catalog()
    found = catalog.snapshots()
    assert [each.number for each in found] == [1, 2, 3, 4]
    assert [entry.path for entry in catalog.entries(found[2])] == [b""]
    assert partition.show.damaged == []


def test_a_planted_copy_is_not_committed(partition: Partition) -> None:
    """What does not open is passed over and said; the run still gets a number."""
    partition.blobs.put_new("user1/records/snapshot-00000004", b"azbkrec1", "hot", md5_of(b"azbkrec1"))
    assert partition.commit(3, 9) == 5


def test_a_snapshots_row_of_other_bytes_is_no_commit(partition: Partition) -> None:
    """A planted row under the next number ends no backup: its snapshot is read from the copy, and that is damage."""
    partition.rows.table.rows["user1", snapshot_name(4)] = b"planted"
    assert partition.commit(3, 9) == 4
    assert any(snapshot_name(4) in each for each in partition.show.damaged)
    catalog = partition.catalog()
    assert [each.run for each in catalog.snapshots()] == [RUN % each for each in (1, 2, 3, 9)]
    assert any("was altered" in each for each in partition.show.damaged)
    assert [entry.path for entry in catalog.entries(catalog.snapshots()[3])] == [b""]


@pytest.mark.parametrize("number", [10**6, 10**9])
def test_an_absurd_number_costs_nothing(partition: Partition, number: int) -> None:
    """A rightly sealed snapshot under it: the gap is one line, no request is made for each number, commits go on."""
    records = partition.catalog().records
    records.insert([records.seal(snapshot_name(number), encode_snapshot(snapshot(9)))])
    assert [each.number for each in partition.catalog().snapshots()] == [1, 2, 3, number]
    [gap] = partition.show.damaged
    assert snapshot_name(4) in gap
    assert partition.commit(number, 10) == number + 1


@pytest.mark.parametrize("what", ["large", "archived"])
def test_a_copy_that_is_not_to_be_read(partition: Partition, what: str) -> None:
    """One that is larger than any copy, or archived, costs itself alone: others are used, a commit passes it."""
    planted = Blob(bytes(2**20 if what == "large" else 9), "archive" if what == "archived" else "hot", b"")
    partition.blobs.blobs["user1/records/snapshot-00000004"] = planted
    partition.lose(1, copy=False)
    partition.lose(2, copy=False)
    partition.blobs.blobs[f"user1/records/{snapshot_name(1)}"] = planted
    assert [each.number for each in partition.catalog().snapshots()] == [2, 3]
    assert any(snapshot_name(1) in each and ("larger" in each or "archive" in each) for each in partition.show.damaged)
    assert partition.commit(3, 9) == 5


def test_what_fits_a_record() -> None:
    """Compressed size counts: a long text fits, as much noise does not."""
    assert compressed(bytes(10_000_000)) == encode_payload(bytes(10_000_000))
    assert compressed(os.urandom(737_280)) is None


@pytest.mark.parametrize("seen", [3, 5, 10**12])
def test_what_was_seen_and_is_gone_is_said(seen: int) -> None:
    """A number that this machine remembers beyond the last one is damage, said at once however high it is."""
    partition = Partition()
    partition.commit(partition.commit(0, 1), 2)
    catalog = Catalog(RecordStore(partition.rows, partition.blobs, KEYS, "user1", partition.show.damage), seen)
    assert [snapshot.number for snapshot in catalog.snapshots()] == [1, 2]
    assert "snapshot-00000003" in partition.show.damaged[0]
    assert len(partition.show.damaged) == 1


def test_what_was_seen_and_has_a_copy_is_brought_back() -> None:
    """Rows that were removed at the end are read from their copies."""
    partition = Partition()
    partition.commit(partition.commit(partition.commit(0, 1), 2), 3)
    partition.lose(2, copy=False)
    partition.lose(3, copy=False)
    catalog = Catalog(RecordStore(partition.rows, partition.blobs, KEYS, "user1", partition.show.damage), 3)
    assert [snapshot.number for snapshot in catalog.snapshots()] == [1, 2, 3]
    assert catalog.newest == 3
    assert len(partition.show.damaged) == 2
