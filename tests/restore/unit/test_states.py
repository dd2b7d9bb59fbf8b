"""What the listings say, and what follows from it: in memory, with a clock of its own."""

from __future__ import annotations

import hashlib

import pytest
from msgspec.structs import replace

from azbackup.errors import Missing
from azbackup.format.labels import pack_blob
from azbackup.format.model import PackId, PackRecord
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import State, ThawOptions
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import NotOnline, PackStates, Pending
from azbackup.storage.protocols import BlobInfo
from tests.contract.memory import MemoryBlobs, MemoryThaw

HOUR = 3600.0
NOW = 1_000_000_000.0


class World:
    """Packs and a staging container whose listings a test may bend."""

    def __init__(self, *names: str, tier: str = "archive") -> None:
        self.blobs = MemoryBlobs()
        self.staging = MemoryThaw(self.blobs, slow=True)
        self.packs = []
        for name in names:
            data = name.encode() * 10
            md5 = hashlib.md5(data, usedforsecurity=False).digest()
            self.blobs.put_new(pack_blob("user", name), data, tier, md5)
            self.packs.append(PackLayout(PackId(name), PackRecord(len(data), md5, tier, b"", [], [])))

    def thawing(self, mark: str = "me", partition: str = "user") -> ThawRequests:
        """The state as a run sees it that begins now."""
        states = PackStates(self.blobs, self.staging, partition)
        states.look(self.packs)
        return ThawRequests(states, self.staging, mark)


def listed(name: str, **values: object) -> BlobInfo:
    """A line of the staging container's listing."""
    return replace(BlobInfo(pack_blob("user", name), 10, b"", "hot"), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("copy", "state"),
    [
        (None, State.ARCHIVED),
        ({"pending": True, "tier": "archive"}, State.PENDING),
        ({"pending": True, "size": 0}, State.PENDING),
        ({"tier": "archive"}, State.PENDING),  # Azure copies first, and thaws the copy then
        ({}, State.THAWED),
        ({"failed": True}, State.ARCHIVED),
        ({"failed": True, "tier": "archive"}, State.ARCHIVED),
        ({"size": 9}, State.ARCHIVED),  # not a copy of this pack
    ],
)
def test_state_by_the_copy(copy: dict[str, object] | None, state: State) -> None:
    """What a listing of the staging container says about an archived pack."""
    world = World("a")
    thawing = world.thawing()
    if copy is not None:
        thawing.states.staged = {pack_blob("user", "a"): listed("a", **copy)}
    assert thawing.states.state(world.packs[0]) is state


@pytest.mark.parametrize("pending", [True, False])
def test_a_copy_that_never_comes_is_made_anew(*, pending: bool) -> None:
    """On its way for two days, or put back into the archive: that is no thaw of Azure's, and is not waited for."""
    world = World("a")
    thawing = world.thawing()
    name = pack_blob("user", "a")
    for hours, asked in ((47, 0), (49, 1)):
        copy = listed("a", tier="archive", pending=pending, created=NOW - hours * HOUR)
        thawing.states.staged = {name: copy}
        asks, _ = thawing.asks(world.packs, ThawOptions(), NOW)
        assert (len(asks), len(thawing.notes())) == (asked, asked)
    thawing.ask(asks, in_place=False)
    assert world.staging.blobs[name].data == b"a" * 10
    assert thawing.states.state(world.packs[0]) is State.PENDING


def test_a_copy_with_another_md5_is_none() -> None:
    """Right in size and planted: what lists another MD5 than the pack was never copied from it."""
    world = World("a")
    thawing = world.thawing()
    thawing.states.staged = {pack_blob("user", "a"): listed("a", md5=bytes(16))}
    assert thawing.states.state(world.packs[0]) is State.ARCHIVED


@pytest.mark.parametrize("sound", [True, False])
def test_a_copy_that_does_not_open_is_told_from_a_damaged_pack(*, sound: bool) -> None:
    """By the MD5 that the pack's record has: a planted copy is removed, and said; a true one of a bad pack is not."""
    world = World("a")
    world.staging.slow = False
    thawing = world.thawing()
    name = pack_blob("user", "a")
    world.staging.thaw(name, "standard")
    if not sound:
        world.staging.blobs[name].data = b"planted..."
    thawing.states.list_staging()
    assert thawing.states.state(world.packs[0]) is State.THAWED
    assert thawing.reject(world.packs[0]) is not sound
    assert (name in world.staging.blobs) is sound
    assert len(thawing.notes()) == (not sound)
    assert not thawing.reject(world.packs[0])


