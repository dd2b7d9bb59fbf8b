"""What a restore needs: the ranges of packs, the pieces of files."""

from __future__ import annotations

import hashlib
import itertools
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import Damaged
from azbackup.format.model import ChunkId, Entry, Kind, PackId, PackRecord
from azbackup.packs import index, layout
from azbackup.packs.index import ChunkIndex, pairs, place_after
from azbackup.packs.layout import PackLayout, spans


def chunk_id(number: int) -> ChunkId:
    """Return the id of a numbered chunk."""
    return ChunkId(hashlib.blake2b(b"%d" % number, digest_size=32).digest())


def record(chunks: dict[int, tuple[int, int]]) -> PackRecord:
    """Return a pack record: number -> (sealed length, plain length)."""
    sealed, plain = [each for each, _ in chunks.values()], [each for _, each in chunks.values()]
    return PackRecord(8 + sum(sealed), b"", "hot", b"".join(map(chunk_id, chunks)), sealed, plain)


def file(*numbers: int, size: int) -> Entry:
    """Return a file of some chunks."""
    return Entry(b"f", int(Kind.FILE), size=size, chunks=b"".join(map(chunk_id, numbers)))


FIRST = (PackId("first"), record({1: (30, 10), 2: (40, 20), 3: (50, 30)}))
SECOND = (PackId("second"), record({3: (50, 30), 4: (60, 40)}))


def fill(places: ChunkIndex, *records: tuple[PackId, PackRecord]) -> None:
    """Fill an index with packs that can all be read."""
    places.add(records, lambda *_: 0)
    places.choose()


def found_in(places: ChunkIndex, entry: Entry) -> list[tuple[int, int]]:
    """Return where a file's chunks are: pack number, chunk number."""
    return list(pairs(places.places(entry)))


def test_places_of_wanted_chunks() -> None:
    """Each piece says its pack, its number there, and its offset in the file."""
    places = ChunkIndex({chunk_id(2), chunk_id(4)})
    fill(places, FIRST, SECOND)
    assert places.missing == 0
    assert found_in(places, file(4, 2, 4, size=100)) == [(1, 1), (0, 1), (1, 1)]


def test_packs_of_no_use_are_left_out() -> None:
    """Only packs that hold something wanted are needed."""
    places = ChunkIndex({chunk_id(4)})
    fill(places, FIRST, SECOND)
    assert [pack.pack_id for pack in places.packs] == ["second"]


def test_a_chunk_in_two_packs_is_read_once() -> None:
    """It comes from the fullest one, of which more is wanted, and the other is not needed for it."""
    places = ChunkIndex({chunk_id(3), chunk_id(4)})
    fill(places, FIRST, SECOND)
    assert [pack.pack_id for pack in places.packs] == ["second"]
    assert found_in(places, file(3, size=30)) == [(0, 0)]
    places = ChunkIndex({chunk_id(1), chunk_id(2), chunk_id(3)})
    fill(places, SECOND, FIRST)
    assert [pack.pack_id for pack in places.packs] == ["first"]
    assert found_in(places, file(3, size=30)) == [(0, 2)]


def test_a_pack_that_is_dropped_serves_where_another_fails() -> None:
    """Where else the chunk is said to be stays known, in the order in which the packs would be chosen."""
    places = ChunkIndex({chunk_id(3)})
    third = (PackId("third"), record({3: (50, 30), 5: (500, 1)}))
    fill(places, third, FIRST, SECOND)
    place = (0, 2)
    found = []
    while (other := place_after(places.packs, *place)) is not None:
        place = other
        found.append(places.packs[place[0]].pack_id)
    assert found == ["second", "third"]


def test_a_pack_that_can_be_read_is_preferred_to_a_fuller_one() -> None:
    """The rank comes before the fullness; but what is read anyway is read for everything that it holds."""
    for wanted, read in (({3}, ["first"]), ({3, 4}, ["second"])):
        places = ChunkIndex({chunk_id(each) for each in wanted})
        places.add([SECOND, FIRST], lambda pack_id, _: int(pack_id == "second"))
        places.choose()
        assert [pack.pack_id for pack in places.packs] == read


@pytest.mark.parametrize("run", [1, 2, 3, 4, 9])
def test_a_large_file_is_looked_up_run_by_run(run: int) -> None:
    """Its chunks are found in their order, wherever a run of ids ends."""
    entry = file(4, 2, 4, 1, 3, 3, 4, size=210)
    with mock.patch.object(index, "_RUN_BYTES", run * 32):
        places = ChunkIndex([entry.chunks])
        fill(places, FIRST, SECOND)
        found = found_in(places, entry)
    assert [places.packs[pack].chunk_id(chunk) for pack, chunk in found] == entry.chunk_ids()


def test_a_chunk_without_a_pack_is_counted_and_damages_its_file() -> None:
    """Missing ones are counted; a file that has one is refused, others are not."""
    places = ChunkIndex({chunk_id(1), chunk_id(9)})
    fill(places, FIRST)
    assert places.missing == 1
    assert found_in(places, file(1, size=10)) == [(0, 0)]
    with pytest.raises(Damaged):
        places.places(file(1, 9, size=20))


