"""What a restore will take before it begins: packs, bytes, requests, hours and money. Pure.

Counted are the thaw (operations, retrieval, two days of the copies in Hot), the reading, and the data that leaves the
region; a thaw in place instead pays the archive tier's early-deletion fee and leaves the packs in Hot.
"""

from __future__ import annotations

import calendar
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from azbackup.plan import NeededPack, ranges
from azbackup.prices import Prices
from azbackup.thawing import HIGH_HOURS, STANDARD_HOURS, State, ThawWish

_STAGING_DAYS = 2.0
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class PackUse:
    """One pack of the plan: where it is, its tier, and which of its chunks are wanted, in ascending order."""

    pack: NeededPack
    state: State
    tier: str
    chunks: list[int]


@dataclass
class Estimate:
    """The plan in numbers. Sizes in bytes, `cost` by heading in `currency`, hours at most until all is thawed."""

    files: int
    size: int
    already: int
    packs: dict[str, int] = field(default_factory=dict)
    pack_bytes: dict[str, int] = field(default_factory=dict)
    thaw_bytes: int = 0
    read_bytes: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    hours: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    total: dict[str, float] = field(default_factory=dict)
    currency: str = ""
    prices: str = ""
    priority: str = "standard"

    @property
    def price(self) -> float:
        """The total at the priority that was asked for; mixed counts as high, its upper bound."""
        return self.total["standard" if self.priority == "standard" else "high"]


def estimate(
    files: Sequence[int], already: int, uses: Sequence[PackUse], wish: ThawWish, prices: Prices, now: float
) -> Estimate:
    """The numbers of a restore of files of these sizes, `already` more of which are there."""
    result = Estimate(len(files), sum(files), already, priority=wish.priority, currency=prices.currency)
    result.prices = f"{prices.region}, {prices.as_of}"
    for use in uses:
        state = use.state.value
        result.packs[state] = result.packs.get(state, 0) + 1
        result.pack_bytes[state] = result.pack_bytes.get(state, 0) + use.pack.record.size
    thawed = [use for use in uses if use.state is State.ARCHIVED]
    result.thaw_bytes = sum(use.pack.record.size for use in thawed)
    reads = [ranges(use.pack, use.chunks) for use in uses if use.state is not State.MISSING]
    result.read_bytes = sum(end - start for spans in reads for start, end in spans)
    result.requests = {
        "thaw": len(thawed),
        "read": sum(map(len, reads)),
        "delete": 0 if wish.in_place else len(thawed),
        "list": 2 + 2 * bool(thawed),
        "table": 4,
    }
    result.hours = _hours(uses, wish)
    for priority in ("standard", "high"):
        cost = _cost(result, thawed, uses, priority, wish, prices, now)
        result.total[priority] = sum(cost.values())
        if (priority == "standard") == (wish.priority == "standard"):
            result.cost = cost
    return result


def _hours(uses: Sequence[PackUse], wish: ThawWish) -> dict[str, float]:
    """At most this long at each priority; 0 when nothing has to thaw."""
    waiting = sum(use.pack.record.size for use in uses if use.state in (State.ARCHIVED, State.PENDING))
    if not waiting:
        return {"standard": 0.0, "high": 0.0}
    return {"standard": STANDARD_HOURS, "high": HIGH_HOURS * math.ceil(waiting / max(1, wish.budget))}


def _cost(
    result: Estimate,
    thawed: Sequence[PackUse],
    uses: Sequence[PackUse],
    priority: str,
    wish: ThawWish,
    prices: Prices,
    now: float,
) -> dict[str, float]:
    tier = "archive_high" if priority == "high" else "archive"
    cost = {
        "thaw": prices.reading(len(thawed), result.thaw_bytes, tier) + prices.writing(len(thawed), "hot"),
        "staging": 0.0 if wish.in_place else prices.storing(result.thaw_bytes, "hot", _STAGING_DAYS),
        "early deletion": _early(thawed, prices, now) if wish.in_place else 0.0,
        "reading": sum(_reading(use, prices) for use in uses if use.state is not State.MISSING),
        "data sent out of Azure": prices.sending(result.read_bytes),
        "listings and records": prices.listing(result.requests["list"]) + prices.table(result.requests["table"]),
    }
    return {heading: amount for heading, amount in cost.items() if amount}


def _reading(use: PackUse, prices: Prices) -> float:
    """Reading the wanted ranges of a pack: of its own tier when online, of Hot once thawed."""
    spans = ranges(use.pack, use.chunks)
    tier = use.tier if use.state is State.ONLINE else "hot"
    return prices.reading(len(spans), sum(end - start for start, end in spans), tier)


def _early(thawed: Sequence[PackUse], prices: Prices, now: float) -> float:
    """The fee for taking packs out of the archive tier before their time; their ids say when they were written."""
    return sum(
        prices.leaving_early(use.pack.record.size, "archive", (now - _written(use.pack)) / _DAY) for use in thawed
    )


def _written(pack: NeededPack) -> float:

    return float(calendar.timegm(time.strptime(pack.pack_id[:16], "%Y%m%dT%H%M%SZ")))
