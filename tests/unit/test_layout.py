"""What a restore needs: the ranges of packs, the pieces of files."""

from __future__ import annotations

import itertools
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import Damaged
from azbackup.format.model import ChunkId, Entry, Kind, PackId, PackRecord
from azbackup.packs import layout
from azbackup.packs.index import ChunkIndex, place_after
from azbackup.packs.layout import PackLayout, spans


def chunk_id(number: int) -> ChunkId:
    """Return the id of a numbered chunk."""
    return ChunkId(number.to_bytes(32, "big"))


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


def test_places_of_wanted_chunks() -> None:
    """Each piece says its pack, its number there, and its offset in the file."""
    places = ChunkIndex({chunk_id(2), chunk_id(4)})
    fill(places, FIRST, SECOND)
    assert places.missing == 0
    assert places.pieces(file(4, 2, 4, size=100)) == [(1, 1, 0), (0, 1, 40), (1, 1, 60)]


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
    assert places.pieces(file(3, size=30)) == [(0, 0, 0)]
    places = ChunkIndex({chunk_id(1), chunk_id(2), chunk_id(3)})
    fill(places, SECOND, FIRST)
    assert [pack.pack_id for pack in places.packs] == ["first"]
    assert places.pieces(file(3, size=30)) == [(0, 2, 0)]


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


def test_a_chunk_without_a_pack_is_counted_and_damages_its_file() -> None:
    """Missing ones are counted; a file that has one is refused, others are not."""
    places = ChunkIndex({chunk_id(1), chunk_id(9)})
    fill(places, FIRST)
    assert places.missing == 1
    assert places.pieces(file(1, size=10)) == [(0, 0, 0)]
    with pytest.raises(Damaged):
        places.pieces(file(1, 9, size=20))


@pytest.mark.parametrize("size", [0, 29, 31])
def test_a_size_that_does_not_fit_is_damage(size: int) -> None:
    """The chunks of a file must hold exactly its size."""
    places = ChunkIndex({chunk_id(1), chunk_id(2)})
    fill(places, FIRST)
    with pytest.raises(Damaged):
        places.pieces(file(1, 2, size=size))


def test_an_empty_file_needs_nothing() -> None:
    """No chunks, no pieces."""
    assert ChunkIndex(set()).pieces(file(size=0)) == []


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
    assert PackLayout(*FIRST).starts == [8, 38, 78]
