"""A new data key at every moment: the command killed at each of its calls, and backups that run beside it, by turns.

Allowed: until the key record is replaced all is as it was, from then on the new password alone opens and earlier
snapshots are there still. A backup that said that it is done is among the snapshots, whichever key is in force; one
that is not said so. Nothing is damage, and what comes next works.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azbackup.commands.backup.run import Backup, Job
from azbackup.crypto.kdf import KdfCosts, Stretcher, stretch
from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.errors import WrongPassword
from azbackup.format.labels import row_partition, space_of
from azbackup.packs.run import Clock, new_run
from azbackup.records import key_changes
from azbackup.records.bounds import Bounds
from azbackup.records.catalog import Catalog
from azbackup.records.eras import AllEras, Era
from azbackup.records.key_changes import Circumstances
from azbackup.records.keystore import Keystore
from azbackup.records.partition import Partition
from azbackup.records.record_store import RecordStore
from azbackup.records.rotation import rotate
from tests.contract.memory import MemoryRows
from tests.faults.commands import KILLED, MemoryAccount
from tests.faults.world import PARTITION, Fuse, Fused, World, _stamps
from tests.listener import Silent

OLD, NEW = Secret(b"old password"), Secret(b"new password")
AROUND = Circumstances(PARTITION, "2027-01-01T00:00:00Z")
CHEAP = KdfCosts(8192, 1, 1)
_stretched: dict[Any, Secret] = {}


class Memo(Stretcher):
    """Stretches each password once for all tests of this file."""

    new_costs = CHEAP

    def __call__(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        asked = (password.reveal(), salt, costs)
        if asked not in _stretched:
            _stretched[asked] = stretch(password, salt, costs)
        return _stretched[asked]


class Machine:
    """One that has opened the partition, as the command line does: what it holds stays what it was then."""

    def __init__(self, world: World, password: Secret, fuse: Fuse | None = None) -> None:
        self.show, fuse = Silent(), fuse or Fuse()
        self.blobs: Any = Fused(world.blobs, fuse)
        self._rows = lambda space: Fused(MemoryRows(world.table, row_partition(space)), fuse)
        self.keystore = Keystore(self._rows(PARTITION), self.blobs, PARTITION, Memo())  # type: ignore[arg-type]
        self.key, self.fresh = self.keystore.open_or_create(password, AROUND.now)
        self.world, after, past = world, 0, []
        for number, era in enumerate(self.key.earlier, 1):
            partition = self._partition(number, era.data_key, Bounds(after, era.last))
            past.append(Era(partition, Catalog(partition.records)))
            after = era.last
        bounds = Bounds(after, is_current=lambda: self.keystore.is_current(self.key))
        self.newest = self._partition(len(past) + 1, self.key.data_key, bounds)
        self.catalog = AllEras(past, Era(self.newest, Catalog(self.newest.records)))

    def _partition(self, number: int, key: Secret, bounds: Bounds) -> Partition:
        space, keys = space_of(PARTITION, number), derive(key)
        rows: Any = self._rows(space)
        records = RecordStore(rows, self.blobs, keys, space, self.show.damage)
        records.bounds = bounds
        return Partition(space, keys, self.blobs, records)

    def backup(self) -> int:
        """Back up; the number of the snapshot."""
        clock = Clock(lambda: self.world.now_ns, lambda: f"20261122T210800Z-{next(_stamps):016x}")
        job = Job(os.fsencode(self.world.source), "host", self.fresh)
        how = new_run(self.newest, clock, "hot", None)
        run = Backup(job, self.newest, Catalog(self.newest.records), how, self.show)
        try:
            return run.run().number
        finally:
            run._store._uploads._workers.stop()

    def rotate(self, new: Secret = NEW) -> None:
        """Make a new data key."""
        rotate(self.keystore, self.key, self.newest.records, new, AROUND)

    def numbers(self) -> list[int]:
        """The snapshots that there are, each of which has its entries."""
        found = self.catalog.snapshots()
        assert all(list(self.catalog.entries(snapshot, whole=True)) for snapshot in found)
        return [snapshot.number for snapshot in found]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a partition with a snapshot."""
    monkeypatch.setattr(key_changes, "DEFAULT_COSTS", CHEAP)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("content")
    found = World(tmp_path / "source")
    assert Machine(found, OLD).backup() == 1
    return found


def attempt(action: Callable[[], int]) -> int:
    """The number of the snapshot that a backup made, 0 where it said that it made none."""
    try:
        return action()
    except WrongPassword:
        return 0


def check(world: World, made: int) -> None:
    """What was said to be made is there, under the key in force; the old password opens no more; backups go on."""
    with pytest.raises(WrongPassword):
        Machine(world, OLD)
    after = Machine(world, NEW)
    numbers = after.numbers()
    assert {1, made} - {0} <= {*numbers}
    assert after.show.damaged == []
    assert Machine(world, NEW).backup() not in numbers
    assert Machine(world, NEW).numbers()[:-1] == numbers


def count(act: Callable[[Fuse], object]) -> int:
    """How many calls something takes."""
    fuse = Fuse()
    act(fuse)
    return fuse.seen


def test_a_rotation_at_every_call_of_a_backup(world: World) -> None:
    """The whole of it comes between: the backup is done and its snapshot there, or it says that there is none."""
    found, opening = set(), count(lambda fuse: Machine(world.clone(), OLD, fuse))
    for at in range(opening + 1, count(lambda fuse: Machine(world.clone(), OLD, fuse).backup()) + 1):
        its = world.clone()
        machine = Machine(its, OLD, Fuse(at, strike=lambda its=its: Machine(its, OLD).rotate()))
        made = attempt(machine.backup)
        found.add(bool(made))
        fence = Machine(its, NEW).key.earlier[-1].last
        assert max(machine.newest.records.copies.snapshot_numbers()) == fence  # nothing was put behind it
        check(its, made)
    assert found == {True, False}


