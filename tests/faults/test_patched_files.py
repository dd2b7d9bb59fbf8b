"""Large files that keep chunks of an earlier version: in a snapshot, under retention, and where something is lost."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from azbackup.commands.backup.compaction import kept_below
from azbackup.commands.browse.search import search
from azbackup.commands.maintenance.findings import What
from azbackup.commands.maintenance.keeping import Rules
from azbackup.errors import Damaged
from azbackup.format.model import Entry, split_ids
from azbackup.format.patches import Patch
from azbackup.records.uses import used_chunks
from tests.cli.trees import differences
from tests.faults.test_verify import kinds, verify
from tests.faults.world import PARTITION, World, assert_restores, keep, keep_layers, make_small

MIB = 1 << 20
KEPT_BELOW = kept_below  # as it is in life
NAME = b"disk.img"


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """Each layer stays as it is, whatever can be a patch is one, and a pack has one chunk, or hardly more."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        keep_layers(patch)
        yield


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give three versions of a file: the second has other bytes in its middle, the third only another time."""
    world = World(tmp_path / "source")
    world.source.mkdir()
    image = world.source / os.fsdecode(NAME)
    image.write_bytes(random.Random(5).randbytes(12 * MIB))
    (world.source / "beside").write_text("not large")
    for number in (1, 2, 3):
        if number == 2:
            with image.open("r+b") as file:
                file.seek(6 * MIB)
                file.write(os.urandom(1000))
        elif number == 3:
            os.utime(image, ns=(1, 10**9))
        world.backup()
        keep(world.source, f"version {number}")
        world.pass_days(1)
    return world


def lists(world: World) -> list[list[bytes]]:
    """Return the chunks of each version, and see to it that all but the first are stored as patches."""
    catalog, _ = world.opened()
    found = []
    for snapshot in catalog.snapshots():
        *_, top = catalog.layers(snapshot.layers)
        stored = next(item for item in top if isinstance(item, Entry | Patch) and item.path == NAME)
        assert isinstance(stored, Patch) == (len(snapshot.layers) > 1)
        entry = next(each for each in catalog.entries(snapshot, whole=True) if each.path == NAME)
        found.append([bytes(each) for each in split_ids(entry.chunks)])
    return found


def test_every_version_comes_back(world: World, tmp_path: Path) -> None:
    """Whatever it is made of; and a search tells the versions apart without their lists."""
    assert len(lists(world)) == 3
    for number in (1, 2, 3):
        assert_restores(world, tmp_path / f"version {number}", tmp_path / "out", number)
    assert kinds(verify(world)) == {}
    catalog, _ = world.opened()
    found = list(search(catalog, catalog.snapshots(), lambda entry: entry.path == NAME))
    assert [each.snapshots for each in found] == [[(1, 1)], [(2, 2)], [(3, 3)]]
    assert len({each.version.contents for each in found}) == 2
    assert found[1].version.contents == found[2].version.contents


def test_what_is_kept_is_used(world: World, tmp_path: Path) -> None:
    """Retention frees what only the first version had, and nothing that a later one keeps of it."""
    first, second, third = lists(world)
    assert second == third
    assert first != second
    catalog, _ = world.opened()
    assert {bytes(each) for each in used_chunks(catalog, catalog.snapshots()[1:])} == {
        *second,
        *(
            bytes(chunk)
            for each in catalog.entries(catalog.snapshots()[0])
            if each.path != NAME
            for chunk in each.chunk_ids()
        ),
    }
    for _ in range(3):
        world.retain(rules=Rules(last=1), early=True)
        world.pass_days(8)
    stored = {bytes(each) for ids in world.packs().values() for each in ids}
    assert {*third} <= stored
    assert not {*first} <= stored, "what was replaced is gone"
    assert_restores(world, tmp_path / "version 3", tmp_path / "out")
    assert kinds(verify(world)) == {}, "the first version is not shown any more, and nobody misses its chunks"


@pytest.mark.parametrize("which", ["kept", "replaced", "new"])
def test_a_chunk_that_is_lost(world: World, tmp_path: Path, which: str) -> None:
    """Verification names the versions that have it, and no others; so does a restore."""
    first, second, _ = map(set, lists(world))
    wanted = {"kept": first & second, "replaced": first - second, "new": second - first}[which]
    others = (first | second) - wanted
    pack = next(pack for pack, ids in world.packs().items() if ids & wanted and not ids & others)
    del world.blobs.blobs[f"{PARTITION}/packs/{pack}"]
    found = verify(world)
    touched = sorted(number for file in found.touched for number in file.snapshots if file.path == NAME)
    assert touched == {"kept": [1, 2, 3], "replaced": [1], "new": [2, 3]}[which]
    for number in (1, 2, 3):
        outcome = world.restore(tmp_path / f"out {number}", number)
        assert bool(outcome.damage) == (number in touched)
        assert bool(differences(tmp_path / f"version {number}", tmp_path / f"out {number}")) == (number in touched)


@pytest.mark.parametrize("which", ["kept", "replaced", "new"])
def test_a_chunk_and_a_record_that_are_lost(world: World, which: str) -> None:
    """A later version's record is lost, too: the earlier ones are named all the same, and that one may be."""
    first, second, *_ = map(set, lists(world))
    (world.source / "last").write_text("one more")
    world.backup()
    wanted = {"kept": first & second, "replaced": first - second, "new": second - first}[which]
    others = (first | second) - wanted
    pack = next(pack for pack, ids in world.packs().items() if ids & wanted and not ids & others)
    del world.blobs.blobs[f"{PARTITION}/packs/{pack}"]
    run = world.opened()[0].snapshots()[-1].run
    lose_layer(world, run)
    touched = {number for file in verify(world).touched for number in file.snapshots if file.path == NAME}
    expected = {"kept": {1, 2, 3}, "replaced": {1}, "new": {2, 3}}[which]
    assert expected <= touched <= expected | {4}


