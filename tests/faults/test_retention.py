"""Retention in memory: what goes, in which order, and that no kill and no backup beside it loses what is kept."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import pytest

from azbackup.commands.maintenance.keeping import Rules
from azbackup.errors import Damaged, NothingStored, Overtaken
from azbackup.format.checksum import md5_of
from azbackup.format.labels import FILES_PREFIX, PACK_PREFIX, RETIRED_PREFIX
from azbackup.packs.known import KnownChunks
from tests.faults.world import Fuse, Killed, World, assert_restores, keep, make_small
from tests.listener import Silent

LAST = Rules(last=1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make packs and records small."""
    make_small(monkeypatch, pack_bytes=60_000)


def names(world: World, prefix: str) -> list[str]:
    """Return the names of rows under a prefix."""
    return sorted(name for _, name in world.table.rows if name.startswith(prefix))


def packs(world: World) -> set[str]:
    """Return the ids of the packs that are there."""
    return {name.rpartition("/")[2] for name in world.blobs.blobs if "/packs/" in name}


def assert_whole(world: World, *numbers: int) -> None:
    """The snapshots are these, and every chunk of theirs is in a pack that is there; nothing is told as damage."""
    show = Silent()
    catalog, partition = world.opened(show=show)
    snapshots = catalog.snapshots()
    assert [snapshot.number for snapshot in snapshots] == list(numbers)
    there = packs(world)
    held = {each for pack, record in catalog.packs() if pack in there for each in record.chunk_ids()}
    KnownChunks(partition, catalog)  # which tells of packs that are not there
    for snapshot in snapshots:
        for entry in catalog.entries(snapshot, whole=True):
            assert held.issuperset(entry.chunk_ids()), entry.path
    assert show.damaged == []


@pytest.fixture
def aged(tmp_path: Path) -> World:
    """Give three snapshots, 60 days apart: one file stays, one changes each time and fills a pack by itself."""
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "stays").write_bytes(os.urandom(50_000))
    world = World(source)
    for number in (1, 2, 3):
        (source / "d" / "changes").write_bytes(os.urandom(50_000))
        world.backup()
        keep(source, f"then{number}")
        world.pass_days(60)
    return world


def test_the_whole_way(aged: World, tmp_path: Path) -> None:
    """Retired at once, deleted by a later run after the grace period; what is kept restores, numbers go on."""
    before = packs(aged)
    outcome = aged.retain(rules=LAST)
    assert [snapshot.number for snapshot in outcome.retired] == [1, 2]
    assert len(outcome.condemned) == 2
    assert aged.numbers() == [3]
    assert packs(aged) == before
    assert_restores(aged, tmp_path / "then3", tmp_path / "out")
    for day in range(6):
        aged.pass_days(1)
        assert aged.retain(rules=LAST).deleted == [], day
    assert packs(aged) == before
    aged.pass_days(2)
    outcome = aged.retain(rules=LAST)
    assert (len(outcome.deleted), outcome.records) == (2, 2)
    assert len(packs(aged)) == len(before) - 2
    assert len(names(aged, PACK_PREFIX)) == len(packs(aged))
    assert aged.numbers() == [3]
    assert_restores(aged, tmp_path / "then3", tmp_path / "out")
    snapshot, damage = aged.backup()
    assert (snapshot.number, damage) == (4, [])
    assert aged.numbers() == [3, 4]
    aged.pass_days(8)
    aged.retain(rules=LAST)
    aged.pass_days(8)
    aged.retain(rules=LAST)
    assert len(names(aged, RETIRED_PREFIX)) <= 3


def test_nothing_without_a_rule(aged: World) -> None:
    """Without a rule, or a number, nothing is retired; a dry run writes nothing at all."""
    assert aged.retain().retired == []
    assert aged.numbers() == [1, 2, 3]
    stored = (dict(aged.table.rows), dict(aged.blobs.blobs))
    outcome = aged.retain(rules=LAST, dry_run=True)
    assert (len(outcome.retired), len(outcome.condemned)) == (2, 2)
    assert (aged.table.rows, aged.blobs.blobs) == stored


