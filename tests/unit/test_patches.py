"""Chunk lists as what they keep of the ones below: what is put together is what was meant, or is named."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import Damaged
from azbackup.format import patches
from azbackup.format.entries import EntryWriter, read_record
from azbackup.format.layers import Hole, Item, Lost, State, merge, read_entries
from azbackup.format.model import Entry, Kind, order
from azbackup.format.patches import Kept, Patch, joined, list_digest, patched, put_together, rise
from azbackup.records.record_store import compressed

FILE, REMOVED, KEPT, PATCHED = (int(kind) for kind in (Kind.FILE, Kind.REMOVED, Kind.KEPT, Kind.PATCHED))
LISTS = st.lists(st.integers(0, 12), max_size=30).map(lambda ids: b"".join(map(chunk, ids)))


def chunk(number: int) -> bytes:
    """An id, of few or of many kinds. That of 0 has its own bytes at each shift, as nothing else has."""
    return number.to_bytes(4, "big") * 8


def file(chunks: bytes, path: bytes = b"f") -> Entry:
    """A file with these chunks."""
    return Entry(path, FILE, size=max(1, len(chunks)), chunks=chunks)


@pytest.fixture(autouse=True)
def _always(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever can be a patch is one, but where its worth is the matter."""
    with pytest.MonkeyPatch.context() as patch:
        if "worth" not in request.node.name:
            patch.setattr(patches, "_LEAST_CHUNKS", 0)
            patch.setattr(patches, "_is_worth_it", lambda *_: True)
        yield


def edited(chunks: bytes, rng: random.Random) -> bytes:
    """The same list after some edits: ids replaced, taken out, put in, moved, zeroed."""
    ids = [chunks[at : at + 32] for at in range(0, len(chunks), 32)]
    for _ in range(rng.randrange(5)):
        at, length = rng.randrange(len(ids) + 1), rng.choice([0, 1, 1, 2, 9])
        new = [chunk(rng.choice([0, 0, rng.randrange(10**6)])) for _ in range(rng.choice([0, length, 1, 5]))]
        ids[at : at + length] = new
        if rng.random() < 0.2:
            ids = ids[at:] + ids[:at]
    return b"".join(ids)


# --- one over the other


@given(LISTS, LISTS)
def test_any_two_lists(old: bytes, new: bytes) -> None:
    """A patch of any list to any other gives that one, and its runs rise."""
    check(file(old), file(new))


@given(st.integers(0, 2**32))
def test_edits(seed: int) -> None:
    """The same of lists that were edited, many times over; all patches as one do the same as one after the other."""
    rng = random.Random(seed)
    first = now = file(b"".join(chunk(rng.choice([0, rng.randrange(10**6)])) for _ in range(rng.randrange(60))))
    together: Patch | None = None
    for _ in range(rng.randrange(1, 6)):
        then = file(edited(now.chunks, rng))
        patch = patched(then, now)
        check(now, then)
        over = joined(patch, together) if isinstance(patch, Patch) and together is not None else patch
        if isinstance(over, Entry):
            assert over == then
            first, together = then, None
        else:
            assert rise(over.runs)
            assert over.runs
            assert put_together(over, first) == then
            together = over
        now = then


def check(old: Entry, new: Entry) -> None:
    """A patch from one to the other gives the other; and is not longer than it has to be at its ends."""
    patch = patched(new, old)
    if isinstance(patch, Entry):
        assert patch is new
        return
    assert rise(patch.runs)
    assert all(run.length for run in patch.runs)
    assert put_together(patch, old) == new
    assert msgspec.structs.replace(patch.entry, chunks=b"") == msgspec.structs.replace(new, chunks=b"")
    assert len(patch.new_chunks()) <= len(new.chunks)


@pytest.mark.parametrize(("gone", "come"), [(1, 1), (0, 1), (1, 0), (300, 300), (0, 900), (900, 0), (2500, 2500)])
def test_a_terabyte_of_which_little_changed_is_worth_a_patch(gone: int, come: int) -> None:
    """A list of 700,000 ids: what is stored is what is new, in a few runs, at several places and at the ends."""
    ids = [number.to_bytes(32, "big") for number in range(1, 700_001)]
    now, fresh = list(ids), 0
    for at in (650_000, 333_333, 100_000, 0):
        now[at : at + gone] = [(10**7 + fresh + number).to_bytes(32, "big") for number in range(come)]
        fresh += come
    old, new = file(b"".join(ids)), file(b"".join(now))
    patch = patched(new, old)
    assert isinstance(patch, Patch)
    assert put_together(patch, old) == new
    assert len(patch.new_chunks()) == 32 * 4 * come
    assert len(patch.runs) <= 5
    assert sum(map(len, written([patch]))) < 4 * come * 32 + 1000


