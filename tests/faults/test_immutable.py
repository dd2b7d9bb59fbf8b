"""Retention where an immutability policy keeps blobs, as Azurite cannot. Nothing is lost, and in time all goes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from azbackup.commands.maintenance.retention import Outcome, Retention, Wish
from azbackup.errors import Unavailable
from azbackup.packs.run import Clock
from azbackup.storage.prices import load_prices
from tests.contract.memory import MemoryRemoval, MemoryRows
from tests.faults.test_retention import LAST, assert_whole, packs
from tests.faults.world import PARTITION, World, make_small
from tests.listener import Silent

_PRICES = load_prices(None)


class Held(MemoryRemoval):
    """What may delete no blob that is younger than so many days."""

    def __init__(self, world: World, days: float) -> None:
        super().__init__(world.blobs, MemoryRows(world.table, PARTITION))
        self._world = world
        self._days = days

    def blobs(self, names: Sequence[str]) -> None:
        """Deletes those that are old enough; of the first other one Azure says 409."""
        for name in names:
            blob = self._world.blobs.blobs.get(name)
            if blob is not None and self._world.blobs.now - blob.created < self._days * 86_400:
                raise Unavailable(
                    f"Azure answered 409 BlobImmutableDueToPolicy for blob {name}", "", "x", passing=False
                )
            super().blobs([name])


def retain(world: World, days: float) -> Outcome:
    """Retention under a policy of so many days."""
    catalog, partition = world.opened()
    stamps = iter(f"20261123T{number:06d}Z-0000000000000000" for number in range(100))
    clock = Clock(lambda: world.now_ns, lambda: next(stamps))
    wish = Wish(rules=LAST, prices=_PRICES, always=True, early=True)
    return Retention(partition, catalog, Held(world, days), time.gmtime, clock).run(wish, Silent())


def test_a_policy_delays_what_retention_deletes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run is refused, and names why; what is kept is whole after each; when the days are over all of it goes."""
    make_small(monkeypatch, pack_bytes=60_000)
    source = tmp_path / "source"
    source.mkdir()
    world = World(source)
    for _ in range(3):
        (source / "changes").write_bytes(os.urandom(50_000))
        world.backup()
        world.pass_days(10)
    assert len(packs(world)) == 3
    refused: list[str] = []
    for _ in range(12):
        try:
            retain(world, 90)
        except Unavailable as error:
            refused.append(error.message)
        assert_whole(world, 3)
        world.pass_days(9)
    assert refused
    assert all("BlobImmutableDueToPolicy" in message for message in refused)
    assert len(packs(world)) == 1
