"""The files of a restore: what became of each, and the segments in which they are worked on."""

from __future__ import annotations

from array import array

import pytest

from azbackup.commands.restore.files import DONE, FAILED, LOST, READY, WAITING, Files, Part
from azbackup.format.model import Entry, Kind, PackId, PackRecord
from azbackup.packs.layout import PackLayout

PACKS = [
    PackLayout(PackId(str(number)), PackRecord(408, b"", "hot", bytes(32 * 10), [40] * 10, [10 + number] * 10))
    for number in range(3)
]


def files(*places: list[tuple[int, int]]) -> Files:
    """Return files that are named by their numbers, with chunks in these places."""
    found = Files()
    for number, each in enumerate(places):
        size = sum(PACKS[pack].record.plain[chunk] for pack, chunk in each)
        flat = array("I", [value for place in each for value in place])
        found.add(Entry(b"%d" % number, int(Kind.FILE), size=size), flat)
    return found


def shown(segment: list[Part]) -> list[tuple[bytes, list[tuple[int, int, int]]]]:
    """Return what each part wants."""
    return [(part.file.entry.path, list(part.wanted(PACKS))) for part in segment]


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three chunks are worked on at once."""
    monkeypatch.setattr("azbackup.commands.restore.files._SEGMENT", 3)


def test_a_large_file_comes_in_parts() -> None:
    """In the order of the files; each part says where in the file its chunks are. An empty file is a part, too."""
    found = files([(0, 0)], [], [(1, 0), (1, 1), (0, 3), (2, 0), (1, 4)], [(2, 5)])
    found.turn(WAITING, READY)
    assert [shown(segment) for segment in found.segments(PACKS)] == [
        [(b"0", [(0, 0, 0)]), (b"1", []), (b"2", [(1, 0, 0)])],
        [(b"2", [(1, 1, 11), (0, 3, 22), (2, 0, 32)])],
        [(b"2", [(1, 4, 44)]), (b"3", [(2, 5, 0)])],
    ]
    assert found.count(DONE) == len(found) == 4


def test_what_is_there_is_not_wanted() -> None:
    """Chunks that a temporary has keep their place in the file; what two rounds have found adds up."""
    found = files([(0, 0), (0, 1), (1, 2), (0, 3)])
    found.have(0, bytearray([1, 0, 0, 0]))
    found.have(0, bytearray([0, 0, 1, 0]))
    assert list(found.missing(0)) == [(0, 1), (0, 3)]
    assert found.packs() == [0]
    found.turn(WAITING, READY)
    segments = list(found.segments(PACKS))
    assert [shown(segment) for segment in segments] == [[(b"0", [(0, 1, 10)])], [(b"0", [(0, 3, 31)])]]
    assert segments[0][0].file.left == 2


@pytest.mark.parametrize("fails", [False, True])
def test_the_rest_of_a_file_that_will_not_be_finished_is_not_fetched(fails: bool) -> None:
    """Once it waits again or has failed, its other parts do not come."""
    found = files([(0, number) for number in range(7)], [(1, 0)])
    found.turn(WAITING, READY)
    met = []
    for segment in found.segments(PACKS):
        met.append(shown(segment))
        file = segment[0].file
        if file.number == 0:
            file.fail() if fails else file.wait()
    assert [path for segment in met for path, _ in segment] == [b"0", b"1"]
    assert (found.count(FAILED), found.count(WAITING)) == (int(fails), int(not fails))


def test_ranks_and_packs() -> None:
    """Lower ranks come first; packs are named in the order of need, and those of the lower ranks alone if asked."""
    found = files([(2, 0)], [(1, 0), (2, 1)], [(0, 0)])
    assert found.packs() == [2, 1, 0]
    found.put_in_order(lambda entry: 0 if entry.path == b"2" else 1)
    assert (found.packs(), found.packs(below=1), found.last_rank) == ([0, 2, 1], [0], 1)
    found.get_ready([True, False, True])
    assert [file.entry.path for file in found.having(READY)] == [b"2", b"0"]
    assert found.packs() == [1, 2]


def test_what_is_lost_is_no_part_of_the_plan() -> None:
    """It is not counted, and its bytes neither."""
    found = files([(0, 0)], [(1, 0)])
    assert (len(found), found.size) == (2, 21)
    found.lose(next(iter(found)))
    assert (len(found), found.size, found.count(LOST)) == (1, 11, 1)
    assert [file.entry.path for file in found] == [b"1"]


def test_a_chunk_moves() -> None:
    """Each use of it in that file, and in no other one."""
    found = files([(0, 1), (0, 2), (0, 1)], [(0, 1)])
    found.move(0, (0, 1), (2, 9))
    assert [list(file.places) for file in found] == [[2, 9, 0, 2, 2, 9], [0, 1]]