def test_ids_that_begin_alike_are_told_apart() -> None:
    """Of an id eight bytes are held; a chunk that only begins like the one that is wanted is another one."""
    one, two = (ChunkId(b"12345678" + bytes([number]) * 24) for number in (1, 2))
    packs = [
        (PackId(str(number)), PackRecord(18, b"", "hot", each, [10], [10 + number]))
        for number, each in enumerate((one, two, one, two))
    ]
    both = ChunkIndex([one + two])
    fill(both, *packs)
    assert found_in(both, Entry(b"f", int(Kind.FILE), size=21, chunks=one + two)) == [(0, 0), (1, 0)]
    assert [[pack.pack_id for pack, _ in each.others[0]] for each in both.packs] == [["2"], ["3"]]
    other = ChunkIndex([two])
    fill(other, packs[0])
    with pytest.raises(Damaged):
        other.places(Entry(b"f", int(Kind.FILE), size=10, chunks=two))


@pytest.mark.parametrize("many", [False, True])
def test_places_of_many(many: bool) -> None:
    """Every chunk of some thousands is found where it is, however they are looked for, and no other."""
    ids = [chunk_id(number) for number in range(3000)]
    records = [
        (PackId(f"{first:04}"), PackRecord(8, b"", "hot", b"".join(ids[first : first + 100]), [1] * 100, [1] * 100))
        for first in range(0, 3000, 100)
    ]
    with mock.patch.object(index, "_FEW", 0 if many else 3000):
        places = ChunkIndex([b"".join(ids[500:1200]), ids[2001]])
    assert places.missing == 701
    fill(places, *records)
    needed = ["0500", "0600", "0700", "0800", "0900", "1000", "1100", "2000"]
    assert (places.missing, [pack.pack_id for pack in places.packs]) == (0, needed)
    for number in (*range(500, 1200), 2001):
        [(pack, chunk)] = found_in(places, Entry(b"f", int(Kind.FILE), size=1, chunks=ids[number]))
        assert places.packs[pack].chunk_id(chunk) == ids[number]
    with pytest.raises(Damaged):
        places.places(Entry(b"f", int(Kind.FILE), size=1, chunks=ids[499]))


@pytest.mark.parametrize("size", [0, 29, 31])
def test_a_size_that_does_not_fit_is_damage(size: int) -> None:
    """The chunks of a file must hold exactly its size."""
    places = ChunkIndex({chunk_id(1), chunk_id(2)})
    fill(places, FIRST)
    with pytest.raises(Damaged):
        places.places(file(1, 2, size=size))


def test_an_empty_file_needs_nothing() -> None:
    """No chunks, no pieces."""
    assert found_in(ChunkIndex(()), file(size=0)) == []


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=30), st.data())
def test_spans_hold_what_is_wanted(sealed: list[int], data: st.DataObject) -> None:
    """Every wanted chunk lies in its span alone; spans are in order, and bounded; close ones are one where they fit."""
    bound = data.draw(st.sampled_from([1, 300_000, layout.SPAN_BYTES]))
    pack = PackLayout(PackId("p"), record({number: (size, 1) for number, size in enumerate(sealed)}))
    wanted = sorted(data.draw(st.sets(st.integers(0, len(sealed) - 1), min_size=1)))
    with mock.patch.object(layout, "SPAN_BYTES", bound):
        found = spans(pack, wanted)
    assert [chunk for span in found for chunk in span.chunks] == wanted
    for span in found:
        assert span.start == pack.starts[span.chunks[0]]
        assert span.end == pack.starts[span.chunks[-1]] + sealed[span.chunks[-1]]
        assert span.end - span.start <= bound or len(span.chunks) == 1
    for earlier, later in itertools.pairwise(found):
        end = pack.starts[later.chunks[0]] + sealed[later.chunks[0]]
        assert later.start - earlier.end > layout._GAP or end - earlier.start > bound
    assert found[-1].end <= pack.record.size


def test_a_pack_that_is_wanted_nearly_whole_is_read_whole() -> None:
    """A gap that is too wide to be read for one chunk's sake is read where hardly anything else is left out."""
    gap = layout._GAP + 1
    pack = PackLayout(PackId("p"), record({0: (gap * 20, 1), 1: (gap, 1), 2: (gap, 1)}))
    assert [span.chunks for span in spans(pack, [0, 2])] == [[0, 2]]
    assert [span.chunks for span in spans(pack, [0])] == [[0]]
    thin = PackLayout(PackId("p"), record({0: (gap, 1), 1: (gap, 1), 2: (gap, 1)}))
    assert [span.chunks for span in spans(thin, [0, 2])] == [[0], [2]]


def test_large_chunks_are_read_in_larger_spans() -> None:
    """24 MiB where chunks are large, 6 MiB where they are small, and one chunk that is larger alone."""
    mib = 1024 * 1024
    large = PackLayout(PackId("p"), record(dict.fromkeys(range(60), (mib, 1))))
    assert [len(span.chunks) for span in spans(large, list(range(60)))] == [24, 24, 12]
    small = PackLayout(PackId("p"), record(dict.fromkeys(range(100), (mib // 8, 1))))
    assert [len(span.chunks) for span in spans(small, list(range(100)))] == [48, 48, 4]
    whole = PackLayout(PackId("p"), record({0: (9 * mib, 1), **dict.fromkeys(range(1, 100), (9, 1))}))
    assert [len(span.chunks) for span in spans(whole, list(range(100)))] == [1, 99]


def test_starts_are_behind_the_magic() -> None:
    """The first chunk starts at byte 8, each next one where the last one ends."""
    assert list(PackLayout(*FIRST).starts) == [8, 38, 78]
