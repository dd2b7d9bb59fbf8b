"""restore.py --verify, by memory: whatever is removed, altered or added is found, by the name of what it is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from azbackup.commands.maintenance.findings import Findings, What
from azbackup.commands.maintenance.keeping import Rules
from azbackup.commands.maintenance.ledger import Ledger
from azbackup.commands.maintenance.mend import Mend, steps_of
from azbackup.commands.maintenance.verify import Verification, Verify
from azbackup.format.labels import number_of_head
from azbackup.format.verdicts import Settlement
from azbackup.packs.run import Clock
from azbackup.records.keystore import Keystore
from azbackup.records.settlements import Settled
from tests.contract.memory import Blob, MemoryRows, md5_of
from tests.faults.conftest import Story
from tests.faults.world import PARTITION, PASSWORD, Fuse, Fused, World
from tests.listener import Silent

_HOUR_NS = 3_600_000_000_000


def verify(world: World, settled: Settled | None = None) -> Verification:
    """Verify as the command line does."""
    show = Silent()
    catalog, partition = world.opened(show=show)
    clock = Clock(lambda: world.now_ns, lambda: "20261123T000000Z-00000000000000ff")
    return Verify(partition, catalog, Findings(settled or Settled()), show, clock).run()


def repair(world: World, fuse: Fuse | None = None) -> list[str]:
    """Verify and mend, as the command line does; return what could not be mended."""
    found = verify(world)
    catalog, partition = world.opened(fuse, Silent())
    rows = Fused(MemoryRows(world.table, PARTITION), fuse or Fuse())
    keystore = Keystore(rows, Fused(world.blobs, fuse or Fuse()), PARTITION)
    key = keystore.open(PASSWORD)
    stamps = iter(f"20261124T000000Z-{number:016x}" for number in range(10**6))
    mend = Mend(
        partition.records, lambda: next(stamps), lambda: keystore.mend(key), Ledger(partition, catalog).put_back
    )
    mend.run(steps_of(found))
    return mend.failed


def kinds(found: Verification) -> dict[What, int]:
    """How many findings of each kind."""
    return {group.what: group.count for group in found.findings.ordered()}


@pytest.fixture(scope="module")
def twice(story: Story) -> World:
    """Give a world with two snapshots, of which the second stands on the first."""
    world = story.world.clone()
    world.now_ns += _HOUR_NS
    world.source = story.second
    world.backup()
    world.pass_days(1)
    return world


def test_nothing_is_found_where_nothing_is_wrong(twice: World) -> None:
    """All is counted, and nothing is damage or worth a note."""
    found = verify(twice)
    assert kinds(found) == {}
    assert (len(found.snapshots), found.packs) == (2, len(twice.packs()))
    assert found.chunks == len({each for ids in twice.packs().values() for each in ids})
    sealed = [name for _, name in twice.table.rows if name != "key" and not name.startswith("head-")]
    assert found.records == len(sealed)  # heads have no copies that would have to agree


def _names(world: World) -> list[tuple[bool, object]]:
    """(whether it is a row, its name) of everything but the key."""
    rows: list[tuple[bool, object]] = [(True, name) for name in world.table.rows if name[1] != "key"]
    return rows + [(False, name) for name in world.blobs.blobs if "/key-" not in name]


def _expected(*, is_row: bool, name: str, removed: bool) -> set[What]:
    if "head-" in name:
        if number_of_head(name) != 2:
            return set()  # only the newest one is ever asked for
        return {What.HEAD_MISSING if removed else What.HEAD_ALTERED}
    if is_row:
        return {What.ROW_MISSING if removed else What.ROW_ALTERED}
    if "/packs/" in name:
        return {What.PACK_MISSING if removed else What.PACK_ALTERED, What.CHUNKS}
    return {What.COPY_MISSING}


@pytest.mark.parametrize("removed", [True, False], ids=["removed", "altered"])
def test_each_object(twice: World, removed: bool) -> None:
    """Each row, copy and pack in turn is removed, or has a bit flipped: it is found, and by its kind."""
    for is_row, name in _names(twice):
        world = twice.clone()
        where: dict[object, object] = world.table.rows if is_row else world.blobs.blobs  # type: ignore[assignment]
        value = where.pop(name)
        if not removed and isinstance(value, bytes):
            where[name] = _flipped(value)
        elif not removed:
            assert isinstance(value, Blob)
            where[name] = replace(value, data=_flipped(value.data), md5=md5_of(_flipped(value.data)))
        found = kinds(verify(world))
        own_name = name[1] if isinstance(name, tuple) else str(name)
        assert set(found) == _expected(is_row=is_row, name=own_name, removed=removed), name


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_each_record_in_both_places(twice: World) -> None:
    """A record whose row and copies are gone is named; what a lost file record hides is told with its snapshots."""
    for name in [name for _, name in twice.table.rows if name != "key" and not name.startswith("head-")]:
        world = twice.clone()
        del world.table.rows[PARTITION, name]
        world.blobs.blobs = {
            blob: each
            for blob, each in world.blobs.blobs.items()
            if name.encode() not in each.data or "/packs/" in blob
        }
        found = verify(world)
        if name.startswith("snapshot-00000002"):
            continue  # nobody but a machine that has seen it can know
        want = {"pack": What.CHUNKS, "files": What.ENTRIES, "snapshot": What.SNAPSHOT}[name.partition("-")[0]]
        assert want in kinds(found), name
        if want is What.ENTRIES:
            assert "snapshot" in found.findings.groups[want].first[0].text


def test_the_newest_snapshot_is_missed_by_who_has_seen_it(twice: World) -> None:
    """A machine that stored snapshot 2 knows that it is gone, row and copy."""
    world = twice.clone()
    del world.table.rows[PARTITION, "snapshot-00000002"]
    del world.blobs.blobs[f"{PARTITION}/records/snapshot-00000002"]
    catalog, partition = world.opened()
    catalog._seen = 2
    clock = Clock(lambda: world.now_ns, lambda: "x")
    found = Verify(partition, catalog, Findings(Settled()), Silent(), clock).run()
    assert found.findings.subjects(What.SNAPSHOT) == ["snapshot-00000002"]


def test_which_snapshots_have_a_file_that_is_lost(story: Story, twice: World) -> None:
    """A pack of the first snapshot is gone: files that the second one has, too, are told with both, others with one."""
    first = set(story.world.packs())
    met = set()
    for pack in twice.packs():
        world = twice.clone()
        del world.blobs.blobs[f"{PARTITION}/packs/{pack}"]
        for file in verify(world).touched:
            expected = (
                [1, 2] if pack in first and file.path not in (b"changes", b"goes") else [1 if pack in first else 2]
            )
            assert file.snapshots == expected, file
            met.add(tuple(file.snapshots))
    assert met == {(1,), (2,), (1, 2)}


def test_a_pack_whose_chunks_are_elsewhere(twice: World) -> None:
    """A pack that was lost and whose chunks were stored again is no damage; without the second one it is."""
    world = twice.clone()
    pack = min(twice.packs())
    del world.blobs.blobs[f"{PARTITION}/packs/{pack}"]
    assert What.PACK_MISSING in kinds(verify(world))
    world.rereads = True
    world.backup()
    found = verify(world)
    assert What.PACK_MISSING not in kinds(found)


def test_what_is_only_a_note(twice: World) -> None:
    """A pack in another tier, a pack without a record and one with a record in a copy alone do not make it 13."""
    world = twice.clone()
    pack = f"{PARTITION}/packs/{min(twice.packs())}"
    world.blobs.blobs[pack].tier = "cool"
    world.blobs.blobs[f"{PARTITION}/packs/20261122T000000Z-00000000000000aa"] = Blob(b"x", "hot", md5_of(b"x"))
    found = verify(world)
    assert kinds(found) == {What.TIER: 1, What.NO_RECORD: 1}
    assert found.findings.damages == 0


def test_damage_that_was_settled(twice: World) -> None:
    """It is named, and is no damage any more; what is about something else still is."""
    world = twice.clone()
    packs = sorted(twice.packs())
    del world.blobs.blobs[f"{PARTITION}/packs/{packs[0]}"]
    settled = Settled([Settlement(1, "host", [f"pack-{packs[0]}"])])
    found = verify(world, settled)
    assert found.findings.groups[What.PACK_MISSING].known == 1
    assert not found.findings.groups[What.PACK_MISSING].is_damage
    del world.blobs.blobs[f"{PARTITION}/packs/{packs[1]}"]
    again = verify(world, settled).findings.groups[What.PACK_MISSING]
    assert (again.count, again.known, again.is_damage) == (2, 1, True)


def test_a_backup_beside_it_is_no_damage(story: Story) -> None:
    """Whatever operation of a verification a whole backup falls between, nothing is found."""
    base = story.world.clone()
    count = Fuse()
    _verify_through(base.clone(), count)
    for at in range(1, count.seen + 1):
        world = base.clone()
        world.source = story.second
        fuse = Fuse(at, strike=lambda world=world: world.backup() and None)  # type: ignore[misc]
        found = _verify_through(world, fuse)
        assert found.findings.damages == 0, (at, kinds(found))


def _verify_through(world: World, fuse: Fuse) -> Verification:
    catalog, partition = world.opened(fuse)
    clock = Clock(lambda: world.now_ns, lambda: "x")
    return Verify(partition, catalog, Findings(Settled()), Silent(), clock).run()


def test_what_retention_takes_is_no_damage(tmp_path: Path) -> None:
    """Retired, condemned, deleted, rebuilt: at each step nothing is found; a retired record's copy that is lost is."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "stays").write_bytes(b"stays" * 10_000)
    world = World(source)
    for number in range(3):
        (source / "changes").write_bytes(bytes([number]) * 50_000)
        world.backup()
        world.pass_days(60)
    for day in range(10):
        world.retain(rules=Rules(last=1))
        assert kinds(verify(world)) == {}, day
        world.pass_days(1)
    assert world.numbers() == [3]
    lost = next(name for name in world.blobs.blobs if "/records/retired-" in name)
    del world.blobs.blobs[lost]
    assert kinds(verify(world)) == {What.COPY_MISSING: 1}
    assert repair(world) == []
    assert lost in world.blobs.blobs
    assert kinds(verify(world)) == {}


@pytest.mark.parametrize("removed", [True, False], ids=["removed", "altered"])
def test_heads_are_made_anew(twice: World, removed: bool) -> None:
    """All heads are gone: nothing is said, as of a partition that has none. Some, or altered: a repair makes them."""
    heads = [name for name in twice.table.rows if name[1].startswith("head-")]
    without = twice.clone()
    for name in heads:
        del without.table.rows[name]
    assert kinds(verify(without)) == {}
    for name in heads:
        world = twice.clone()
        value = world.table.rows.pop(name)
        if not removed:
            assert isinstance(value, bytes)
            world.table.rows[name] = _flipped(value)
        assert repair(world) == []
        assert kinds(verify(world)) == {}
        assert (name in world.table.rows) == (not removed or number_of_head(name[1]) == 2)
