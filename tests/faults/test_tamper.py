"""Storage that was altered: a restore gives exactly what was backed up, or says what is wrong; never wrong bytes.

Every stored object, one at a time, is flipped, cut, grown, swapped with its like, renamed and removed, as whoever can
write to the storage could. The one thing that cannot be told from an interrupted commit is the removal of the newest
snapshot's row: what is restored then is, exactly, the snapshot before it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from azbackup.crypto.sealing import SEAL_BYTES, seal_chunk
from azbackup.errors import AzbackupError
from azbackup.storage.protocols import PlainRow, RowValue
from emulator.trees import differences
from tests.contract.memory import Blob
from tests.faults.conftest import Story, tell
from tests.faults.world import PARTITION, World, assert_restores, leftovers, make_small
from tests.listener import Silent

Where = dict[Any, Any]
NEWEST = (PARTITION, "snapshot-00000002")
KEPT = ("format", "kdf", "memory", "passes", "lanes", "salt", "commitment", "wrapped")  # what opening depends on


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Give a story of small files in smaller packs, so that hundreds of restores take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch, pack_bytes=6000)
        yield tell(tmp_path_factory.mktemp("story"), unit=1000)


@pytest.fixture(scope="module")
def whole(story: Story) -> World:
    """Give a world with two snapshots, all packs online."""
    world = story.world.clone()
    world.backup()
    return world


@pytest.fixture(scope="module")
def thawed(whole: World) -> World:
    """Give the same world with all packs in the archive tier, and thawed copies of them."""
    world = whole.clone()
    world.staging.slow = True
    for name, blob in world.blobs.blobs.items():
        if "/packs/" in name:
            blob.tier = "archive"
            world.staging.thaw(name, "standard")
    world.staging.release()
    return world


# --- what is done to one object


def flips(data: bytes) -> Iterator[bytes]:
    """Yield the bytes with one bit flipped, here and there."""
    for at in sorted({0, 9, 20, len(data) // 2, len(data) - 17, len(data) - 1}):
        if 0 <= at < len(data):
            yield data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def cuts(data: bytes) -> Iterator[bytes]:
    """Yield the bytes cut, grown, and emptied."""
    yield from (data[:-1], data[: len(data) // 2], data[1:], data + b"\0", b"")


def values_of(row: PlainRow) -> Iterator[PlainRow]:
    """Yield the key record's row with each of its properties altered, of another type, and gone."""
    for name, value in row.values.items():
        others: list[RowValue] = ["x", b"", -1, 2**62, True]
        if isinstance(value, bytes):
            others += [*flips(value), *cuts(value)]
        if isinstance(value, int):
            others += [value + 1, value * 2, 8192, 0]
        for other in others:
            if other != value or type(other) is not type(value):
                yield PlainRow({**row.values, name: other}, row.etag)
        yield PlainRow({each: kept for each, kept in row.values.items() if each != name}, row.etag)
    yield PlainRow({}, row.etag)


def altered(thing: Any) -> Iterator[Any]:
    """Yield every alteration of an object, in its place."""
    if isinstance(thing, PlainRow):
        yield from values_of(thing)
        return
    data = thing.data if isinstance(thing, Blob) else thing
    for other in (*flips(data), *cuts(data)):
        yield replace(thing, data=other) if isinstance(thing, Blob) else other


def kind_of(name: Any) -> str:
    """Return what an object is, so that it can be swapped with its like: packs, records, files-, snapshot- ..."""
    if isinstance(name, tuple):
        return str(name[1].partition("-")[0])
    folder, _, last = name.removeprefix(f"{PARTITION}/").partition("/")
    return f"{folder} {last.partition('-')[0] if last[0].isalpha() else 'of a run'}"


# --- what must hold


def check(world: World, story: Story, destination: Path, rollback: bool = False) -> bool:
    """Restore the newest snapshot; return whether it was right. Wrong bytes, or silence about a loss, fail."""
    expected = (story.second, story.first)
    try:
        outcome = world.restore(destination)
        complaint = bool(outcome.damage)
    except AzbackupError:
        complaint, outcome = True, None
    right = any(destination.is_dir() and differences(tree, destination) == [] for tree in expected)
    if outcome is not None and not complaint:
        assert outcome.problems == 0
        assert right, "a loss was passed over in silence"
        assert rollback or differences(story.second, destination) == [], "an older snapshot was restored in silence"
    if destination.is_dir():
        assert leftovers(destination) == []
        for path in destination.rglob("*"):
            if path.is_file() and not path.is_symlink():
                originals = [tree / path.relative_to(destination) for tree in expected]
                assert path.read_bytes() in [each.read_bytes() for each in originals if each.is_file()]
        shutil.rmtree(destination)
    return right


