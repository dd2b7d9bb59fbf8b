"""Batches: everything, in order, as few as hold it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from azbackup.format.batches import batches


@given(st.lists(st.integers(0, 20), max_size=30), st.integers(0, 30), st.none() | st.integers(1, 5))
def test_batches_hold_everything_in_order(sizes: list[int], limit: int, most: int | None) -> None:
    """None is empty; one passes the limit only as a single item; none could have taken the first item of the next."""
    found = list(batches(sizes, lambda size: size, limit, most))
    assert [size for batch in found for size in batch] == sizes
    for batch in found:
        assert batch
        assert sum(batch) <= limit or len(batch) == 1
        assert most is None or len(batch) <= most
    for batch, following in pairwise(found):
        assert len(batch) == most or sum(batch) + following[0] > limit


def test_a_batch_comes_before_more_is_asked_for() -> None:
    """What streams in streams out: no more than one item beyond a batch is taken."""
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    assert next(batches(items(), lambda _: 1, 3)) == [0, 1, 2]
    assert taken == [0, 1, 2, 3]
