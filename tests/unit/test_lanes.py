"""How many connections a body goes over: what was measured decides, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.storage.azure.lanes import Lanes, parts

MIB = 1024 * 1024


def widths(rates: dict[int, float], bodies: int = 8, size: int = 64 * MIB, quickest: float = 0.0) -> list[int]:
    """Return over how many connections each body goes, where so many carry so many bytes a second."""
    lanes, found = Lanes(0, lambda: quickest), []
    for _ in range(bodies):
        found.append(width := lanes.share(size))
        lanes.took(size, width, size / rates[max(each for each in rates if each <= width)])
    return found


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({1: 50e6, 4: 200e6}, [1] * 8),
        ({1: 5e6, 4: 20e6}, [1, 1, 4, 4, 8, 8, 4, 4]),
        ({1: 5e6, 4: 20e6, 8: 24e6}, [1, 1, 4, 4, 8, 8, 16, 16, 8, 8]),
        ({1: 5e6, 4: 20e6, 8: 40e6, 16: 80e6}, [1, 1, 4, 4, 8, 8, 16, 16, 16, 16]),
        ({1: 5e6, 4: 5e6}, [1, 1, 4, 4, 1, 1, 1, 1]),
        ({1: 5e6, 4: 6.9e6}, [1, 1, 4, 4, 1, 1, 1, 1]),
    ],
    ids=["fast", "long and wide", "wider", "very wide", "full", "hardly wider"],
)
def test_what_is_measured_decides(rates: dict[int, float], expected: list[int]) -> None:
    """Several are tried where one is slow, and kept where they carry clearly more; then more, and more again."""
    assert widths(rates, len(expected)) == expected


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({1: 5e6, 4: 20e6}, [4, 4, 8, 8, *[4] * 60, 1, 1, 4, 4, 4]),
        ({1: 5e6, 4: 20e6, 8: 40e6, 16: 80e6}, [4, 4, 8, 8, *[16] * 60, 1, 1, 16, 16, 16]),
        ({1: 5e6, 4: 5e6}, [4, 4, 8, 8, *[4] * 60, 1, 1, 1, 1, 1]),
        ({1: 100e6, 4: 120e6}, [4, 4, 8, 8, *[4] * 60, 1, 1, 1, 1, 1]),
    ],
    ids=["long and wide", "very wide", "full", "long, with a large window"],
)
def test_a_long_way_begins_with_several(rates: dict[int, float], expected: list[int]) -> None:
    """Where every answer took long; one is tried later, and kept if it carries nearly as much."""
    assert widths(rates, len(expected), quickest=0.04) == expected


def test_small_bodies_say_nothing() -> None:
    """Of a record nobody can tell how fast a connection is, and it goes over one."""
    assert widths({1: 1e5, 4: 1e9}, size=MIB) == [1] * 8
    assert Lanes(4).share(MIB) == 1


def test_answers_that_come_late() -> None:
    """Bodies that were under way over one connection when several were chosen count as nothing."""
    lanes = Lanes()
    for _ in range(5):
        assert lanes.share(64 * MIB) in (1, 4)
        lanes.took(64 * MIB, 1, 20)
    assert lanes.share(64 * MIB) == 4
    lanes.took(64 * MIB, 1, 0.1)
    lanes.took(64 * MIB, 4, 5)
    lanes.took(64 * MIB, 4, 5)
    assert lanes.share(64 * MIB) == 8
    lanes.took(64 * MIB, 4, 0.1)
    lanes.took(64 * MIB, 8, 3)
    lanes.took(64 * MIB, 8, 3)
    assert lanes.share(64 * MIB) == 16


def test_a_number_that_is_fixed() -> None:
    """It stays; where several are refused it is one from then on."""
    lanes = Lanes(7)
    lanes.took(64 * MIB, 7, 100)
    assert lanes.share(64 * MIB) == 7
    lanes.refused()
    assert lanes.share(64 * MIB) == 1


def test_a_clock_that_stands_still() -> None:
    """Nothing is measured then, and nothing changes."""
    lanes = Lanes()
    for _ in range(3):
        lanes.took(64 * MIB, 1, 0)
    assert lanes.share(64 * MIB) == 1


@given(st.integers(1, 10**8), st.integers(1, 16), st.integers(1, 10**7))
def test_parts_are_the_whole(size: int, count: int, least: int) -> None:
    """They follow each other without a gap, no more than asked for, and none but the last is small."""
    found = parts(size, count, least)
    assert sum(length for _, length in found) == size
    assert [at for at, _ in found] == [sum(length for _, length in found[:number]) for number in range(len(found))]
    assert len(found) <= count
    assert all(length >= least for _, length in found[:-1])
    assert all(length > 0 for _, length in found)
