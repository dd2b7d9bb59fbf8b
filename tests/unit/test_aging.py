"""Which packs go to the archive tier, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from azbackup.commands.maintenance.aging import DAY_SECONDS, archive_old, is_old
from azbackup.commands.maintenance.free import free_packs
from azbackup.errors import Unavailable
from azbackup.format.model import PackId, PackRecord
from azbackup.packs.known import since
from azbackup.storage.prices import load_prices
from azbackup.storage.protocols import BlobInfo
from tests.faults.world import World, make_small, make_source


class Mover:
    """Moves packs in memory, or refuses."""

    def __init__(self, world: World, error: Unavailable | None = None) -> None:
        self._world = world
        self._error = error

    def archive(self, names: Sequence[str]) -> int:
        """Move them."""
        if self._error is not None:
            raise self._error
        for name in names:
            self._world.blobs.blobs[name].tier = "archive"
        return len(names)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give packs that were sent to cool."""
    make_small(monkeypatch)
    (tmp_path / "source").mkdir()
    make_source(tmp_path / "source")
    found = World(tmp_path / "source", tier="cool")
    found.backup()
    return found


def packs(world: World) -> set[str]:
    """Return the tiers of the packs."""
    return {blob.tier for name, blob in world.blobs.blobs.items() if "/packs/" in name}


def test_old_packs_are_moved_once(world: World) -> None:
    """Not before their days are over; then all, for a write each and the rest of what cool is paid for; then none."""
    prices, partition = load_prices(None), world.opened()[1]
    start = world.blobs.now
    young = archive_old(partition, Mover(world), 10, start + 9.9 * DAY_SECONDS, prices)
    assert (young.moved, young.cost, packs(world)) == (0, 0.0, {"cool"})
    moved = archive_old(partition, Mover(world), 10, start + 10 * DAY_SECONDS, prices)
    assert (moved.moved, moved.size, moved.resting) == (young.resting, young.resting_size, 0)
    early = prices.leaving_early(moved.size, "cool", 10)
    assert moved.cost >= early + prices.writing(moved.moved, "archive")
    assert packs(world) == {"archive"}
    again = archive_old(partition, Mover(world), 10, start + 20 * DAY_SECONDS, prices)
    assert (again.moved, again.resting) == (0, 0)


def test_who_may_not_says_so(world: World) -> None:
    """What Azure refuses is told, what may pass is an error; nothing is moved."""
    prices, partition, now = load_prices(None), world.opened()[1], world.blobs.now + 99 * DAY_SECONDS
    refused = archive_old(partition, Mover(world, Unavailable("no right", passing=False)), 10, now, prices)
    assert (refused.why, refused.moved, refused.resting > 0) == ("no right", 0, True)
    with pytest.raises(Unavailable):
        archive_old(partition, Mover(world, Unavailable("busy", passing=True)), 10, now, prices)


def test_what_came_back_rests_again() -> None:
    """A pack that was thawed in place lately is not archived under a restore; fees count from its last move."""
    info = BlobInfo("p", 1, b"", "hot", created=0.0, moved=100 * DAY_SECONDS)
    assert not is_old(info, 30, 129 * DAY_SECONDS)
    assert is_old(info, 30, 130 * DAY_SECONDS)
    assert since(info) == 100 * DAY_SECONDS


def test_the_fee_for_deleting_counts_from_the_move() -> None:
    """A pack that rested for 100 days and went to the archive then is paid for until day 280."""
    record = PackRecord(8 + 30, bytes(16), "hot", bytes(32), [30], [1])
    info = BlobInfo("p", 38, bytes(16), "archive", created=DAY_SECONDS, modified=DAY_SECONDS, moved=101 * DAY_SECONDS)
    [state], _ = free_packs([(PackId("p"), record)], {PackId("p"): info}, set(), set(), {"archive": 180})
    assert (state.created, state.free_at) == (DAY_SECONDS, 281 * DAY_SECONDS)