def test_by_number(aged: World, tmp_path: Path) -> None:
    """--forget takes any snapshot, the newest too; its number is not given again."""
    with pytest.raises(NothingStored):
        aged.retain(forget=[7])
    aged.retain(forget=[3])
    assert aged.numbers() == [1, 2]
    assert_restores(aged, tmp_path / "then2", tmp_path / "out")
    snapshot, damage = aged.backup()
    assert (snapshot.number, damage) == (4, [])
    assert_restores(aged, aged.source, tmp_path / "out")
    for _ in range(3):
        aged.pass_days(8)
        aged.retain()
    assert aged.numbers() == [1, 2, 4]
    for number in (1, 2):
        assert_restores(aged, tmp_path / f"then{number}", tmp_path / "out", number)
    assert_restores(aged, aged.source, tmp_path / "out", 4)


def test_young_packs_stay(aged: World) -> None:
    """Packs of the archive tier are condemned when the 180 days are nearly over, not before."""
    for blob in aged.blobs.blobs.values():
        blob.tier = "archive" if blob.tier == "hot" and len(blob.data) > 10_000 else blob.tier
    outcome = aged.retain(rules=LAST)
    assert (len(outcome.condemned), len(outcome.young)) == (1, 1)
    assert len(aged.retain(rules=LAST, early=True).condemned) == 1


def test_what_is_condemned_does_not_count(aged: World, tmp_path: Path) -> None:
    """Contents that only a condemned pack has are stored again; what a snapshot uses again is spared."""
    aged.retain(rules=LAST)
    (aged.source / "back").write_bytes((tmp_path / "then1" / "d" / "changes").read_bytes())
    before = packs(aged)
    aged.backup()
    assert len(packs(aged)) == len(before) + 1
    for _ in range(3):
        aged.pass_days(8)
        aged.retain()
    assert_restores(aged, aged.source, tmp_path / "out")


def test_what_is_used_again_is_spared(aged: World) -> None:
    """A pack that a backup counted on, since it began before, counts for all again after the next run."""
    (aged.source / "again").write_bytes((aged.source.parent / "then1" / "d" / "changes").read_bytes())
    fuse = Fuse()
    aged.clone().backup(fuse)
    spared = 0
    for at in range(1, fuse.seen + 1):
        world = aged.clone()
        world.backup(Fuse(at, strike=lambda world=world: world.retain(rules=LAST)))  # type: ignore[misc]
        outcome = world.retain(rules=LAST)
        if outcome.spared:
            spared += 1
            assert outcome.spared[0] not in world.opened()[0].retired.condemned
            before = packs(world)
            (world.source / f"once more {at}").write_bytes((world.source / "again").read_bytes())
            world.backup()
            assert packs(world) == before
    assert spared


def test_a_table_that_is_lost_afterwards(aged: World, tmp_path: Path) -> None:
    """What is kept has copies still when the rest is gone; what is gone does not come back with a table's rows."""
    for _ in range(3):
        aged.retain(rules=LAST)
        aged.pass_days(8)
    stored = packs(aged)
    aged.table.rows.clear()
    snapshot, damage = aged.backup()
    assert (snapshot.number, damage) == (4, [])
    assert_whole(aged, 3, 4)
    assert packs(aged) == stored
    assert_restores(aged, tmp_path / "then3", tmp_path / "out")


def test_recalled(aged: World, tmp_path: Path) -> None:
    """In the days before anything is deleted a snapshot comes back whole, for good; then it cannot."""
    aged.retain(rules=LAST)
    aged.pass_days(3)
    aged.retain(rules=LAST)
    aged.pass_days(5)
    with pytest.raises(NothingStored):
        aged.retain(recall=[3])
    outcome = aged.retain(recall=[2])
    assert (len(outcome.recalled), len(outcome.spared)) == (1, 1)
    assert_whole(aged, 2, 3)
    assert_restores(aged, tmp_path / "then2", tmp_path / "out", 2)
    for _ in range(4):
        aged.pass_days(8)
        aged.retain()
    assert_whole(aged, 2, 3)
    assert len(names(aged, RETIRED_PREFIX)) <= 3
    assert aged.backup()[0].number == 4
    with pytest.raises(NothingStored):
        aged.retain(recall=[1])