STRANGERS = {
    "no pack": BlobInfo("anything", 20 * 1024**3, b"", "archive", priority="high", created=NOW),
    "no pack's size": BlobInfo(pack_blob("other", "x"), 20 * 1024**3, b"", "hot", priority="high", created=NOW),
    "for ever": BlobInfo(
        pack_blob("other", "x"), 60 * 1024**2, b"", "archive", priority="high", created=NOW - 16 * HOUR
    ),
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_strangers_do_not_take_the_budget_for_ever(stranger: BlobInfo) -> None:
    """What is no pack, or was asked for long ago, whoever put it there: high priority goes on."""
    world = World("a")
    thawing = world.thawing()
    thawing.states.strangers = [stranger] * 200
    asks, later = thawing.asks(world.packs, ThawOptions("high"), NOW)
    assert (len(asks), later) == (1, [])


def test_strangers_that_take_the_budget_are_named() -> None:
    """Whoever waits for the hour's budget is told once what took it, and how not to wait."""
    world = World("a")
    thawing = world.thawing()
    thawing.states.strangers = [listed("x", priority="high", created=NOW)]
    for notes in (1, 0):
        asks, later = thawing.asks(world.packs, ThawOptions("high", budget=10), NOW)
        assert (asks, len(later)) == ([], 1)
        assert len(thawing.notes()) == notes


def test_states_without_copies() -> None:
    """Online and missing packs need no staging container."""
    world = World("a", tier="cool")
    gone = PackLayout(PackId("b"), PackRecord(1, b"", "archive", b"", [], []))
    thawing = world.thawing()
    assert thawing.states.state(world.packs[0]) is State.ONLINE
    assert thawing.states.state(gone) is State.MISSING
    assert thawing.states.look([gone]) == ["pack b is missing"]


def test_size_and_md5_are_compared() -> None:
    """A pack that is not what its record says is named."""
    world = World("a")
    record = world.packs[0].record
    for size, md5 in ((record.size + 1, record.md5), (record.size, bytes(16))):
        changed = PackLayout(PackId("a"), PackRecord(size, md5, "archive", b"", [], []))
        assert world.thawing().states.look([changed]) == ["pack a does not have the size and MD5 of its record"]


@pytest.mark.parametrize(
    ("copy", "spent"),
    [
        ({"priority": "high", "created": NOW - HOUR + 1}, 10),
        ({"priority": "high", "created": NOW - HOUR - 1}, 0),
        ({"priority": "high", "created": NOW - HOUR - 1, "pending": True}, 10),  # raised, or late
        ({"priority": "standard", "created": NOW}, 0),
        ({"priority": "high", "created": NOW - 2 * HOUR, "failed": True}, 0),
    ],
)
@pytest.mark.parametrize("whose", ["user", "another"])
def test_what_the_hour_has_spent(copy: dict[str, object], spent: int, whose: str) -> None:
    """High thaws of the last hour, and those that are still on their way, of any partition."""
    world = World("a", "b")
    thawing = world.thawing()
    line = replace(listed("b", **copy), name=pack_blob(whose, "b"))
    if whose == "user":
        thawing.states.staged = {line.name: line}
    else:
        thawing.states.strangers = [line]
    size = world.packs[0].record.size
    asks, later = thawing.asks(world.packs[:1], ThawOptions("high", budget=size + 9), NOW)
    assert (len(asks), len(later)) == ((0, 1) if spent else (1, 0))


def test_pending_says_since_when_and_until_when() -> None:
    """The first ask, and the latest end by each thaw's own priority."""
    world = World("a", "b", "c")
    thawing = world.thawing()
    thawing.states.staged = {
        line.name: line
        for line in (
            listed("a", pending=True, priority="standard", created=NOW),
            listed("b", pending=True, priority="high", created=NOW - 60),
            listed("c", priority="standard", created=NOW - 90),
        )
    }
    assert thawing.states.pending(world.packs) == Pending(2, 20, NOW - 60, NOW + 15 * HOUR)
    assert thawing.states.pending(world.packs[2:]) is None


def test_last_one_out_removes_the_copies() -> None:
    """While another restore's mark is there the copies stay; a mark that is a week old counts no more."""
    world = World("a")
    mine, other = world.thawing("me"), world.thawing("other")
    for each in (mine, other):
        each.claim()
        each.ask(each.asks(world.packs, ThawOptions(), NOW)[0], in_place=False)
    world.staging.release()
    [mark] = world.staging.listed("user/restores/other")
    assert mine.leave(mark.modified + 60) == 1
    assert world.thawing().states.state(world.packs[0]) is State.THAWED
    assert world.thawing("third").leave(mark.modified + 8 * 24 * HOUR) == 0
    assert list(world.staging.listed("")) == []


def test_copies_of_another_partition_are_left() -> None:
    """Cleaning up concerns this partition alone."""
    world = World("a")
    world.blobs.put_new("other/packs/x", b"x", "archive", hashlib.md5(b"x", usedforsecurity=False).digest())
    world.staging.thaw("other/packs/x", "standard")
    thawing = world.thawing()
    thawing.ask(thawing.asks(world.packs, ThawOptions(), NOW)[0], in_place=False)
    assert thawing.discard() == (1, 10)
    assert [info.name for info in world.staging.listed("")] == ["other/packs/x"]


def test_copy_that_vanished_is_not_online() -> None:
    """A thawed copy that is gone is not damage; an online pack that is gone is missing."""
    world = World("a")
    thawing = world.thawing()
    thawing.states.staged = {pack_blob("user", "a"): listed("a")}
    with pytest.raises(NotOnline):
        thawing.states.read(world.packs[0], 0, 1)
    world = World("b", tier="hot")
    thawing = world.thawing()
    world.blobs = MemoryBlobs()
    thawing.states._blobs = world.blobs
    with pytest.raises(Missing):
        thawing.states.read(world.packs[0], 0, 1)