@pytest.mark.parametrize("late", [False, True])
def test_a_backup_at_every_call_of_a_rotation(world: World, late: bool) -> None:
    """The whole of it comes between: one that held the old key already, and one that opens the partition then."""
    for at in range(1, count(lambda fuse: Machine(world.clone(), OLD, fuse).rotate()) + 1):
        for opens in (False, True)[: 1 + late]:
            its, made = world.clone(), []
            before = Machine(its, OLD)

            def strike(its: World = its, before: Machine = before, opens: bool = opens, made: list[int] = made) -> None:
                try:
                    machine = Machine(its, OLD) if opens else before
                except WrongPassword:
                    machine = Machine(its, NEW)
                made.append(attempt(machine.backup))

            Machine(its, OLD, Fuse(at, late, strike)).rotate()
            check(its, *made)


def test_both_by_turns(world: World) -> None:
    """A backup gets as far as one of its calls while a rotation stands at one of its own, and the other ends first."""
    (world.source / "more").write_text("more")
    calls = count(lambda fuse: Machine(world.clone(), OLD, fuse).rotate())
    steps = count(lambda fuse: Machine(world.clone(), OLD, fuse).backup())
    for at in range(4, calls):  # from the fence on
        for step in range(steps - 1 + at % 2, steps + 6, 2):  # from the snapshot's copy on; more where it meets a fence
            its = world.clone()
            there, go_on, made = threading.Event(), threading.Event(), []

            def wait(there: threading.Event = there, go_on: threading.Event = go_on) -> None:
                there.set()
                go_on.wait(10)

            backup = Machine(its, OLD, Fuse(step, True, wait))

            def run(backup: Machine = backup, made: list[int] = made, there: threading.Event = there) -> None:
                try:
                    made.append(attempt(backup.backup))
                finally:
                    there.set()

            thread = threading.Thread(target=run)

            def strike(thread: threading.Thread = thread, there: threading.Event = there) -> None:
                thread.start()
                assert there.wait(10)

            Machine(its, OLD, Fuse(at, True, strike)).rotate()
            go_on.set()
            thread.join(10)
            check(its, *made)


# --- the command line


@pytest.fixture
def account(tmp_path: Path) -> MemoryAccount:
    """Give an account with a snapshot."""
    (tmp_path / "home").mkdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("content")
    found = MemoryAccount(tmp_path / "home", password="old password")
    assert found.backup("--tier", "hot", tmp_path / "source").status == 0
    return found


def rotated(account: MemoryAccount, **options: Any) -> int:
    """Make a new data key by the script; its status."""
    new = {"AZBACKUP_NEW_PASSWORD": "new password"}
    return account.run("change_password", "--rotate-key", "--yes", **options, **new).status


def test_killed_after_every_write(account: MemoryAccount, tmp_path: Path) -> None:
    """One password opens, old or new; the same command again comes to its end, and nothing is damage then.

    A kill before a write leaves what one after the write before it does.
    """
    new = {"AZBACKUP_NEW_PASSWORD": "new password"}
    fence, row, copy = account.clone().run("change_password", "--rotate-key", "--yes", **new).writes
    for at in (fence, row, copy):
        its = account.clone(tmp_path / f"machine {at}")
        its.home.mkdir()
        assert rotated(its, at=at, late=True) == KILLED
        words = ("old password", "new password")
        opening = [word for word in words if its.restore("--snapshots", AZBACKUP_PASSWORD=word).status == 0]
        assert opening == ["old password" if at == fence else "new password"]
        its.password = opening[0]
        if at == fence:
            assert its.backup("--tier", "hot", tmp_path / "source").status == 0  # behind the fence that was left
            assert its.restore("--verify").status == 0
            assert rotated(its) == 0
            its.password = "new password"
        elif at == row:
            assert its.backup("--repair").status == 0  # the copy of the key record is written
        assert its.backup("--tier", "hot", tmp_path / "source").status == 0
        assert its.restore("--verify").status == 0
        numbers = [event["snapshot"] for event in its.restore("--snapshots").of("snapshot")]
        assert numbers == ([1, 3, 5] if at == fence else [1, 3])


def test_all_rows_lost(account: MemoryAccount, tmp_path: Path) -> None:
    """A backup puts the rows of all eras back from their copies; an old password does not come back with them."""
    assert rotated(account) == 0
    new = {"AZBACKUP_PASSWORD": "new password"}
    assert account.backup("--tier", "hot", tmp_path / "source", **new).status == 0
    whole = {row for row in account.table.rows if not row[1].startswith("head-")}
    account.table.rows.clear()
    assert account.restore("--snapshots").status == 12
    assert account.backup("--tier", "hot", tmp_path / "source").status == 12
    assert account.restore("--snapshot", "1", tmp_path / "restored", **new).status == 0
    assert account.backup("--tier", "hot", tmp_path / "source", **new).status == 0
    assert whole <= {*account.table.rows}
    assert account.restore("--verify", **new).status == 0


def test_an_empty_source_after_it(account: MemoryAccount, tmp_path: Path) -> None:
    """The first backup under a new key is no first one: a source without its files is told, as ever."""
    assert rotated(account) == 0
    account.password = "new password"
    (tmp_path / "source" / "file").unlink()
    assert account.backup("--tier", "hot", tmp_path / "source").status == 3
    assert account.backup("--tier", "hot", "--allow-empty", tmp_path / "source").status == 0
