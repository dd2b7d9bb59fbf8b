"""A file record that cannot be used, whichever it is and whatever is wrong with it, costs itself and nothing else.

The class: one record of many ends every restore, listing and search of its source; or, worse, what it said is made up
for by older layers, so that a removed file comes back and an old version passes for the new one. Each record of three
layers is broken in each way. What must come out is told by a model that knows only the layers' entries: from the top,
the first layer that has a path tells of it, and one that has a hole there tells that nobody knows.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.commands.browse.listing import Listing
from azbackup.commands.browse.search import search
from azbackup.errors import Damaged, NothingStored
from azbackup.format.compression import encode_payload
from azbackup.format.entries import MORE_CHUNKS, EntryWriter
from azbackup.format.framing import frame, unframe
from azbackup.format.labels import copy_name, files_name
from azbackup.format.layers import Lost, State, merge, read_entries, rising
from azbackup.format.model import Entry, Kind, Layer, SealedRecord, Snapshot, order
from azbackup.records.selection import Selection, matcher
from emulator.trees import differences
from tests.contract.memory import Blob, md5_of
from tests.faults.world import PARTITION, World, keep, keep_layers, leftovers
from tests.listener import Silent

# --- streams


def read_as(layers: list[list[list[Entry]]], lost: set[tuple[int, int]]) -> tuple[dict[bytes, Entry], set[bytes]]:
    """Return the state that is known, and the paths of any layer that are not, by the model."""
    paths = sorted({entry.path for layer in layers for record in layer for entry in record}, key=order)
    state: dict[bytes, Entry] = {}
    hidden: set[bytes] = set()
    for path, (number, layer) in itertools.product(paths, reversed(list(enumerate(layers)))):
        if path in state or path in hidden:
            continue
        sound = [(at, record) for at, record in enumerate(layer) if (number, at) not in lost]
        found = [entry for _, record in sound for entry in record if entry.path == path]
        if found:
            state[path] = found[0]
            continue
        below = max((at for at, record in sound if order(record[0].path) < order(path)), default=-1)
        above = min((at for at, record in sound if order(record[-1].path) > order(path)), default=len(layer))
        if any((number, at) in lost for at in range(below, above + 1)):
            hidden.add(path)
    return {path: entry for path, entry in state.items() if entry.kind != Kind.REMOVED}, hidden


NAMES = [b"a", b"a!", b"a/b", b"a/b/c", b"b", b"b/x", b"c", b"d", b"e", b"f"]


@st.composite
def stacks(draw: st.DrawFn) -> tuple[list[list[list[Entry]]], set[tuple[int, int]]]:
    """Layers of records of entries, and which of the records are lost."""
    layers = []
    for number in range(draw(st.integers(1, 4))):
        paths = sorted(draw(st.sets(st.sampled_from([b"", *NAMES]), min_size=1)), key=order)
        kinds = [Kind.FILE] if number == 0 else [Kind.FILE, Kind.REMOVED]
        entries = [Entry(path, int(draw(st.sampled_from(kinds))), size=number) for path in paths]
        cuts = sorted(draw(st.sets(st.integers(1, len(entries)))) | {len(entries)})
        layers.append([entries[start:end] for start, end in zip([0, *cuts], cuts, strict=False)])
    records = [(number, at) for number, layer in enumerate(layers) for at in range(len(layer))]
    return layers, draw(st.sets(st.sampled_from(records)))


def stream(layers: list[list[list[Entry]]], lost: set[tuple[int, int]], told: list[str]) -> State:
    """Return what the code makes of the layers."""
    streams = [
        read_entries(
            [
                Lost("it is lost") if (number, at) in lost else msgspec.msgpack.encode(record)
                for at, record in enumerate(layer)
            ],
            full=number == 0,
            report=told.append,
        )
        for number, layer in enumerate(layers)
    ]
    merged = streams[0]
    if len(streams) > 1:
        above = streams[1]
        for newer in streams[2:]:
            above = merge(above, newer, told.append, final=False)
        merged = merge(merged, above, told.append, final=True)
    return State(merged)


@given(stacks())
def test_lost_records_hide_their_range_and_nothing_else(
    stack: tuple[list[list[list[Entry]]], set[tuple[int, int]]],
) -> None:
    """Whichever are lost: what is known is all there, from the right layer; what a hole hides is not made up for."""
    layers, lost = stack
    told: list[str] = []
    state = stream(layers, lost, told)
    found = list(state)
    expected, hidden = read_as(layers, lost)
    assert [entry.path for entry in found] == sorted((entry.path for entry in found), key=order)
    assert {entry.path: entry for entry in found} == expected
    assert all(state.hides(path) for path in hidden)
    assert bool(told) == bool(lost)


@given(st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e"]), max_size=7))
def test_the_most_places_that_rise_are_believed(keys: list[bytes]) -> None:
    """As many as any choice that does not fall has, by trying all."""
    found = [keys[place] for place in rising(keys)]
    assert found == sorted(found)
    best = max(
        len(choice)
        for size in range(len(keys) + 1)
        for choice in itertools.combinations(keys, size)
        if list(choice) == sorted(choice)
    )
    assert len(found) == best


def test_a_file_that_goes_on_in_a_lost_record_is_lost() -> None:
    """Half of its chunks would pass for all of them in a listing, and in the next snapshot; its neighbours stay."""
    large = Entry(b"m", int(Kind.FILE), chunks=bytes(32) * (2 * MORE_CHUNKS + 1))
    writer = EntryWriter(lambda payload: payload if len(msgspec.msgpack.decode(payload)) == 1 else None)
    records = [each for entry in (Entry(b"a", 1), large, Entry(b"z", 1)) for each in writer.add(entry)]
    records += writer.finish()
    assert len(records) == 5
    for at in (1, 2, 3):
        for full in (True, False):
            told: list[str] = []
            broken = [Lost("it is lost") if number == at else each for number, each in enumerate(records)]
            state = State(read_entries(broken, full=full, report=told.append))
            assert [entry.path for entry in state if entry.kind] == [b"a", b"z"]
            assert any("'m'" in line or "between 'a' and 'z'" in line for line in told)


# --- a world


@dataclass
class Stack:
    """A world whose newest snapshot has three layers of several records, and the tree that it is of."""

    world: World
    tree: Path
    snapshot: Snapshot
    layers: list[list[list[Entry]]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, small: None) -> Stack:  # noqa: ARG001  it must come first
    """Give a source that changed twice: files came, went and changed all over it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("azbackup.format.entries._PAYLOAD_BYTES", 400)
        keep_layers(patch)
        return tell(tmp_path_factory.mktemp("stack"))


