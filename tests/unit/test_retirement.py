"""Retired records: what they explain, what they condemn, and what none of them can say."""

from __future__ import annotations

import msgspec
import pytest

from azbackup.errors import Damaged
from azbackup.format.retirement import Retired, Retirement, decode_retirement, encode_retirement, joined, without

ONE, TWO = (f"20261122T210800Z-{number:016x}" for number in (1, 2))


def test_a_record_comes_back() -> None:
    """A record is what was stored; its number is that of its name."""
    record = Retirement(numbers=[(1, 3), (5, 5)], removed=[3, 5], condemned=[ONE], spared=[TWO])
    assert decode_retirement("retired-00000007", encode_retirement(record)) == msgspec.structs.replace(record, number=7)
    assert decode_retirement("retired-00000001", encode_retirement(Retirement())).numbers == []


@pytest.mark.parametrize(
    "values",
    [
        {"numbers": [[3, 2]]},
        {"numbers": [[0, 2]]},
        {"numbers": [[1]]},
        {"removed": [0]},
        {"condemned": ["../x"]},
        {"spared": [7]},
        {"condemned": [ONE] * 50_001},
    ],
)
def test_malformed_records(values: dict[str, object]) -> None:
    """What no retention wrote is damage."""
    with pytest.raises(Damaged):
        decode_retirement("retired-00000001", msgspec.msgpack.encode(values))


def test_ranges_are_joined() -> None:
    """Ranges that touch or overlap are one."""
    assert joined([(5, 6), (1, 2), (3, 3), (5, 9), (11, 11)]) == [(1, 3), (5, 9), (11, 11)]


def test_gaps() -> None:
    """A number is explained where it is found or retired, up to the expected one and no further."""
    retired = Retired([Retirement(numbers=[(2, 3), (7, 9)], number=1)])
    assert list(retired.gaps([1, 4, 6], 6)) == [(5, 5)]
    assert list(retired.gaps([1, 4, 5, 6], 8)) == []
    assert list(retired.gaps([1, 4, 5, 6], 11)) == [(10, 11)]
    assert list(Retired().gaps([], 3)) == [(1, 3)]
    assert list(Retired().gaps([2], 2)) == [(1, 1)]
    assert list(Retired().gaps([], 0)) == []
    assert [retired.has(number) for number in (1, 2, 3, 4, 9, 10)] == [False, True, True, False, True, False]
    assert (retired.highest, Retired().highest) == (9, 0)


def test_recalled_numbers() -> None:
    """A number that is recalled is none of those that were retired, whatever earlier records say; later ones may."""
    first = Retirement(numbers=[(1, 5)], number=1)
    second = Retirement(numbers=[(1, 2), (4, 4)], recalled=[3, 5], number=2)
    third = Retirement(numbers=[(1, 4)], number=3)
    assert Retired([first, second]).numbers == [(1, 2), (4, 4)]
    assert Retired([first, second, third]).numbers == [(1, 4)]
    assert without([(1, 5)], [1, 5, 3, 9]) == [(2, 2), (4, 4)]


def test_a_record_repeats_what_it_has_seen() -> None:
    """What a record has seen, and what was deleted before, counts as the record says it; what it has not seen adds."""
    first = Retirement(numbers=[(1, 5)], number=1)
    recalling = Retirement(numbers=[(1, 2)], recalled=[3, 4, 5], seen=[1], number=2)
    third = Retirement(numbers=[(1, 2), (7, 7)], seen=[1, 2], number=3)
    fourth = Retirement(numbers=[(1, 2), (7, 7)], seen=[3], number=4)
    assert Retired([first, third]).numbers == [(1, 2), (7, 7)]
    assert Retired([first, fourth]).numbers == [(1, 2), (7, 7)]
    assert Retired([recalling, first]).numbers == [(1, 2)]
    assert Retired([Retirement(numbers=[(9, 9)], number=2), third, first]).numbers == [(1, 2), (7, 7)]
    assert Retired([Retirement(numbers=[(9, 9)], number=5), fourth]).numbers == [(1, 2), (7, 7), (9, 9)]
    assert Retired([first, third, Retirement(seen=[1, 2, 3, 4], number=6)]).lost == [2, 4]
    assert (Retired([fourth]).lost, Retired().lost) == ([], [])


def test_records_add_up() -> None:
    """Packs are condemned by the first record that says so, and spared by later ones, in the order of their numbers."""
    first = Retirement(numbers=[(1, 1)], condemned=[ONE, TWO], number=1)
    second = Retirement(numbers=[(1, 2)], spared=[ONE], number=2)
    third = Retirement(condemned=[ONE], number=10)
    assert Retired([second, first]).condemned == {TWO: 1}
    assert Retired([third, second, first]).condemned == {TWO: 1, ONE: 10}
    assert (Retired([second, first]).last, Retired().last) == (2, 0)