Alter = Callable[[Where], object]


def try_each(whole: World, story: Story, folder: Path, alterations: Callable[[Where, Any], Iterator[Alter]]) -> int:
    """Check a clone of the world for each alteration of each object; return how many there were."""
    number = 0
    for index, name in [(index, name) for index, where in enumerate(stores(whole)) for name in sorted(where)]:
        for alter in alterations(stores(whole)[index], name):
            world = whole.clone()
            alter(stores(world)[index])
            number += 1
            with telling(f"alteration {number}, of {name}"):
                check(world, story, folder / "restored", rollback=name == NEWEST and name not in world.table.rows)
    return number


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Say which of many it was that failed."""
    try:
        yield
    except BaseException as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error


def stores(world: World) -> list[Where]:
    """Return where everything lies; where packs are thawed, what matters are the copies."""
    return [world.staging.blobs] if world.staging.blobs else [world.blobs.blobs, world.table.rows]


# --- the alterations


@pytest.mark.parametrize("name", ["whole", "thawed"])
def test_nothing_altered(request: pytest.FixtureRequest, story: Story, tmp_path: Path, name: str) -> None:
    """What was not altered restores without a complaint: the checks below would notice the difference."""
    assert_restores(request.getfixturevalue(name).clone(), story.second, tmp_path / "restored")


@pytest.mark.parametrize("name", ["whole", "thawed"])
def test_every_object_altered(request: pytest.FixtureRequest, story: Story, tmp_path: Path, name: str) -> None:
    """A bit flipped in any region, cut, grown, emptied; thawed copies likewise."""

    def alterations(where: Where, name: Any) -> Iterator[Alter]:
        if not isinstance(where[name], PlainRow):
            for other in altered(where[name]):
                yield lambda there, other=other: there.update({name: other})  # type: ignore[misc]

    assert try_each(request.getfixturevalue(name), story, tmp_path, alterations) > 30


def test_every_property_of_the_key_record_altered(whole: World) -> None:
    """Whatever is wrong with its row, the data key is the right one and the damage is said, or it is refused."""
    row = whole.table.rows[PARTITION, "key"]
    assert isinstance(row, PlainRow)
    right = whole.opened()[1].keys.record_key.reveal()
    for number, other in enumerate(values_of(row)):
        world = whole.clone()
        world.table.rows[PARTITION, "key"] = other
        with telling(f"alteration {number}"):
            try:
                show = Silent()
                _, partition = world.opened(show=show)
            except AzbackupError:
                continue
            assert partition.keys.record_key.reveal() == right
            same = {name: other.values.get(name) for name in KEPT} == {name: row.values[name] for name in KEPT}
            assert show.damaged or same


def test_a_chunk_that_is_sealed_and_wrong(whole: World, story: Story, tmp_path: Path) -> None:
    """Other contents under a chunk's own seal, as only a holder of the key could make them: the id tells."""
    tried = 0
    catalog, partition = whole.opened()
    for pack_id, record in catalog.packs():
        world = whole.clone()
        name = f"{PARTITION}/packs/{pack_id}"
        data = world.blobs.blobs[name].data
        body = bytes(1 + record.plain[0])  # codec 0, and zeros
        sealed = bytearray(len(body) + SEAL_BYTES)
        seal_chunk(partition.keys.chunk_key.reveal(), record.chunk_ids()[0], [body], memoryview(sealed))
        if len(sealed) == record.sealed[0]:
            altered_data = data[:8] + sealed + data[8 + len(sealed) :]
            world.blobs.blobs[name] = replace(world.blobs.blobs[name], data=altered_data, md5=record.md5)
            check(world, story, tmp_path / "restored")
            tried += 1
    assert tried > 0


def test_a_chunk_of_a_newer_version(whole: World, tmp_path: Path) -> None:
    """A codec that this version does not know costs the files that have the chunk; the others come, none is damage."""
    catalog, partition = whole.opened()
    told = set()
    for pack_id, record in catalog.packs():
        world = whole.clone()
        name = f"{PARTITION}/packs/{pack_id}"
        sealed = bytearray(record.sealed[0])
        body = b"\x07" + bytes(record.sealed[0] - SEAL_BYTES - 1)
        seal_chunk(partition.keys.chunk_key.reveal(), record.chunk_ids()[0], [body], memoryview(sealed))
        blob = world.blobs.blobs[name]
        world.blobs.blobs[name] = replace(blob, data=blob.data[:8] + bytes(sealed) + blob.data[8 + len(sealed) :])
        show = Silent()
        world.restore(tmp_path / pack_id, show=show)
        assert show.damaged == []
        assert len([path for path in (tmp_path / pack_id).rglob("*") if path.is_file()]) > 3
        told |= {message for _, message in show.problems if "is a hard link to" not in message}
    assert told == {"a chunk uses codec 7, which this version does not know: use a newer azbackup"}


