"""Packs that are listed while a run begins: what counts is still what is there when their records are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from azbackup.errors import Unavailable
from azbackup.packs.known import KnownChunks
from azbackup.packs.run import Clock, Run, new_run
from azbackup.packs.sightings import listed_ahead
from azbackup.records.partition import Partition
from azbackup.storage.protocols import BlobInfo
from tests.faults.world import World, make_small
from tests.listener import Silent


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """Small packs, a quick KDF."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        yield


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give one backup of one file."""
    world = World(tmp_path / "source")
    world.source.mkdir()
    (world.source / "a").write_bytes(os.urandom(10_000))
    world.backup()
    return world


def run_of(partition: Partition) -> Run:
    """A run that has begun, and lists the packs."""
    clock = Clock(lambda: 1, lambda: "20261122T210800Z-0000000000000001")
    return new_run(partition, clock, "hot", None, listed=listed_ahead(partition))


def test_one_listing_is_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves whoever asks first, once: a later question is about later packs."""
    catalog, partition = world.opened()
    listings: list[str] = []
    listed = partition.blobs.listed

    def noting(prefix: str) -> Iterator[BlobInfo]:
        listings.append(prefix)
        return listed(prefix)

    monkeypatch.setattr(partition.blobs, "listed", noting)
    run = run_of(partition)
    assert {*KnownChunks(partition, catalog, run).ids}
    assert len(listings) == 1
    KnownChunks(partition, catalog, run)
    assert len(listings) == 2


def test_what_came_after_the_listing_counts(world: World) -> None:
    """Another machine stores a pack in between: its chunks are known, and nothing is missing."""
    show = Silent()
    catalog, partition = world.opened(show=show)
    run = run_of(partition)
    first = run.listed()
    (world.source / "b").write_bytes(os.urandom(10_000))
    world.backup()
    known = KnownChunks(partition, catalog, msgspec.structs.replace(run, listed=lambda: first))
    assert {bytes(each) for ids in world.packs().values() for each in ids} <= {bytes(each) for each in known.ids}
    assert show.damaged == []


def test_what_was_gone_by_then_is_missing(world: World) -> None:
    """A pack that is not there is told of, as without."""
    for name in [name for name in world.blobs.blobs if "/packs/" in name]:
        del world.blobs.blobs[name]
    show = Silent()
    catalog, partition = world.opened(show=show)
    known = KnownChunks(partition, catalog, run_of(partition))
    assert {*known.ids} == set()
    assert "is missing" in str(show.damaged)


def test_a_listing_that_fails_is_told_to_who_needs_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before, and not swallowed: a run that cannot see the packs must not take them for gone."""
    catalog, partition = world.opened()

    def refused(prefix: str) -> Iterator[BlobInfo]:
        raise Unavailable(f"{prefix} cannot be listed")

    monkeypatch.setattr(partition.blobs, "listed", refused)
    run = run_of(partition)
    with pytest.raises(Unavailable, match="cannot be listed"):
        KnownChunks(partition, catalog, run)
