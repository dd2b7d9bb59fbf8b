"""Who is asked for, at which priority: examples, and what holds for every case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.format.model import PackId, PackRecord
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import State, ThawOptions, ThawRequest, choose_requests

Needed = list[tuple[PackLayout, State, str]]


def pack(name: str, size: int) -> PackLayout:
    """A pack of a size."""
    return PackLayout(PackId(name), PackRecord(size, b"", "archive", b"", [], []))


def archived(**sizes: int) -> Needed:
    """Archived packs, in the order of need."""
    return [(pack(name, size), State.ARCHIVED, "") for name, size in sizes.items()]


def asked(asks: list[ThawRequest]) -> dict[str, str]:
    """The asks, short: the priority for each pack."""
    return {ask.pack.pack_id: ask.priority + "!" * ask.raises for ask in asks}


def test_standard_asks_for_all() -> None:
    """At standard priority there is no budget."""
    asks, later = choose_requests(archived(a=5, b=50), ThawOptions("standard", budget=1), used=100)
    assert (asked(asks), later) == ({"a": "standard", "b": "standard"}, [])


@pytest.mark.parametrize(
    ("used", "expected", "waiting"),
    [
        (0, {"a": "high", "c": "high"}, ["b"]),
        (35, {"c": "high"}, ["a", "b"]),
        (40, {}, ["a", "b", "c"]),
        (99, {}, ["a", "b", "c"]),
    ],
)
def test_high_fills_the_budget_in_the_order_of_need(used: int, expected: dict[str, str], waiting: list[str]) -> None:
    """What does not fit waits; smaller ones behind it may still go."""
    asks, later = choose_requests(archived(a=30, b=20, c=5), ThawOptions("high", budget=40), used)
    assert (asked(asks), [each.pack_id for each in later]) == (expected, waiting)


def test_mixed_takes_the_smallest_first() -> None:
    """The smallest go at high within the budget, of equal ones the first needed; the rest at standard."""
    asks, later = choose_requests(archived(a=20, b=10, c=10, d=10), ThawOptions("mixed", budget=25), 0)
    assert (asked(asks), later) == ({"b": "high", "c": "high", "d": "standard", "a": "standard"}, [])


def test_mixed_takes_what_is_urgent_before_what_is_small() -> None:
    """The first so many of those that are needed come before the smallest, in their order."""
    asks, _ = choose_requests(archived(a=20, c=30, b=10), ThawOptions("mixed", budget=30, urgent=2), 0)
    assert asked(asks) == {"a": "high", "b": "high", "c": "standard"}


def test_pending_is_raised_by_high_alone() -> None:
    """A pending standard thaw is raised when high is asked for, within the budget; high ones stay as they are."""
    needed = [(pack("a", 10), State.PENDING, "standard"), (pack("b", 10), State.PENDING, "high")]
    assert asked(choose_requests(needed, ThawOptions("high", 10), 0)[0]) == {"a": "high!"}
    assert choose_requests(needed, ThawOptions("high", 10), 5)[0] == []
    assert choose_requests(needed, ThawOptions("mixed", 10), 0)[0] == []
    assert choose_requests(needed, ThawOptions("standard", 10), 0)[0] == []


needed_packs = st.lists(
    st.tuples(st.integers(1, 100), st.sampled_from(State), st.sampled_from(["", "standard", "high"])), max_size=12
).map(lambda found: [(pack(str(n), size), state, priority) for n, (size, state, priority) in enumerate(found)])
wishes = st.builds(ThawOptions, st.sampled_from(["standard", "high", "mixed"]), st.integers(0, 300))


@given(needed_packs, wishes, st.integers(0, 300))
def test_always(needed: Needed, wish: ThawOptions, used: int) -> None:
    """Archived packs are asked for or wait, once each; only pending ones are raised; the budget holds."""
    asks, later = choose_requests(needed, wish, used)
    fresh = [ask.pack.pack_id for ask in asks if not ask.raises] + [each.pack_id for each in later]
    assert sorted(fresh) == sorted(each.pack_id for each, state, _ in needed if state is State.ARCHIVED)
    raised = {ask.pack.pack_id for ask in asks if ask.raises}
    assert raised <= {each.pack_id for each, state, p in needed if state is State.PENDING and p != "high"}
    assert sum(ask.pack.record.size for ask in asks if ask.priority == "high") <= max(0, wish.budget - used)
    assert not later or wish.priority == "high"
    assert all(ask.priority == "high" for ask in asks) or wish.priority != "high"
