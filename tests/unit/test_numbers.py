"""Many numbers, and which of them there are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.format.numbers import Numbers


@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 30)), st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 40))
)
def test_places(numbers: list[int], others: list[int]) -> None:
    """Each number is found at its place among the sorted ones, each once; nothing else is found."""
    found = Numbers()
    for number in numbers[:3]:
        found.add(number)
    found.update(numbers[3:])
    found.sort()
    expected = sorted(set(numbers))
    assert (list(found), len(found)) == (expected, len(expected))
    assert [found.place(number) for number in expected] == list(range(len(expected)))
    assert [number in found for number in others] == [number in expected for number in others]


@pytest.mark.parametrize("bits", [64, 20])
def test_many(bits: int) -> None:
    """Spread evenly, as ids are, or all in one corner."""
    chance = random.Random(3)
    numbers = {chance.getrandbits(bits) for _ in range(20_000)}
    found = Numbers()
    found.update(numbers)
    found.sort()
    assert all(number in found for number in numbers)
    assert not any(number + 1 in found for number in numbers if number + 1 not in numbers)
