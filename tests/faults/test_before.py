"""--before in memory: whatever somebody with the password added since, the past is what it was."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import pytest

from azbackup.commands.maintenance.findings import OF_PLACES, Findings
from azbackup.commands.maintenance.verify import Verification, Verify
from azbackup.crypto.sealing import derive
from azbackup.errors import NothingStored
from azbackup.format.framing import frame
from azbackup.format.labels import PACK_PREFIX
from azbackup.format.model import PackRecord, SealedRecord
from azbackup.format.payloads import encode_pack
from azbackup.format.retirement import Retirement, encode_retirement
from azbackup.format.verdicts import Settlement
from azbackup.packs.run import Clock
from azbackup.records.keystore import Keystore
from azbackup.records.older import OlderBlobs
from azbackup.records.partition import Partition
from azbackup.records.past import PastCatalog
from azbackup.records.record_store import RecordStore
from azbackup.records.settlements import read_settled, settle
from emulator.trees import differences
from tests.contract.memory import Blob, MemoryRows, md5_of
from tests.faults.world import PARTITION, PASSWORD, World, keep, make_small
from tests.listener import Silent


class RowsThen(MemoryRows):
    """The rows that have the bytes that they had."""

    def __init__(self, world: World, then: World) -> None:
        super().__init__(world.table, PARTITION)
        self._then = then.table.rows

    def range(self, first: str, last: str, wanted: Container[str] | None = None) -> Iterator[SealedRecord]:
        """Those of a range."""
        return (
            row for row in super().range(first, last, wanted) if self._then.get((PARTITION, row.name)) == row.sealed
        )


class Reads:
    """A container that keeps the names of what is read."""

    def __init__(self, blobs: Any) -> None:
        self._blobs = blobs
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        """Some of a blob."""
        self.read.add(name)
        return bytes(self._blobs.get_range(name, offset, size))


class Past:
    """What cli/before makes of a partition, and what was read and said."""

    def __init__(self, world: World, then: World) -> None:
        self.show = Silent()
        self.reads: Any = Reads(world.blobs)
        keys = derive(Keystore(MemoryRows(world.table, PARTITION), self.reads, PARTITION).open(PASSWORD).data_key)
        older: Any = OlderBlobs(self.reads, then.blobs.now + 1)
        records = RecordStore(RowsThen(world, then), older, keys, PARTITION, self.show.damage)
        records.misses_rows = False
        present = RecordStore(MemoryRows(world.table, PARTITION), self.reads, keys, PARTITION, lambda _: None)
        self.partition = Partition(PARTITION, keys, self.reads, records)
        self.catalog = PastCatalog(records, present)

    def numbers(self) -> list[int]:
        """The snapshots that count."""
        return [each.number for each in self.catalog.snapshots()]

    def verify(self, world: World) -> Verification:
        """--verify --before."""
        findings = Findings(read_settled(self.partition.records, self.show.damage), OF_PLACES)
        clock = Clock(lambda: world.now_ns, lambda: "20261123T000000Z-00000000000000ff")
        return Verify(self.partition, self.catalog, findings, Silent(), clock).run()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make packs and records small."""
    make_small(monkeypatch, pack_bytes=60_000)


