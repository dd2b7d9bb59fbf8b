"""A kill before or after every storage call while passwords are changed, added and removed, and another run at each.

Allowed: until the command has said that it is done, what was in force before or what is after, whichever is left of
row and copies; from then on the latter alone, whatever is lost and whoever heals. Some password always opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from azbackup.crypto.kdf import KdfCosts, Stretcher, stretch
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Damaged, WrongPassword
from azbackup.records import key_changes
from azbackup.records.key_changes import Circumstances, add_password, change_password, remove_password
from azbackup.records.keystore import Keystore
from tests.contract.memory import Blob, MemoryBlobs, MemoryRows, MemoryTable
from tests.faults.world import Fuse, Fused, Killed

PARTITION = "user1"
CHEAP = KdfCosts(8192, 1, 1)
AROUND = Circumstances(PARTITION, "2027-01-01T00:00:00Z")
MAIN, LAPTOP, DESK, NEWER = (Secret(word) for word in (b"main", b"laptop", b"desk", b"newer"))
EVERY = (MAIN, LAPTOP, DESK, NEWER)

Act = Callable[[Keystore], object]
ACTS: dict[str, tuple[Act, set[Secret]]] = {
    "change": (lambda keys: change_password(keys, LAPTOP, NEWER, AROUND), {MAIN, NEWER}),
    "add": (lambda keys: add_password(keys, MAIN, "desk", DESK, AROUND), {MAIN, LAPTOP, DESK}),
    "remove": (lambda keys: remove_password(keys, MAIN, "laptop", AROUND), {MAIN}),
}
BEFORE = {MAIN, LAPTOP}
_stretched: dict[Any, Secret] = {}


class Memo(Stretcher):
    """Stretches each password once for all tests of this file."""

    new_costs = CHEAP

    def __call__(self, password: Secret, salt: bytes, costs: KdfCosts) -> Secret:
        asked = (password.reveal(), salt, costs)
        if asked not in _stretched:
            _stretched[asked] = stretch(password, salt, costs)
        return _stretched[asked]


class Partition:
    """A partition in memory, of two passwords."""

    def __init__(self) -> None:
        self.blobs, self.table = MemoryBlobs(), MemoryTable()

    def keys(self, fuse: Fuse | None = None) -> Keystore:
        """Return a run's keystore."""
        fuse = fuse or Fuse()
        rows: Any = Fused(MemoryRows(self.table, PARTITION), fuse)
        blobs: Any = Fused(self.blobs, fuse)
        return Keystore(rows, blobs, PARTITION, Memo())

    def clone(self) -> Partition:
        """Return the same, apart."""
        found = Partition()
        found.blobs.blobs = {name: replace(blob) for name, blob in self.blobs.blobs.items()}
        found.table.rows = dict(self.table.rows)
        return found

    def without_row(self) -> Partition:
        """Return it with its row lost."""
        found = self.clone()
        found.table.rows.pop((PARTITION, "key"), None)
        return found

    def opening(self) -> set[Secret]:
        """Return the passwords that open."""
        found = set()
        for password in EVERY:
            with suppress(WrongPassword, Damaged):
                self.keys().open(password)
                found.add(password)
        return found


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Make new passwords quick, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_changes, "DEFAULT_COSTS", CHEAP)
        yield


@pytest.fixture(scope="module")
def two() -> Partition:
    """Give the partition."""
    found = Partition()
    found.keys().open_or_create(MAIN, "2026-11-27T00:00:00Z")
    add_password(found.keys(), MAIN, "laptop", LAPTOP, AROUND)
    found.blobs.blobs["user1/packs/any"] = Blob(b"", "hot", b"")
    return found


def assert_done(there: Partition, right: set[Secret], told: str) -> None:
    """Those passwords and no others open, with the row and without, and healing keeps it so."""
    assert there.opening() == right, told
    assert there.without_row().opening() == right, told
    for lost in (False, True):
        healed = there.without_row() if lost else there.clone()
        opened = healed.keys().open(min(right, key=Secret.reveal))
        healed.keys().mend(opened)
        assert healed.opening() == healed.without_row().opening() == right, told


@pytest.mark.parametrize("lost", [False, True], ids=["row", "no row"])
@pytest.mark.parametrize("act", ACTS)
def test_killed_at_every_call(two: Partition, act: str, lost: bool) -> None:
    """Before or after: the state before or the one after opens; the command again, or the next one, makes it whole."""
    run, after = ACTS[act]
    fuse = Fuse()
    start = two.without_row() if lost else two
    whole = start.clone()
    run(whole.keys(fuse))
    assert_done(whole, after, "not killed")
    assert fuse.seen > 5
    for at in range(1, fuse.seen + 1):
        for late in (False, True):
            told = f"{act}, killed {'after' if late else 'before'} call {at}"
            there = start.clone()
            with suppress(Killed):
                run(there.keys(Fuse(at, late)))
            assert there.opening() in (BEFORE, after), told
            assert there.without_row().opening() in (BEFORE, after), told
            in_force = there.opening()
            with suppress(AzbackupError):  # it is done already
                run(there.keys())
            assert there.opening() == after, told
            remaining = MAIN if in_force == BEFORE else min(after, key=Secret.reveal)
            add_password(there.keys(), remaining, "one-more", Secret(b"one more"), AROUND)
            assert_done(there, after, told)


@pytest.mark.parametrize("lost", [False, True], ids=["row", "no row"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("second", ACTS)
@pytest.mark.parametrize("first", ACTS)
def test_another_at_every_call(two: Partition, first: str, second: str, late: bool, lost: bool) -> None:
    """A whole second command between any two calls: what each said is true, also when the row is lost later on.

    And where the first one is killed right after it.
    """
    fuse = Fuse()
    start = two.without_row() if lost else two
    ACTS[first][0](start.clone().keys(fuse))
    for at in range(1, fuse.seen + 1):
        there, done = start.clone(), list[str]()

        def strike(there: Partition = there, done: list[str] = done) -> None:
            with suppress(AzbackupError):
                ACTS[second][0](there.keys())
                done.append(second)

        with suppress(AzbackupError):
            ACTS[first][0](there.keys(Fuse(at, late, strike)))
            done.append(first)
        assert done, f"at {at}"
        assert_done(there, _right(done), f"{first} and at call {at} {second}: {done}")
        killed, said = start.clone(), list[str]()

        def kill(killed: Partition = killed, said: list[str] = said) -> None:
            with suppress(AzbackupError):
                ACTS[second][0](killed.keys())
                said.append(second)
            raise Killed

        with suppress(Killed, AzbackupError):
            ACTS[first][0](killed.keys(Fuse(at, late, kill)))
        allowed = [_right(said), _right([*said, first]), _right([first, *said])]
        for left in (killed, killed.without_row()):
            assert left.opening() in allowed, f"{first}, at call {at} {second}, which said {said}, and killed"


def _right(done: list[str]) -> set[Secret]:
    """What opens when these were done, in this order."""
    found = set(BEFORE)
    for each in done:
        if each == "add":
            found |= {DESK}
        elif each == "change" and LAPTOP in found:
            found = found - {LAPTOP} | {NEWER}
        elif each == "remove":
            found -= {LAPTOP, NEWER}
    return found