def test_zeros_tell_no_place() -> None:
    """A stretch that was zeroed is not taken for the zeros further on, behind which all that is kept would be lost."""
    ids = [chunk(number) for number in range(1, 2001)]
    ids[1000:1500] = [chunk(0)] * 500
    now = list(ids)
    now[3], now[1800] = chunk(0), chunk(10**6)
    patch = patched(file(b"".join(now)), file(b"".join(ids)))
    assert isinstance(patch, Patch)
    assert patch.new_chunks() == chunk(0) + chunk(10**6)


def test_what_is_not_worth_it() -> None:
    """A list that is short, or another one, stays as it is."""
    few = file(b"".join(map(chunk, range(1000))))
    assert patched(few, few) is few
    many = file(b"".join(map(chunk, range(5000))))
    other = file(b"".join(chunk(number + 4000) for number in range(5000)))
    assert patched(many, other) is many
    half = file(b"".join(chunk(number * (1 + number % 2 * 7919)) for number in range(5000)))
    assert patched(half, many) is half, "a run for every second chunk takes more than the ids"


# --- as they are stored


def written(found: Iterable[Entry | Patch], limit: int = 700) -> list[bytes]:
    """The payloads of a layer, compressed, some items each."""
    writer = EntryWriter(lambda payload: compressed(payload) if len(payload) < limit or payload[0] == 0x91 else None)
    payloads = [payload for entry in found for payload in writer.add(entry)]
    return [*payloads, *writer.finish()]


def plain(found: Iterable[Entry | Patch], limit: int) -> list[bytes]:
    """The same, not compressed."""
    writer = EntryWriter(lambda payload: payload if len(payload) < limit or payload[0] == 0x91 else None)
    return [payload for entry in found for payload in writer.add(entry)] + list(writer.finish())