@pytest.fixture
def then(tmp_path: Path) -> World:
    """Give two snapshots of a file that stays and one that changes."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "stays").write_bytes(os.urandom(50_000))
    world = World(source)
    for number in (1, 2):
        (source / "changes").write_bytes(os.urandom(50_000))
        world.backup()
        keep(source, f"then{number}")
        world.pass_days(60)
    return world


def later(then: World) -> World:
    """The same some days after."""
    world = then.clone()
    world.pass_days(3)
    return world


def assert_past(world: World, then: World, to: Path, *, later_packs: bool = False) -> Past:
    """The snapshots are those that were there, the last restores as it was; no later pack is read but where it must."""
    past = Past(world, then)
    assert past.numbers() == [1, 2]
    outcome = world.restore(to, 2, past=(past.catalog, past.partition), show=past.show)
    assert (outcome.problems, past.show.damaged) == (0, [])
    assert differences(to.parent / "then2", to) == []
    read = {name for name in past.reads.read if "/packs/" in name}
    assert bool(read - then.blobs.blobs.keys()) == later_packs
    assert any("stored later" in note for note in past.show.notes) == later_packs
    assert past.verify(world).findings.damages == 0
    return past


def claim_all(world: World) -> None:
    """A pack, fuller than all others, that claims to hold all that snapshot 2 needs; it holds nothing of it."""
    catalog, partition = world.opened()
    ids = b"".join(entry.chunks for entry in catalog.entries(catalog.snapshots()[1]))
    count = len(ids) // 32
    noise = b"azbkpak1" + os.urandom(60_000 * count)
    name = "20261126T000000Z-00000000000000aa"
    record = PackRecord(len(noise), md5_of(noise), "hot", ids, [60_000] * count, [50_000] * count)
    row = partition.records.seal(PACK_PREFIX + name, encode_pack(record))
    partition.records.copies.put(f"{name}-0001", [row])
    partition.records.insert([row])
    world.blobs.blobs[f"user1/packs/{name}"] = Blob(noise, "hot", md5_of(noise), created=world.blobs.now)


def test_what_was_planted_since_counts_for_nothing(then: World, tmp_path: Path) -> None:
    """Snapshots, a pack that claims all, a record that retires all, one that settles all, garbage: nothing of it."""
    world = later(then)
    (world.source / "changes").write_bytes(b"planted" * 7000)
    world.backup()
    claim_all(world)
    _, partition = world.opened()
    records = partition.records
    everything = Retirement(numbers=[(1, 3)], removed=[1, 2, 3], condemned=[*world.packs()])
    row = records.seal("retired-00000001", encode_retirement(everything))
    records.copies.put(row.name, [row])
    records.insert([row])
    settle(records, "20261126T000000Z-00000000000000bb", Settlement(1, "thief", ["snapshot-00000001"]))
    world.table.rows[PARTITION, "snapshot-00000009"] = b"garbage"
    world.blobs.blobs["user1/records/snapshot-00000008"] = Blob(b"x", "hot", md5_of(b"x"), created=world.blobs.now)
    assert world.numbers() == []
    past = assert_past(world, then, tmp_path / "to")
    assert past.catalog.newer == 3


def test_what_was_settled_since_is_damage_still(then: World) -> None:
    """Who knows the password can hide that way from other runs that a snapshot is gone."""
    world = later(then)
    del world.table.rows[PARTITION, "snapshot-00000001"], world.blobs.blobs["user1/records/snapshot-00000001"]
    settle(
        world.opened()[1].records,
        "20261126T000000Z-00000000000000bb",
        Settlement(1, "thief", ["snapshot-00000001"]),
    )
    assert Past(world, then).verify(world).findings.damages == 1


def test_a_table_that_was_rebuilt_since(then: World, tmp_path: Path) -> None:
    """All rows are later: the copies are as old as they were."""
    world = later(then)
    nothing = then.clone()
    nothing.table.rows = {}
    past = Past(world, nothing)
    outcome = world.restore(tmp_path / "to", 2, past=(past.catalog, past.partition), show=past.show)
    assert (past.numbers(), outcome.problems, past.show.damaged) == ([1, 2], 0, [])
    assert differences(tmp_path / "then2", tmp_path / "to") == []
    claim_all(world)
    past = Past(world, nothing)
    world.restore(tmp_path / "again", 2, past=(past.catalog, past.partition), show=past.show)
    assert not {name for name in past.reads.read if "/packs/" in name} - then.blobs.blobs.keys()
    assert past.verify(world).findings.damages == 0


def test_copies_that_were_written_anew_since(then: World, tmp_path: Path) -> None:
    """All copies are later: the rows are as old as they were."""
    world = later(then)
    for name, blob in world.blobs.blobs.items():
        if "/records/" in name:
            blob.created = world.blobs.now
    assert_past(world, then, tmp_path / "to")


def test_a_pack_that_was_stored_again(then: World, tmp_path: Path) -> None:
    """An older pack is gone, and a repair, or a rewriting backup, stored its chunks anew: they are read from there."""
    world = later(then)
    catalog, _ = world.opened()
    [stays] = [entry for entry in catalog.entries(catalog.snapshots()[0]) if entry.path == b"stays"]
    for pack, chunks in world.packs().items():
        if chunks & {*stays.chunk_ids()}:
            del world.blobs.blobs[f"user1/packs/{pack}"]
    lost = Past(world, then).verify(world)
    assert lost.findings.damages
    world.rereads = True
    world.backup()
    assert_past(world, then, tmp_path / "to", later_packs=True)


def test_what_retention_deleted_since(then: World, tmp_path: Path) -> None:
    """A snapshot that is gone is counted, and no damage; without a record that says why it is damage."""
    world = later(then)
    for _ in range(3):
        world.retain(forget=[1], early=True)
        world.pass_days(8)
    past = Past(world, then)
    assert (past.numbers(), past.catalog.deleted, past.show.damaged) == ([2], 1, [])
    outcome = world.restore(tmp_path / "to", 2, past=(past.catalog, past.partition), show=past.show)
    assert (outcome.problems, past.show.damaged) == (0, [])
    world = later(then)
    del world.table.rows[PARTITION, "snapshot-00000001"], world.blobs.blobs["user1/records/snapshot-00000001"]
    past = Past(world, then)
    assert (past.numbers(), past.catalog.deleted) == ([2], 0)
    assert past.show.damaged == ["snapshot-00000001: missing, row and copy"]


def test_a_row_that_was_replaced_since(then: World, tmp_path: Path) -> None:
    """Who can update replaced the rows: their copies are older, and count."""
    world = later(then)
    for key in [key for key in world.table.rows if key[1] != "key"]:
        world.table.rows[key] = b"replaced"
    assert_past(world, then, tmp_path / "to")


def test_nothing_is_so_old(then: World) -> None:
    """That is said, and what the times are."""
    world = later(then)
    nothing = then.clone()
    nothing.table.rows, nothing.blobs.now = {}, 0.0
    with pytest.raises(NothingStored, match="no snapshot is older"):
        Past(world, nothing).numbers()


def test_the_time_of_a_blob() -> None:
    """It is when it was changed last; one without a time, or of that very moment, is not older."""
    blobs: Any = World(Path("/")).blobs
    for name, created in (("a", 5.0), ("b", 10.0), ("c", 0.0), ("ab", 11.0)):
        blobs.blobs[name] = Blob(frame([]), "hot", b"", created=created)
    older = OlderBlobs(blobs, 10.0)
    assert list(older.names("")) == ["a"]
    assert older.get_range("a", 0, 1)
    for name in ("b", "c", "ab", "d"):
        with pytest.raises(Exception, match="was not there before"):
            older.get(name)
