"""What fragmentation costs a restore: bytes that thaw in vain, and what rewriting would save. Pure.

Rewriting is the next backup's: it stores anew what is needed of packs that are hardly needed, or small
(packs.rewriting).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from azbackup.format.labels import PACK_BYTES
from azbackup.packs.rewriting import SMALL_BYTES, SMALL_PACKS
from azbackup.storage.prices import STAGING_DAYS, Prices

_BELOW = 0.5  # of a pack: what --rewrite-below is by default


@dataclass(frozen=True)
class Fragments:
    """Bytes that are needed of what is to be thawed; packs that are hardly needed or small, and their bytes.

    These would be so many `full_packs`, of `full_size` bytes, if they were rewritten, which `saves` so much at each
    priority.
    """

    needed: int = 0
    packs: int = 0
    size: int = 0
    full_packs: int = 0
    full_size: int = 0
    saves: dict[str, float] = field(default_factory=dict)


def fragments(thawed: Sequence[tuple[int, int]], prices: Prices, *, rewritable: bool) -> Fragments:
    """What there is to save, given (size, needed bytes) of each pack that is to be thawed.

    `rewritable`: what is restored is what a backup would rewrite: all of the newest snapshots.
    """
    needed = sum(wanted for _, wanted in thawed)
    if not rewritable:
        return Fragments(needed)
    small = [pack for pack in thawed if pack[0] < SMALL_BYTES]
    found = [pack for pack in thawed if pack[0] >= SMALL_BYTES and pack[1] < _BELOW * pack[0]]
    found += small if len(small) >= SMALL_PACKS else [pack for pack in small if pack[1] < _BELOW * pack[0]]
    size, wanted = sum(size for size, _ in found), sum(wanted for _, wanted in found)
    full = -(-wanted // PACK_BYTES)
    if full >= len(found):
        return Fragments(needed)
    saves = {
        priority: _thaw(prices, len(found), size, tier) - _thaw(prices, full, wanted, tier)
        for priority, tier in (("standard", "archive"), ("high", "archive_high"))
    }
    return Fragments(needed, len(found), size, full, wanted, saves)


def _thaw(prices: Prices, packs: int, size: int, tier: str) -> float:
    asking = prices.reading(packs, size, tier) + prices.writing(packs, "hot")
    return asking + prices.storing(size, "hot", STAGING_DAYS) + prices.reading(packs, 0, "hot")
