"""Which of several packs a chunk is read from."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from azbackup.format.model import ChunkId, PackId
from azbackup.packs.choice import Holding, choose

Packs = dict[str, set[int]]


def holdings(packs: Packs, waste: int = 0) -> list[Holding]:
    """Return packs of chunks of ten bytes; all are wanted, and `waste` more bytes are not."""
    holders = Counter(each for its in packs.values() for each in its)
    return [
        Holding(
            PackId(name),
            0,
            10 * len(its) + waste + 1,
            10 * len(its),
            any(holders[each] == 1 for each in its),
            {ChunkId(each.to_bytes(32, "big")) for each in its if holders[each] > 1},
        )
        for name, its in packs.items()
    ]


@given(st.dictionaries(st.text("abc", min_size=1), st.sets(st.integers(0, 9), min_size=1)), st.randoms())
def test_all_that_is_wanted_is_in_what_is_left(packs: Packs, order: random.Random) -> None:
    """Nothing is lost, no pack is left that the others can do without, and the order of the records says nothing."""
    names = list(packs)
    kept, spare = choose(holdings(packs))
    assert sorted([*kept, *spare]) == list(range(len(names)))
    left = {names[number] for number in kept}
    assert set().union(*(packs[name] for name in left)) == set().union(*packs.values())
    for name in left:
        assert packs[name] - set().union(*(packs[other] for other in left if other != name))
    order.shuffle(names)
    again, _ = choose(holdings({name: packs[name] for name in names}))
    assert {names[number] for number in again} == left


def test_what_was_stored_anew_in_parts_frees_the_pack_it_was_in() -> None:
    """A large pack that is hardly needed goes before two small full ones, though more of it is wanted."""
    old = Holding(PackId("old"), 0, 10_000, 30, False, {ChunkId(bytes([each]) * 32) for each in (1, 2, 3)})
    one = Holding(PackId("one"), 0, 21, 20, False, {ChunkId(bytes([each]) * 32) for each in (1, 2)})
    two = Holding(PackId("two"), 0, 11, 10, False, {ChunkId(bytes([3]) * 32)})
    assert choose([old, one, two]) == ([1, 2], [0])


def test_one_large_pack_is_preferred_to_many_small_ones_that_are_a_little_fuller() -> None:
    """What was merged stays merged while a few of its chunks are needed no more."""
    ids = [ChunkId(bytes([each]) * 32) for each in range(8)]
    small = [Holding(PackId(str(each)), 0, 1000, 1000, False, {ids[each]}) for each in range(8)]
    merged = Holding(PackId("merged"), 0, 10_000, 8_000, False, set(ids))
    assert choose([*small, merged])[0] == [8]
    assert choose([*small, merged._replace(size=12_000)])[0] == list(range(8))