def lose_layer(world: World, run: str) -> None:
    """Remove the file records of a run, rows and copies."""
    for row in [row for row in world.table.rows if row[1].startswith(f"files-{run}-")]:
        del world.table.rows[row]
    for name in [name for name in world.blobs.blobs if f"/records/{run}" in name]:
        del world.blobs.blobs[name]


def test_a_file_that_is_replaced_piece_by_piece(tmp_path: Path) -> None:
    """A third in each run, and layers that are merged as they are in life: every version comes back."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        patch.setattr("azbackup.commands.backup.compaction.kept_below", KEPT_BELOW)
        world = World(tmp_path / "source")
        world.source.mkdir()
        image = world.source / os.fsdecode(NAME)
        image.write_bytes(os.urandom(9 * MIB))
        for number in range(1, 9):
            _, told = world.backup()
            assert told == []
            keep(world.source, f"version {number}")
            with image.open("r+b") as file:
                file.seek(number % 3 * 3 * MIB)
                file.write(os.urandom(3 * MIB))
        for number in range(1, 9):
            assert_restores(world, tmp_path / f"version {number}", tmp_path / "out", number)
        assert kinds(verify(world)) == {}


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_version_that_is_lost(world: World, tmp_path: Path, lost: int) -> None:
    """Without its record nobody knows it, nor what keeps chunks of it; that is told, and no other file comes of it."""
    run = world.opened()[0].snapshots()[lost - 1].run
    lose_layer(world, run)
    for number in (1, 2, 3):
        out = tmp_path / f"out {number}"
        try:
            assert bool(world.restore(out, number).damage) == (number >= lost)
        except Damaged:  # the whole layer: nothing of the source is known
            assert number >= lost
        if number < lost:
            assert differences(tmp_path / f"version {number}", out) == []
        else:
            assert not (out / os.fsdecode(NAME)).exists()
    assert What.ENTRIES in kinds(verify(world))