def tell(folder: Path) -> Stack:
    """Return the stack of a source below a folder."""
    source = folder / "source"
    for at in range(24):
        (source / f"d{at // 6}").mkdir(parents=True, exist_ok=True)
        (source / f"d{at // 6}" / f"f{at:02}").write_bytes(b"first %d" % at)
    world = World(source)
    world.backup()
    for version, name in enumerate((b"second", b"third")):
        for at in range(24):
            path = source / f"d{at // 6}" / f"f{at:02}"
            if at % 3 == version:
                path.write_bytes(name + b" %d" % at)
            elif at % 12 == version + 5:
                path.unlink()
            if at % 4 == version:
                path.with_name(f"new{at:02}-{version}").write_bytes(b"new %d" % at)
        world.backup()
    catalog, _ = world.opened()
    snapshot = catalog.snapshots()[-1]
    layers = [
        [entries_of(catalog.records.open(row)) for row in catalog.records.rows(*names_of(layer))]
        for layer in snapshot.layers
    ]
    assert [len(layer) > 2 for layer in layers] == [True] * 3
    return Stack(world, keep(source, "kept"), snapshot, layers)


def entries_of(payload: bytes) -> list[Entry]:
    """Return what a record holds."""
    return [item for item in read_entries([payload]) if isinstance(item, Entry)]


def names_of(layer: Layer) -> tuple[str, str]:
    """Return the range of a layer's records."""
    return f"files-{layer.run}-", f"files-{layer.run}-~"


def write(world: World, layer: Layer, number: int, payload: bytes | None) -> None:
    """Store another record under the name, sealed rightly, as a row and as the only copy; None: it is lost."""
    records = world.opened()[1].records
    name = files_name(layer.run, number)
    world.table.rows.pop((PARTITION, name))
    for blob in [blob for blob in world.blobs.blobs if f"/records/{layer.run}-" in blob]:
        rows = [row for row in rows_of(world, blob) if row.name != name]
        world.blobs.blobs[blob] = copy_of(rows)
    if payload is not None:
        row = records.seal_compressed(name, encode_payload(payload))
        world.table.rows[PARTITION, name] = row.sealed
        world.blobs.blobs[f"{PARTITION}/records/{copy_name(layer.run, 99)}"] = copy_of([row])


def rows_of(world: World, blob: str) -> list[SealedRecord]:
    """Return the records in a copy."""
    return unframe(world.blobs.blobs[blob].data)


def copy_of(rows: list[SealedRecord]) -> Blob:
    """Return a blob that holds some records."""
    data = frame(rows)
    return Blob(data, "hot", md5_of(data))


WAYS: dict[str, Callable[[bytes], bytes | None]] = {
    "lost": lambda _: None,
    "bad text": lambda payload: b"\x91\x92\xa2\xff\xfe\x01" + payload[:0],
    "nesting": lambda _: b"\x91" * 100_000 + b"\x90",
    "cut": lambda payload: payload[:-1],
    "empty": lambda _: b"",
    "a map": lambda _: b"\x80",
    "wrong order": lambda payload: msgspec.msgpack.encode(msgspec.msgpack.decode(payload)[::-1]),
    "twice": lambda payload: msgspec.msgpack.encode(msgspec.msgpack.decode(payload) * 2),
    "absurd": lambda _: b"\xdd\xff\xff\xff\xff",
}


def of_paths(tree: Path, paths: Iterable[bytes]) -> list[Path]:
    """Return the paths below a tree."""
    return [tree / os.fsdecode(path) for path in paths]