def test_copies_of_what_is_kept_stay(aged: World) -> None:
    """When the copies of a run go, what they hold of packs that are kept is copied first."""
    for number in range(12):
        (aged.source / f"more{number}").write_bytes(os.urandom(100))
    aged.backup()
    for _ in range(3):
        aged.retain(rules=LAST)
        aged.pass_days(8)
    assert {layer.run for layer in aged.opened()[0].snapshots()[-1].layers} == {
        name.removeprefix(FILES_PREFIX).rpartition("-")[0] for name in names(aged, FILES_PREFIX)
    }
    stored = packs(aged)
    aged.table.rows.clear()
    assert aged.backup()[1] == []
    assert_whole(aged, 4, 5)
    assert packs(aged) == stored


def test_a_record_that_slept(aged: World) -> None:
    """A record whose row comes long after its copy was known to nobody: its grace period has not begun."""
    counted = Fuse()
    aged.clone().retain(counted, rules=LAST)
    slept = 0
    for at in range(1, counted.seen + 1):
        world = aged.clone()
        with pytest.raises(Killed):
            world.retain(Fuse(at), rules=LAST)
        if any(RETIRED_PREFIX in name for name in world.blobs.blobs) and not names(world, RETIRED_PREFIX):
            slept += 1
            world.pass_days(8)
            assert world.retain(rules=LAST).deleted == []
            world.pass_days(8)
            assert len(world.retain(rules=LAST).deleted) == 2
    assert slept


def test_nothing_goes_while_a_record_is_lost(aged: World) -> None:
    """What a lost snapshot, or a lost file record, needs is not known: nothing is removed."""
    rows, blobs = dict(aged.table.rows), dict(aged.blobs.blobs)
    for name in names(aged, FILES_PREFIX):
        del aged.table.rows["user1", name]
    for name in [name for name in aged.blobs.blobs if "/records/2" in name]:
        del aged.blobs.blobs[name]
    with pytest.raises(Damaged, match="nothing was removed"):
        aged.retain(rules=LAST)
    aged.table.rows, aged.blobs.blobs = dict(rows), dict(blobs)
    del aged.table.rows["user1", "snapshot-00000002"], aged.blobs.blobs["user1/records/snapshot-00000002"]
    with pytest.raises(Damaged, match="nothing was removed"):
        aged.retain(rules=LAST)


def test_gaps_are_explained_by_genuine_records_alone(aged: World) -> None:
    """Without its retired record a gap is damage; a row that is lost is read from its copy."""
    aged.retain(rules=LAST)
    for _ in range(2):
        aged.pass_days(8)
        aged.retain(rules=LAST)
    show = Silent()
    assert [each.number for each in aged.opened(show=show)[0].snapshots()] == [3]
    assert show.damaged == []
    for name in names(aged, RETIRED_PREFIX):
        del aged.table.rows["user1", name]
    show = Silent()
    assert [each.number for each in aged.opened(show=show)[0].snapshots()] == [3]
    assert all("its copy was used" in text for text in show.damaged)
    for name in [name for name in aged.blobs.blobs if RETIRED_PREFIX in name]:
        del aged.blobs.blobs[name]
    show = Silent()
    aged.opened(show=show)[0].snapshots()
    assert show.damaged == ["snapshot-00000001 to snapshot-00000002: missing, row and copy"]


def test_a_kill_at_every_call(aged: World, tmp_path: Path) -> None:
    """A run that is killed before or after any call, the first or a later one: what is kept restores, all else goes."""

    def finish(world: World) -> None:
        for _ in range(3):
            world.pass_days(8)
            world.retain(rules=LAST)
        assert world.numbers() == [3]
        assert len(packs(world)) == len(names(world, PACK_PREFIX)) == 2
        assert not [name for name in names(world, "snapshot-") if name != "snapshot-00000003"]

    def strike(world: World, steps: int) -> int:
        """Kill the run after some earlier ones, at each of its calls; how many there are."""
        for _ in range(steps):
            world.retain(rules=LAST)
            world.pass_days(8)
        counted = Fuse()
        world.clone().retain(counted, rules=LAST)
        for at in range(1, counted.seen + 2):  # killed before a call is as killed after the one before
            struck = world.clone()
            with pytest.raises(Killed):
                struck.retain(Fuse(min(at, counted.seen), late=at > counted.seen), rules=LAST)
            assert_whole(struck, *struck.numbers())
            assert struck.numbers()[-1] == 3
            finish(struck)
            assert_whole(struck, 3)
        assert_restores(struck, tmp_path / "then3", tmp_path / "out")
        return counted.seen

    assert strike(aged.clone(), 0) > 8
    assert strike(aged.clone(), 2) > 14