@given(st.integers(0, 2**32), st.integers(0, 900), st.integers(1, 4))
def test_what_was_written_is_read(seed: int, limit: int, further: int) -> None:
    """Patches come back, however small records and items are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("azbackup.format.entries.MORE_CHUNKS", further)
        _, layers, _ = life(seed)
        for layer in layers:
            assert list(read_entries(plain(layer, limit))) == layer


def life(seed: int) -> tuple[list[Entry], list[list[Entry | Patch]], list[dict[bytes, Entry]]]:
    """A full layer, changes over it, and the states that there were."""
    rng = random.Random(seed)
    paths = [b"a", b"a/b", b"a.txt", b"b", b"c"]
    state = {path: file(edited(b"".join(map(chunk, range(9))), rng), path) for path in paths}
    full, layers, states = list(state.values()), [], [state]
    for _ in range(rng.randrange(1, 5)):
        before, now = states[-1], dict(states[-1])
        layer: list[Entry | Patch] = []
        for path in rng.sample(paths, rng.randrange(1, 5)):
            if rng.random() < 0.2:
                if now.pop(path, None):
                    layer.append(Entry(path, REMOVED))
                continue
            chunks = before[path].chunks if path in before else bytes(32)
            now[path] = msgspec.structs.replace(file(edited(chunks, rng), path), mtime_ns=rng.randrange(1000))
            layer.append(patched(now[path], before[path]) if path in before else now[path])
        layers.append(sorted(layer, key=lambda item: order(item.path)))
        states.append(now)
    return sorted(full, key=lambda item: order(item.path)), layers, states


def merged(full: Iterator[Item], layers: list[Iterator[Item]], report: Any, at: int) -> State:
    """The state as some order of merging gives it: the lowest `at` layers are joined to the full one one by one."""
    for layer in layers[:at]:
        full = merge(full, layer, report, final=True)
    above: Iterator[Item] = iter(())
    for layer in reversed(layers[at:]):
        above = merge(layer, above, report, final=False)
    return State(merge(full, above, report, final=True))


@given(st.integers(0, 2**32), st.integers(0, 300), st.data())
def test_merged_layers_come_back(seed: int, limit: int, data: st.DataObject) -> None:
    """Whichever layers are merged, stored and read again, in whatever order, as backups do: the state is the same."""
    full, layers, states = life(seed)
    stack = [[*layer] for layer in layers]
    while len(stack) > 1:
        at = data.draw(st.integers(0, len(stack) - 2))
        found = list(merge(iter(stack[at]), iter(stack[at + 1]), None, final=False))
        assert not any(isinstance(item, Hole) for item in found)
        stack[at : at + 2] = [list(read_entries(plain(found, limit)))]  # type: ignore[arg-type]
        assert stack[at] == found
    state = merged(iter(full), [iter(layer) for layer in stack], None, 0)
    assert {entry.path: entry for entry in state} == states[-1]


def test_a_list_of_which_nothing_is_left() -> None:
    """Replaced piece by piece in several runs: of all of them together it is the file itself, and no empty patch."""
    old = [chunk(number) for number in range(1, 10)]
    new = [chunk(number) for number in range(101, 110)]
    versions = [file(b"".join(new[:at] + old[at:])) for at in (0, 3, 6, 9)]
    over = [patched(now, before) for before, now in itertools.pairwise(versions)]
    layers = [iter([patch]) for patch in over]
    above = merge(layers[0], layers[1], None, final=False)
    found = list(merge(above, layers[2], None, final=False))
    assert found == [versions[-1]]
    assert list(read_entries(plain(found, 100))) == found  # type: ignore[arg-type]
    first, second = over[1:]
    assert isinstance(first, Patch)
    assert isinstance(second, Patch)
    with pytest.raises(Damaged, match="not those of the version"):
        joined(msgspec.structs.replace(second, digest=bytes(32)), joined_patch(first, over[0]))


def joined_patch(patch: Patch, below: Entry | Patch) -> Patch:
    """One over the other, of which something is left."""
    assert isinstance(below, Patch)
    both = joined(patch, below)
    assert isinstance(both, Patch)
    return both


@pytest.mark.parametrize("lost", [1, 2])
def test_a_patch_that_goes_on_in_a_lost_record_is_named(lost: int) -> None:
    """By its path: what there is of it is no whole one, which verification has to know."""
    before = file(b"".join(map(chunk, range(1, 40))))
    now = edited(before.chunks, random.Random(1))
    ids = [before.chunks[at : at + 32] for at in range(0, len(before.chunks), 32)]
    ids[5], ids[20] = chunk(1001), chunk(1002)
    patch = patched(file(b"".join(ids) + now[:0]), before)
    records: list[Any] = plain([patch], 0)
    assert len(records) >= 3
    told: list[str] = []
    records[lost:] = [Lost("it is gone")] * (len(records) - lost)
    found = list(read_entries(records, report=told.append))
    assert [item.kind for item in found if not isinstance(item, Hole)] == [REMOVED]
    assert any("the entry of 'f' is not known: it may go on in what is lost" in line for line in told)


@given(st.integers(0, 2**32), st.integers(0, 4))
def test_layers_say_what_was(seed: int, at: int) -> None:
    """Whatever the order in which layers are merged, the state is the last one."""
    full, layers, states = life(seed)
    state = merged(iter(full), [iter(layer) for layer in layers], None, at)
    assert {entry.path: entry for entry in state} == states[-1]


@given(st.integers(0, 2**32), st.integers(0, 4), st.data())
def test_a_lost_record_makes_nothing_wrong(seed: int, at: int, data: st.DataObject) -> None:
    """Whatever record is lost: each path is as it was, or nobody knows, and that is told; none is another one."""
    full, layers, states = life(seed)
    payloads = [plain(layer, 200) for layer in (full, *layers)]
    each = [(number, place) for number, records in enumerate(payloads) for place in range(len(records))]
    number, place = data.draw(st.sampled_from(each))
    records: list[list[Any]] = [list(some) for some in payloads]
    records[number][place] = Lost("it is gone")
    told: list[str] = []
    lower, *above = (read_entries(some, full=not layer, report=told.append) for layer, some in enumerate(records))
    state = merged(lower, list(above), told.append, at)
    found = {entry.path: entry for entry in state}
    assert told
    for path, entry in found.items():
        assert states[-1].get(path) == entry
    told_of = " ".join(told)
    for path in states[-1].keys() - found.keys():
        assert state.hides(path) or repr(path.decode()) in told_of


@pytest.mark.parametrize(
    "below",
    [
        [],
        [Entry(b"f", REMOVED)],
        [Entry(b"f", int(Kind.DIRECTORY))],
        [file(chunk(1) + chunk(2) + chunk(4))],
        [file(chunk(1) + chunk(2))],
        [Hole(b"", b"g")],
        [Hole(b"f", b"f\0")],
    ],
)
@pytest.mark.parametrize("final", [True, False])
def test_what_is_not_below_is_not_made_up(below: list[Item], final: bool) -> None:
    """A version that is not there, or another one, is a hole, and told; Damaged for whoever wants it whole."""
    before = file(chunk(1) + chunk(2) + chunk(3))
    patch = patched(file(before.chunks + chunk(9)), before)
    assert isinstance(patch, Patch)
    told: list[str] = []
    found = list(merge(iter(below), iter([patch]), told.append, final=final))
    if not below and not final:
        assert found == [patch], "the version may lie in the layers that are still to come"
        return
    assert [item for item in found if not isinstance(item, Hole)] == []
    assert any(isinstance(item, Hole) and item.hides(b"f") for item in found)
    assert len(told) == 1
    assert told[0].startswith("the entry of 'f' is not known: ")
    with pytest.raises(Damaged, match="the entry of 'f' is not known"):
        list(merge(iter(below), iter([patch]), None, final=final))


def test_another_digest_is_damage() -> None:
    """The tamper twin: a list that is put together is held to the digest of the one that was meant."""
    before = file(chunk(1) + chunk(2))
    patch = patched(file(chunk(1) + chunk(2) + chunk(3)), before)
    assert isinstance(patch, Patch)
    for other in (bytes(32), list_digest(before.chunks), patch.digest[:-1] + bytes([patch.digest[-1] ^ 1])):
        with pytest.raises(Damaged, match="not those of the version"):
            put_together(msgspec.structs.replace(patch, digest=other), before)


def test_more_than_there_is() -> None:
    """A run that the version below does not have is refused, over a list and over another patch."""
    wide = Patch(file(b""), bytes(32), [Kept(1, 2**62)])
    with pytest.raises(Damaged, match="keeps more than the version below it has"):
        put_together(wide, file(chunk(1)))
    right = Patch(file(b""), list_digest(chunk(1)), [Kept(0, 2)])
    with pytest.raises(Damaged, match="keeps more than the version below it has"):
        put_together(right, file(chunk(1)))
    with pytest.raises(Damaged, match="keeps more than the version below it has"):
        put_together(right, Entry(b"f", int(Kind.DIRECTORY), chunks=chunk(1) + chunk(2)))
    with pytest.raises(Damaged, match="keeps more than the version below it has"):
        joined(wide, Patch(file(b""), bytes(32), [Kept(0, 3)]))


HEAD = Entry(b"f", PATCHED, size=9, target=bytes(32))


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([Entry(b"f", PATCHED, size=9)], "digest of its chunks has another length"),
        ([Entry(b"f", PATCHED, size=9, target=bytes(31))], "digest of its chunks has another length"),
        ([HEAD, Entry(b"f", KEPT, size=0, rdev=1)], "a run that no list has"),
        ([HEAD, Entry(b"f", KEPT, size=2**40, rdev=1)], "a run that no list has"),
        ([HEAD, Entry(b"f", KEPT, size=1, rdev=2**64 - 1)], "a run that no list has"),
        ([HEAD, Entry(b"f", KEPT, size=2**63, rdev=2**63)], "a run that no list has"),
        ([HEAD, Entry(b"f", KEPT, size=2, rdev=1, chunks=b"x")], "no whole ids"),
        ([HEAD, Entry(b"f", KEPT, size=2, rdev=1), Entry(b"f", KEPT, size=1, rdev=2)], "chunks of no file"),
        ([Entry(b"f", FILE, size=9), Entry(b"f", KEPT, size=1)], "chunks of no file"),
        ([Entry(b"f", KEPT, size=1)], "chunks of no file"),
        ([HEAD, Entry(b"g", KEPT, size=1)], "chunks of no file"),
    ],
)
def test_malformed(items: list[Entry], why: str) -> None:
    """What no writer makes is refused by name; with somebody to tell, the path is taken away and nothing else."""
    payload = msgspec.msgpack.encode(items)
    with pytest.raises(Damaged, match=why):
        list(read_entries([payload]))
    told: list[str] = []
    found = list(read_entries([msgspec.msgpack.encode([Entry(b"a", FILE), *items])], report=told.append))
    assert told
    assert found[0] == Entry(b"a", FILE)
    assert not any(isinstance(item, Patch) for item in found)


def test_a_first_layer_keeps_nothing() -> None:
    """There is nothing below it."""
    payload = msgspec.msgpack.encode([HEAD, Entry(b"f", KEPT, size=1)])
    with pytest.raises(Damaged, match="nothing can be kept by the first layer"):
        list(read_entries([payload], full=True))


def test_readers_that_know_of_no_patches_refuse_them() -> None:
    """The kinds are beyond those that there were: such a reader names the entry, and does not take it for another."""

    class Before(msgspec.Struct, array_like=True):
        path: bytes
        kind: int

    payload = plain([patched(file(bytes(64) + chunk(1)), file(bytes(64)))], 10_000)[0]
    kinds = [item.kind for item in msgspec.msgpack.decode(payload, type=list[Before])]
    assert kinds == [9, 8]
    items, _ = read_record(payload, "it", None, full=False, report=None)
    assert [item.kind for item in items] == kinds
