"""Which packs serve where a chunk is in several: the fullest of what is wanted. The emptiest are needed no more.

    packs that hold something wanted -> those that the others can do without, the emptiest first -> an order of the rest

Promises that whatever is wanted is in a pack that is left, and that whoever has the same records and wants the same
makes the same choice, on any machine: a restore, and retention, which deletes the others. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from typing import NamedTuple

from azbackup.format.model import PackId

_PARTS = 4  # in which a pack's fullness is told: what is a little fuller is not worth a pack more


class Holding(NamedTuple):
    """A pack that holds something wanted. `rank`: packs of a lower one are preferred, whatever they hold.

    `size` are its bytes without padding, `wanted` those of them that are. `shared` are the wanted chunks that other
    packs hold, too; `alone`: it holds one that none of them does.
    """

    pack_id: PackId
    rank: int
    size: int
    wanted: int
    alone: bool
    shared: Collection[Hashable]

    @property
    def fullness(self) -> int:
        """In which quarter lies how much of the pack is wanted: 0 to 3."""
        return min(_PARTS - 1, self.wanted * _PARTS // max(1, self.size))


def choose(holdings: Sequence[Holding]) -> tuple[list[int], list[int]]:
    """(the numbers of the packs that are needed, those of the others), the preferred ones first: a chunk is read there.

    Of packs whose fullness is in the same quarter the one of which more bytes are wanted is preferred, then the older.
    """
    order = sorted(range(len(holdings)), key=lambda number: preference(holdings[number]))
    holders = Counter(each for holding in holdings for each in holding.shared)
    spare: set[int] = set()
    for number in reversed(order):
        holding = holdings[number]
        if not holding.alone and all(holders[each] > 1 for each in holding.shared):
            holders.subtract(holding.shared)
            spare.add(number)
    return [number for number in order if number not in spare], [number for number in order if number in spare]


def preference(holding: Holding) -> tuple[int, int, int, PackId]:
    """By what packs are sorted, those that are preferred first."""
    return holding.rank, -holding.fullness, -holding.wanted, holding.pack_id