def test_every_object_removed(whole: World, story: Story, tmp_path: Path) -> None:
    """Any one object gone."""

    def alterations(_: Where, name: Any) -> Iterator[Alter]:
        yield lambda there: there.pop(name)

    assert try_each(whole, story, tmp_path, alterations) > 15


def test_every_object_swapped(whole: World, story: Story, tmp_path: Path) -> None:
    """Any two objects of a kind under each other's names, and one's bytes under both names."""

    def alterations(where: Where, name: Any) -> Iterator[Alter]:
        like = [each for each in sorted(where) if kind_of(each) == kind_of(name) and each != name]
        for other in like[:2]:

            def swap(there: Where, other: Any = other) -> None:
                there[name], there[other] = there[other], there[name]

            yield swap
            yield lambda there, other=other: there.update({name: there[other]})  # type: ignore[misc]

    assert try_each(whole, story, tmp_path, alterations) > 40


def test_every_object_renamed(whole: World, story: Story, tmp_path: Path) -> None:
    """Any one object moved to a name that its kind could have, and copied there."""

    def alterations(_: Where, name: Any) -> Iterator[Alter]:
        text = name[1] if isinstance(name, tuple) else name
        moved = text[:-1] + ("0" if text[-1] != "0" else "1") if text != "key" else "kex"
        target = (PARTITION, moved) if isinstance(name, tuple) else moved
        yield lambda there: there.update({target: there.pop(name)})
        yield lambda there: there.setdefault(target, there[name])

    assert try_each(whole, story, tmp_path, alterations) > 30


def test_rows_of_another_partition(whole: World, story: Story, tmp_path: Path) -> None:
    """Everything under the name of another partition opens nothing there, for the same password."""
    other = World(story.second)
    other.backup()
    for (_, name), row in other.table.rows.items():
        world = whole.clone()
        if (PARTITION, name) in world.table.rows:
            world.table.rows[PARTITION, name] = row
            check(world, story, tmp_path / "restored")


@pytest.mark.parametrize("rows", [True, False], ids=["table", "copies"])
def test_all_rows_or_all_copies_lost(whole: World, story: Story, tmp_path: Path, rows: bool) -> None:
    """Without the table everything restores from the copies, without the copies from the table."""
    world = whole.clone()
    if rows:
        world.table.rows.clear()
    else:
        for name in [each for each in world.blobs.blobs if "/records/" in each]:
            del world.blobs.blobs[name]
    assert check(world, story, tmp_path / "restored")


def test_a_backup_heals_a_lost_table(whole: World, story: Story, tmp_path: Path) -> None:
    """The next backup puts every row back, and all snapshots restore again from the table alone."""
    world = whole.clone()
    before = dict(world.table.rows)
    world.table.rows.clear()
    _, damage = world.backup()
    assert damage == []
    lost = {name for _, name in before if (PARTITION, name) not in world.table.rows}
    assert all(name.startswith("head-") for name in lost)  # of the newest snapshots alone they are made anew
    assert len(lost) <= len([name for _, name in before if name.startswith("head-")]) - 2
    for name in [each for each in world.blobs.blobs if "/records/" in each]:
        del world.blobs.blobs[name]
    assert_restores(world, story.second, tmp_path / "restored")


def test_every_row_altered_without_copies(whole: World, story: Story, tmp_path: Path) -> None:
    """With all copies gone, any one row that was cut or removed is a loss that is said."""
    bare = whole.clone()
    for name in [each for each in bare.blobs.blobs if "/records/" in each]:
        del bare.blobs.blobs[name]
    for key, row in bare.table.rows.items():
        for other in (None, b"" if isinstance(row, bytes) else PlainRow({}, row.etag)):
            world = bare.clone()
            if other is None:
                del world.table.rows[key]
            else:
                world.table.rows[key] = other
            with telling(f"{key}, {'removed' if other is None else 'emptied'}"):
                check(world, story, tmp_path / "restored", rollback=key == NEWEST)