def check_looks(world: World, expected: dict[bytes, Entry]) -> None:
    """Lists and searches: what is known, and that something is not."""
    show = Silent()
    catalog, _ = world.opened(None, show)
    listed = list(Listing(catalog, Selection([], [], [])).entries(catalog.snapshots()[-1]))
    assert {entry.path: entry for entry in listed} == expected
    found = search(catalog, catalog.snapshots()[-1:], matcher("--find", ["*"]))
    assert {each.path for each in found} == expected.keys() - {b""}
    assert any("are not known" in line for line in show.damaged)


def check_runs(world: World, stack: Stack, lost: set[tuple[int, int]], tmp_path: Path) -> None:
    """Restores what is known and nothing else, twice; then backs up: that reads what is hidden, and all is well."""
    expected, hidden = read_as(stack.layers, lost)
    destination = tmp_path / "restored"
    restored = world.restore(destination)
    assert (restored.problems, bool(restored.damage)) == (0, True)
    for path, entry in expected.items():
        if entry.kind == Kind.FILE:
            assert (destination / os.fsdecode(path)).read_bytes() == (stack.tree / os.fsdecode(path)).read_bytes()
    there = {os.fsencode(path.relative_to(destination)) for path in destination.rglob("*") if path.is_file()}
    assert there == {path for path, entry in expected.items() if entry.kind == Kind.FILE}
    assert not there & hidden
    assert leftovers(destination) == []
    again = world.restore(destination, delete=True)
    assert (again.problems, bool(again.damage)) == (0, True)
    made, damage = world.backup()
    assert damage
    assert len(made.layers) == 1
    assert made.totals.packs == 0
    assert made.totals.read <= sum(path.stat().st_size for path in of_paths(stack.tree, hidden) if path.is_file())
    after = tmp_path / "after"
    assert world.restore(after, made.number).damage == []
    assert differences(stack.tree, after) == []


@pytest.mark.parametrize("way", WAYS)
def test_each_record_of_each_layer(stack: Stack, way: str, tmp_path: Path) -> None:
    """Broken, one at a time: the others of all layers are listed, found and restored, and its range is named.

    The next backup reads the hidden files alone, uploads nothing, and makes a full snapshot that is sound.
    """
    for number, layer in enumerate(stack.snapshot.layers):
        for at in range(layer.records):
            world = stack.world.clone()
            payload = msgspec.msgpack.encode(stack.layers[number][at])
            write(world, layer, at + 1, WAYS[way](payload))
            check_looks(world, read_as(stack.layers, {(number, at)})[0])
            if way in ("lost", "wrong order"):
                check_runs(world, stack, {(number, at)}, tmp_path / f"{number}-{at}")


def test_records_in_each_others_place(stack: Stack) -> None:
    """Two of a layer, sealed rightly: nothing wrong is told, and whatever is not told is said not to be known."""
    truth, _ = read_as(stack.layers, set())
    for number, layer in enumerate(stack.snapshot.layers):
        for one, other in itertools.combinations(range(layer.records), 2):
            world = stack.world.clone()
            for at, source in ((one, other), (other, one)):
                write(world, layer, at + 1, msgspec.msgpack.encode(stack.layers[number][source]))
            show = Silent()
            catalog, _ = world.opened(None, show)
            state = catalog.entries(catalog.snapshots()[-1])
            found = {entry.path: entry for entry in state}
            assert found.items() <= truth.items()
            assert all(state.hides(path) for path in truth.keys() - found.keys())
            assert any("out of order" in line for line in show.damaged)


def test_asking_for_a_path_that_is_hidden(stack: Stack, tmp_path: Path) -> None:
    """It is not said to be missing: alone it is Damaged, and nothing is made; beside others those are restored."""
    world = stack.world.clone()
    # How many entries a record has depends on how long the names of users are, whose tests these are.
    at = next(at for at in range(len(stack.layers[0])) if read_as(stack.layers, {(0, at)})[1])
    write(world, stack.snapshot.layers[0], at + 1, None)
    expected, hidden = read_as(stack.layers, {(0, at)})
    path, other = max(hidden), next(path for path, entry in expected.items() if entry.kind == Kind.FILE)
    with pytest.raises(Damaged, match="known"):
        world.restore(tmp_path / "restored", paths=[path])
    assert not (tmp_path / "restored").exists()
    with pytest.raises(NothingStored):
        world.restore(tmp_path / "restored", paths=[b"zz"])
    restored = world.restore(tmp_path / "restored", paths=[path, other])
    assert (tmp_path / "restored" / os.fsdecode(other)).exists()
    assert any(repr(os.fsdecode(path)) in line for line in restored.damage)


def test_a_destination_with_hidden_files_is_gone_on_with(stack: Stack, tmp_path: Path) -> None:
    """What was restored before the record was lost is nobody's foreign file; it is left, also by --delete."""
    world = stack.world.clone()
    world.restore(tmp_path / "restored")
    write(world, stack.snapshot.layers[0], 2, None)
    for options in ({}, {"delete": True}, {"overwrite": "if-changed"}):
        restored = world.restore(tmp_path / "restored", **options)
        assert (restored.problems, bool(restored.damage)) == (0, True)
        assert differences(stack.tree, tmp_path / "restored") == []
