"""Records that were sealed rightly and are absurd: each is named and costs itself, and never the runs of anybody else.

Whoever knows the password of a partition and may add to it can store anything at all; so can a bug. The class: one
record that cannot be used ends a run that does not need it, or makes it cost what it should not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from azbackup.commands.restore.tree import target_entries
from azbackup.errors import Damaged
from azbackup.format.compression import encode_payload
from azbackup.format.framing import frame
from azbackup.format.model import Entry, Kind, Snapshot
from azbackup.records.selection import Selection
from emulator.trees import differences
from tests.contract.memory import Blob, md5_of
from tests.faults.conftest import Story
from tests.faults.world import PARTITION, World
from tests.listener import Silent

RUN = "20261201T000000Z-00000000000000aa"
SECONDS = 10  # for what takes a tenth of a second


@pytest.fixture
def world(story: Story) -> World:
    """Give a world with one snapshot, whose source has changed since."""
    return story.world.clone()


@contextmanager
def soon() -> Iterator[None]:
    """Expect what is done within to take little of the processor's time, whatever else runs on the machine."""
    started = time.process_time()
    yield
    assert time.process_time() - started < SECONDS


def plant(world: World, name: str, payload: bytes, copy: str = "") -> None:
    """Store a record as whoever knows the password could: sealed under its name, as a row and in a copy."""
    records = world.opened()[1].records
    row = records.seal_compressed(name, encode_payload(payload))
    world.table.rows[PARTITION, name] = row.sealed
    data = frame([row])
    world.blobs.blobs[f"{PARTITION}/records/{copy or name}"] = Blob(data, "hot", md5_of(data))


def snapshot(world: World, **fields: Any) -> bytes:
    """Return a snapshot like the newest one, of another source, with other values in some fields."""
    newest = world.opened()[0].snapshots()[-1]
    values = {name: getattr(newest, name) for name in Snapshot.__struct_fields__ if name != "number"}
    values |= {"totals": {}, "source": b"/elsewhere"}
    return msgspec.msgpack.encode({**values, **fields})


NESTED = b"\x81\xa4host" + b"\x91" * 100_000 + b"\x90"
SNAPSHOTS: dict[str, dict[str, Any] | bytes] = {
    "a source that leads out": {"source": b"/../victim"},
    "a source with a zero byte": {"source": b"/a\0b"},
    "bad text": b"\x81\xa4host\xa2\xff\xfe",
    "nesting": NESTED,
    "no map": b"\x90",
    "no layers": {"layers": []},
    "2,000 layers": {"layers": [[RUN, 1, 1]] * 2000},
    "10^18 file records": {"layers": [[RUN, 10**18, 1]]},
    "a run of the month 13": {"run": "20261399T999999Z-00000000000000aa"},
    "owners that nobody is": {"users": {-1: "x"}},
}


@pytest.mark.parametrize("fields", SNAPSHOTS.values(), ids=SNAPSHOTS)
@pytest.mark.parametrize("mine", [True, False], ids=["of this source", "of another"])
def test_an_absurd_snapshot_costs_itself(
    world: World, story: Story, fields: dict[str, Any] | bytes, tmp_path: Path, *, mine: bool
) -> None:
    """Others are listed and restored exactly, and a backup goes on from them: it stores what changed and no more."""
    own = {"source": os.fsencode(world.source), "host": "host"} if mine and isinstance(fields, dict) else {}
    honest, _ = world.clone().backup()
    plant(world, "snapshot-00000002", fields if isinstance(fields, bytes) else snapshot(world, **{**own, **fields}))
    with soon():
        restored = world.restore(tmp_path / "restored", 1)
        made, damage = world.backup()
    assert differences(story.first, tmp_path / "restored") == []
    assert (restored.problems, bool(restored.damage)) == (0, True)
    assert (made.number, made.totals.read) == (3, honest.totals.read)
    assert any("snapshot-00000002" in line for line in damage)


@pytest.mark.parametrize("records", [10**6, 400_000])
def test_file_records_that_are_not_there_are_not_counted_out(world: World, records: int) -> None:
    """A layer that claims a million of them costs a line, not a name for each: the backup reads its files anew."""
    fields: dict[str, Any] = {"source": os.fsencode(world.source), "host": "host", "layers": [[RUN, records, 1]]}
    plant(world, "snapshot-00000002", snapshot(world, **fields))
    with soon():
        made, damage = world.backup()
    assert made.number == 3
    assert len(damage) == 1


PACKS: dict[str, tuple[str, bytes]] = {
    "no columns": (f"pack-{RUN}", msgspec.msgpack.encode({"size": 5})),
    "bad text": (f"pack-{RUN}", b"\x81\xa4tier\xa2\xff\xfe"),
    "nesting": (f"pack-{RUN}", NESTED),
    "no id": ("pack-x", b"\x80"),
    "an id of the month 13": ("pack-20261399T999999Z-00000000000000aa", b"\x80"),
}