def test_a_backup_beside_it(aged: World, tmp_path: Path) -> None:
    """A backup runs whole at each call of a retention run, and the other way round: all that is kept restores."""
    (aged.source / "again").write_bytes((tmp_path / "then1" / "d" / "changes").read_bytes())
    (aged.source / "new").write_bytes(os.urandom(50_000))
    now = keep(aged.source, "now")

    def check(world: World) -> None:
        assert_whole(world, *world.numbers())
        assert world.numbers()[-1] == 4
        for _ in range(3):
            world.pass_days(8)
            world.retain(rules=LAST, early=True)
        assert_whole(world, 4)

    for steps in (0, 2):
        world = aged.clone()
        for _ in range(steps):
            world.retain(rules=LAST, early=True)
            world.pass_days(8)
        counted = Fuse()
        world.clone().retain(counted, rules=LAST, early=True)
        for at in range(1, counted.seen + 1):
            struck = world.clone()
            struck.retain(Fuse(at, strike=lambda struck=struck: struck.backup()), rules=LAST, early=True)  # type: ignore[misc]
            check(struck)
        assert_restores(struck, now, tmp_path / "out")
        counted = Fuse()
        world.clone().backup(counted)
        for at in range(1, counted.seen + 1):
            struck = world.clone()
            struck.backup(Fuse(at, strike=lambda struck=struck: struck.retain(rules=LAST, early=True)))  # type: ignore[misc]
            check(struck)


def test_a_backup_that_takes_weeks(aged: World, tmp_path: Path) -> None:
    """A backup during which packs that it counts on are condemned and deleted makes no snapshot; the next one does."""
    (aged.source / "again").write_bytes((tmp_path / "then1" / "d" / "changes").read_bytes())

    def weeks(world: World) -> None:
        for _ in range(3):
            world.retain(rules=LAST, early=True)
            world.pass_days(8)

    counted = Fuse()
    aged.clone().backup(counted)
    overtaken = 0
    for at in range(1, counted.seen + 1):
        world = aged.clone()
        try:
            world.backup(Fuse(at, strike=lambda world=world: weeks(world)))  # type: ignore[misc]
        except Overtaken:
            overtaken += 1
            assert world.numbers()[-1] == 3
        world.backup()
        assert world.clone().backup()[1] == []
        assert_whole(world, *world.numbers())
        weeks(world)
        assert_whole(world, world.numbers()[-1])
    assert_restores(world, aged.source, tmp_path / "out")
    assert overtaken


def test_a_number_that_was_given_meanwhile(aged: World, tmp_path: Path) -> None:
    """A backup that takes weeks gets no number that another one had and retention took away, first backups neither."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "g").write_bytes(os.urandom(50_000))

    def weeks(world: World) -> None:
        for day in range(4):
            (world.source / "new").write_bytes(bytes([day]) * 40_000)
            world.backup()
            world.pass_days(8)
            world.retain(rules=LAST, early=True)

    counted = Fuse()
    aged.clone().backup(counted, source=other)
    for at in range(1, counted.seen + 1):
        world = aged.clone()
        try:
            snapshot, _ = world.backup(Fuse(at, strike=lambda world=world: weeks(world)), source=other)  # type: ignore[misc]
        except Overtaken:
            snapshot, _ = world.backup(source=other)
        assert snapshot.number in world.numbers(), at


# --- packs that no record tells of


def put(world: World, name: str) -> None:
    """Somebody puts a blob there, and the service's clock is seen to go on."""
    world.blobs.put_new(name, b"", "hot", md5_of(b""))


def left_over(world: World, journal: Path | None = None) -> set[str]:
    """Kill a backup when its first pack is there and nothing tells of it; the pack."""
    (world.source / "new").write_bytes(os.urandom(50_000))
    before, world.journal = packs(world), journal
    for at in count(1):
        struck = world.clone()
        struck.journal = journal
        with pytest.raises(Killed):
            struck.backup(Fuse(at))
        if packs(struck) != before:
            world.blobs.blobs, world.table.rows = struck.blobs.blobs, struck.table.rows
            return packs(world) - before
    raise AssertionError


