"""Which packs a drill opens, and what that costs. Pure.

A random order that the drill's stamp decides: the same command goes on with the same packs, from any host, and nobody
who stores packs can tell which will be chosen.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from azbackup.crypto.secret import Secret
from azbackup.storage.prices import STAGING_DAYS, Prices

_READS = 3  # of a pack of 64 MiB
_TIERS = ("hot", "cool", "cold")


class Candidate(NamedTuple):
    """A sound pack: its id, its bytes, the tier that it lies in, whether it has to thaw."""

    pack_id: str
    size: int
    tier: str
    archived: bool


@dataclass(frozen=True)
class Wish:
    """How much a drill opens: a share of all packs, bytes, money, each None for no bound; all None: what is online."""

    sample: float | None = None
    budget: int | None = None
    max_cost: float | None = None

    @property
    def thaws(self) -> bool:
        """Whether archived packs are meant, too."""
        return (self.sample, self.budget, self.max_cost) != (None, None, None)

    def __str__(self) -> str:
        """What tells two wishes apart."""
        return f"{self.sample} {self.budget} {self.max_cost}"


def chosen(candidates: Iterable[Candidate], wish: Wish, key: Secret, drill: str, bill: Bill) -> list[Candidate]:
    """The packs of a drill, in the order of their draw; at least one if the bounds allow any."""
    if not wish.thaws:
        return [each for each in candidates if not each.archived]
    seed = hmac.digest(key.reveal(), b"drill\0" + drill.encode(), "sha256")
    drawn = sorted(candidates, key=lambda each: _lot(seed, each.pack_id))
    if wish.sample is not None:
        below = int(wish.sample * 2**64)
        drawn = [each for each in drawn if _lot(seed, each.pack_id) < below] or drawn[:1]
    found: list[Candidate] = []
    size = 0
    for each in drawn:
        size += each.size
        bill.add(each)
        if wish.budget is not None and size > wish.budget:
            break
        if wish.max_cost is not None and bill.price > wish.max_cost:
            break
        found.append(each)
    return found


def _lot(seed: bytes, pack_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(pack_id.encode(), key=seed, digest_size=8).digest(), "big")


class Bill:
    """What opening packs costs: thaw, two days of the copies in Hot, reading, and the way out of Azure."""

    def __init__(self, prices: Prices, *, high: bool) -> None:
        self._prices = prices
        self._thaw = "archive_high" if high else "archive"
        self._packs: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    def add(self, pack: Candidate) -> None:
        """One more."""
        tier = self._thaw if pack.archived else pack.tier if pack.tier in _TIERS else "hot"
        self._packs[tier] = self._packs.get(tier, 0) + 1
        self._sizes[tier] = self._sizes.get(tier, 0) + pack.size

    @property
    def price(self) -> float:
        """The sum."""
        prices = self._prices
        total = prices.sending(sum(self._sizes.values()))
        for tier, count in self._packs.items():
            size = self._sizes[tier]
            if tier == self._thaw:
                total += prices.reading(count, size, tier) + prices.writing(count, "hot")
                total += prices.storing(size, "hot", STAGING_DAYS) + prices.reading(count * _READS, size, "hot")
            else:
                total += prices.reading(count * _READS, size, tier)
        return total


def price_of(packs: Sequence[Candidate], bill: Bill) -> float:
    """The price of some packs."""
    for pack in packs:
        bill.add(pack)
    return bill.price