@pytest.mark.parametrize("case", PACKS.values(), ids=PACKS)
def test_a_malformed_pack_record_makes_nobody_pay(
    world: World, story: Story, case: tuple[str, bytes], tmp_path: Path
) -> None:
    """Restores are whole, and a backup uploads what changed alone, tonight and every night."""
    honest, _ = world.clone().backup()
    plant(world, *case, copy=f"{RUN}-0001")
    restored = world.restore(tmp_path / "restored")
    assert differences(story.first, tmp_path / "restored") == []
    assert restored.problems == 0
    made, damage = world.backup()
    assert (made.totals.read, made.totals.stored) == (honest.totals.read, honest.totals.stored)
    assert any(case[0] in line or "pack id" in line for line in damage)
    again, _ = world.backup()
    assert (again.totals.read, again.totals.stored) == (0, 0)


def entry(path: bytes, kind: Kind = Kind.DIRECTORY, **fields: Any) -> list[Any]:
    """Return an entry as it is stored, with any values."""
    values = [getattr(Entry(path, int(kind)), name) for name in Entry.__struct_fields__]
    for name, value in fields.items():
        values[Entry.__struct_fields__.index(name)] = value
    return values


ENTRIES: dict[str, list[Any]] = {
    "kind 9": [b"m", 9],
    "a removal": [b"m", 0],
    "a mode of 2^40": entry(b"m", mode=2**40),
    "an owner below zero": entry(b"m", uid=-2),
    "a group of 2^32": entry(b"m", gid=2**32),
    "a device below zero": entry(b"m", Kind.CHARACTER_DEVICE, rdev=-5),
    "a zero byte in a target": entry(b"m", Kind.SYMLINK, target=b"a\0b"),
    "a zero byte in an attribute": entry(b"m", xattrs=[[b"user.\0", b""]]),
    "half an id": entry(b"m", Kind.FILE, chunks=bytes(33)),
    "a way out": entry(b"m/../../out", Kind.FILE),
}


@pytest.mark.parametrize("bad", ENTRIES.values(), ids=ENTRIES)
def test_an_absurd_entry_costs_itself(world: World, bad: list[Any], tmp_path: Path) -> None:
    """It is named, and the rest of the same snapshot is restored; so is every other snapshot."""
    items = [entry(b"", mode=0o755), entry(b"a", mode=0o755), bad, entry(b"z", Kind.SYMLINK, target=b"a")]
    plant(world, f"files-{RUN}-0001", msgspec.msgpack.encode(items), copy=f"{RUN}-0001")
    plant(world, "snapshot-00000002", snapshot(world, layers=[[RUN, 1, len(items)]]))
    restored = world.restore(tmp_path / "restored", 2)
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["a", "z"]
    assert [line for line in restored.damage if repr(os.fsdecode(bad[0])) in line or "some path" in line]
    assert not (tmp_path / "out").exists()
    assert world.restore(tmp_path / "other", 1).damage == []


def test_a_bomb_in_a_file_record_costs_its_source(world: World, story: Story, tmp_path: Path) -> None:
    """Sixteen million items in a row of six thousand bytes: refused at once; the other source is restored."""
    plant(world, f"files-{RUN}-0001", b"\xdd\x00\xf0\x00\x00" + b"\x92\xc4\x00\x01" * 0xF00000, copy=f"{RUN}-0001")
    plant(world, "snapshot-00000002", snapshot(world, layers=[[RUN, 1, 1]]))
    with soon():
        with pytest.raises(Damaged):
            world.restore(tmp_path / "bomb", 2)
        assert world.restore(tmp_path / "restored", 1).damage == []
    assert differences(story.first, tmp_path / "restored") == []


@pytest.mark.parametrize("whole", [True, False], ids=["all of it", "one byte"])
def test_a_planted_thawed_copy_is_not_the_packs_fault(
    world: World, story: Story, tmp_path: Path, *, whole: bool
) -> None:
    """Of the right size, listing the right MD5: it is removed, the pack is thawed again, and everything is restored."""
    for name, blob in world.blobs.blobs.items():
        if "/packs/" in name:
            blob.tier = "archive"
            data = bytes(len(blob.data)) if whole else blob.data[:-1] + bytes([blob.data[-1] ^ 1])
            world.staging.blobs[name] = Blob(data, "hot", blob.md5)
    restored = world.restore(tmp_path / "restored")
    assert (restored.damage, restored.problems) == ([], 0)
    assert differences(story.first, tmp_path / "restored") == []


@pytest.mark.parametrize("prefix", [b"../victim", b"a/../../victim", b"..", b"/etc", b"a\0b"])
def test_no_prefix_leads_out_of_the_destination(world: World, prefix: bytes) -> None:
    """The second line: even a source that got past the decoder is no path below a destination."""
    catalog, _ = world.opened(None, Silent())
    chosen = [(each, prefix) for each in catalog.snapshots()]
    with pytest.raises(Damaged):
        target_entries(catalog, chosen, Selection([], [], []), with_paths=True)