def test_a_pack_that_no_record_tells_of_goes(aged: World) -> None:
    """After 30 days it is condemned, however early the rest may go; then it is deleted as others are."""
    left = left_over(aged)
    for days in (0, 29):
        aged.pass_days(days)
        assert aged.retain(early=True).condemned == []
    aged.pass_days(2)
    aged.backup()  # the service's clock has to have gone on
    assert {state.pack_id for state in aged.retain().condemned} == left
    for _ in range(2):
        assert left <= packs(aged)
        aged.pass_days(8)
        aged.retain()
    assert not left & packs(aged)
    assert_whole(aged, 1, 2, 3, 4)


def test_what_somebody_put_beside_packs_is_left_alone(aged: World) -> None:
    """A name that is none of a pack could not be written into a record; a blob elsewhere is none of our business."""
    for name in ("user1/packs/mine", "user1/packs/20261340T000000Z-0123456789abcdef", "user2/packs/x"):
        put(aged, name)
    for _ in range(3):
        aged.pass_days(40)
        aged.backup()
        assert aged.retain().condemned == []
    assert {"mine", "x"} <= packs(aged)


def test_a_pack_that_lost_its_record_and_is_needed_stays(aged: World) -> None:
    """Whatever is not known to be held elsewhere keeps all packs without a record."""
    left = left_over(aged)
    [needed, *_] = [name for name, its in aged.packs().items() if its & set(next(iter(chunks_of(aged, 3))))]
    aged.table.rows = {key: row for key, row in aged.table.rows.items() if key[1] != PACK_PREFIX + needed}
    for _ in range(4):
        aged.pass_days(40)
        put(aged, f"user1/packs/clock{aged.now_ns}")
        assert aged.retain().deleted == []
    assert {needed, *left} <= packs(aged)


def chunks_of(world: World, number: int) -> list[list[bytes]]:
    """Return the chunks of each file of a snapshot, of those that have some."""
    catalog, _ = world.opened()
    [snapshot] = [each for each in catalog.snapshots() if each.number == number]
    return [list(entry.chunk_ids()) for entry in catalog.entries(snapshot) if entry.chunks]


def test_a_journal_may_still_name_it(aged: World, tmp_path: Path) -> None:
    """A backup takes it over before it is condemned, and it is spared; afterwards none takes it over."""
    journal = tmp_path / "journal"
    left = left_over(aged, journal)
    aged.pass_days(31)
    put(aged, "user1/packs/clock")
    counted = Fuse()
    aged.clone(tmp_path / "j").backup(counted)
    for at in range(1, counted.seen + 1):
        world = aged.clone(tmp_path / "j")
        world.backup(Fuse(at, strike=lambda world=world: world.retain()))  # type: ignore[misc]
        for _ in range(4):
            world.pass_days(8)
            world.retain()
        assert_whole(world, 1, 2, 3, 4)
        assert world.backup()[1] == []
    world = aged.clone(tmp_path / "j")
    assert {state.pack_id for state in world.retain().condemned} == left
    world.backup()
    assert not left & world.packs().keys()


def test_a_backup_that_sleeps_for_months(aged: World, tmp_path: Path) -> None:
    """At any call: what it uploaded before has no record, and is gone; no snapshot counts on it."""
    for number in range(3):
        (aged.source / f"new{number}").write_bytes(os.urandom(50_000))

    def months(world: World) -> None:
        for _ in range(7):
            world.pass_days(8)
            put(world, f"user1/packs/clock{world.now_ns}")
            world.retain()

    for journal, late in ((None, True), (tmp_path / "j", False)):
        counted = Fuse()
        aged.clone().backup(counted)
        for at in range(1, counted.seen + 1):
            world = aged.clone()
            world.journal = journal
            if journal is not None:
                journal.unlink(missing_ok=True)
            try:
                world.backup(Fuse(at, late, strike=lambda world=world: months(world)))  # type: ignore[misc]
            except Overtaken:
                assert world.numbers()[-1] == 3
            world.backup()
            world.retain()
            assert_whole(world, *world.numbers())
            assert world.backup()[1] == []
            months(world)
            months(world)  # a record that was written after its pack was deleted
            assert_whole(world, *world.numbers())
            there = {pack for pack in packs(world) if not pack.startswith("clock")}
            assert there == world.packs().keys(), at
    assert_restores(world, aged.source, tmp_path / "out")
