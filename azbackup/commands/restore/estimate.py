"""What a restore will take before it begins: packs, bytes, requests, hours and money. Pure.

Counted are the thaw (operations, retrieval, two days of the thawed bytes in Hot), the reading, and the data that
leaves the region; a thaw in place also pays the archive tier's early-deletion fee. If something has to
be thawed, the requests at the start of a run are counted twice, because two runs are needed: one that asks for the
packs and one that reads them.
"""

from __future__ import annotations

import calendar
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from azbackup.commands.restore.fragments import Fragments, fragments
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import HIGH_HOURS, STANDARD_HOURS, State, ThawOptions
from azbackup.storage.prices import STAGING_DAYS, Prices

_DAY = 86400.0
_PRICED = {"hot", "cool", "cold", "archive"}  # a listing may name others: premium ones, and those of times to come
_TABLE_REQUESTS = 4  # of every run: the key, then snapshots, file and pack records, a page each


@dataclass(frozen=True, slots=True)
class PackUse:
    """One pack of the plan: state, tier, the ranges that are read, and the priority that it was asked for with."""

    pack: PackLayout
    state: State
    tier: str
    reads: list[tuple[int, int]]
    priority: str = ""
    wanted_bytes: int = 0  # of the chunks that are wanted

    @property
    def read_bytes(self) -> int:
        """The bytes of all that is read."""
        return sum(end - start for start, end in self.reads)


@dataclass(frozen=True, slots=True)
class PackLine:
    """What the plan says about one pack; `read` is how many of its `size` bytes are needed."""

    pack: str
    tier: str
    state: str
    size: int
    read: int


@dataclass(frozen=True)
class Losses:
    """The files that cannot be restored, their bytes, where they lie in words, and the packs that they miss."""

    files: int = 0
    size: int = 0
    where: str = ""
    packs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Room:
    """What is to be written to the file system of a directory, and what that has free: bytes, and inodes.

    `free_inodes` is None where there is no limit.
    """

    where: str
    size: int
    free: int
    inodes: int
    free_inodes: int | None

    @property
    def is_lacking(self) -> bool:
        """Whether it does not fit."""
        return self.size > self.free or (self.free_inodes is not None and self.inodes > self.free_inodes)


@dataclass(frozen=True)
class Share:
    """What one directory takes if it is restored alone; `shared` of its packs are needed for others, too."""

    directory: str
    files: int
    size: int
    packs: int
    shared: int
    thaw_bytes: int
    hours: float
    price: float


@dataclass(frozen=True)
class Estimate:
    """The plan in numbers. Sizes in bytes; `cost` by heading in `currency`, at the priority that was asked for.

    `files` and `size` are of what can be restored, `lost` of what cannot. `room`: where it is restored to, if anywhere.
    `hours` is how long at most until all is thawed, `costs` the costs and `total` their sum, at each priority.
    `directories` are the shares of the top directories, if they were asked for; `fragments`: what is thawed in vain.
    """

    files: int
    size: int
    already: int
    packs: list[PackLine]
    thaw_bytes: int
    read_bytes: int
    requests: dict[str, int]
    hours: dict[str, float]
    cost: dict[str, float]
    costs: dict[str, dict[str, float]]
    total: dict[str, float]
    currency: str
    prices: str
    priority: str
    lost: Losses = field(default_factory=Losses)
    room: Room | None = None
    directories: list[Share] = field(default_factory=list)
    fragments: Fragments = field(default_factory=Fragments)

    @property
    def price(self) -> float:
        """The total at the priority that was asked for; mixed counts as high, its upper bound."""
        return self.total["standard" if self.priority == "standard" else "high"]

    @property
    def longest(self) -> float:
        """Hours at most at the priority that was asked for; mixed counts as standard, its upper bound."""
        return self.hours["high" if self.priority == "high" else "standard"]

    @property
    def goes_on(self) -> bool:
        """Whether all that has to thaw was asked for, and agreed to, by an earlier run."""
        return not self.cost.get("thaw") and any(line.state in ("pending", "thawed") for line in self.packs)

    def by_state(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(packs, their bytes) in each state and tier."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for line in self.packs:
            count, size = found.get((line.state, line.tier), (0, 0))
            found[line.state, line.tier] = (count + 1, size + line.size)
        return found


def estimate(
    files: int,
    size: int,
    already: int,
    uses: Sequence[PackUse],
    options: ThawOptions,
    prices: Prices,
    now: float,
    *,
    rewritable: bool = False,
) -> Estimate:
    """The numbers of a restore of so many files and bytes, while `already` more files are there.

    `rewritable`: these are what a backup would rewrite.
    """
    thawed = [(use.pack.record.size, use.wanted_bytes) for use in _archived(uses)]
    requests = _requests(uses, options)
    costs = {priority: _cost(uses, requests, priority, options, prices, now) for priority in ("standard", "high")}
    return Estimate(
        files=files,
        size=size,
        already=already,
        packs=[_line(use) for use in uses],
        thaw_bytes=_size(_archived(uses)),
        read_bytes=_read_bytes(uses),
        requests=requests,
        hours=_hours(uses, options),
        cost=costs["standard" if options.priority == "standard" else "high"],
        costs=costs,
        total={priority: sum(cost.values()) for priority, cost in costs.items()},
        currency=prices.currency,
        prices=f"{prices.region}, {prices.as_of}",
        priority=options.priority,
        fragments=fragments(thawed, prices, rewritable=rewritable),
    )


def _line(use: PackUse) -> PackLine:
    return PackLine(use.pack.pack_id, use.tier, use.state.value, use.pack.record.size, use.read_bytes)


def _size(uses: Sequence[PackUse]) -> int:
    return sum(use.pack.record.size for use in uses)


def _read_bytes(uses: Sequence[PackUse]) -> int:
    return sum(use.read_bytes for use in uses)


def _archived(uses: Sequence[PackUse]) -> list[PackUse]:
    return [use for use in uses if use.state is State.ARCHIVED]


def _requests(uses: Sequence[PackUse], options: ThawOptions) -> dict[str, int]:
    """By billing class: a thaw is a write and a read of the archive tier, the mark of a restore that waits a write."""
    thawed = _archived(uses)
    staged = 0 if options.in_place else sum(use.state in (State.ARCHIVED, State.PENDING, State.THAWED) for use in uses)
    waits = any(use.state in (State.ARCHIVED, State.PENDING) for use in uses)
    marks = 0 if not staged else 1 + waits
    return {
        "thaw": len(thawed),
        "write": marks,
        "read": sum(len(use.reads) for use in uses),
        "delete": staged + bool(staged),
        "list": (2 + bool(thawed) + 3 * waits) if waits else 2,
        "table": _TABLE_REQUESTS * (1 + waits),
    }


def _hours(uses: Sequence[PackUse], options: ThawOptions) -> dict[str, float]:
    """At most this long at each priority; 0 when nothing has to thaw."""
    waiting = _size([use for use in uses if use.state in (State.ARCHIVED, State.PENDING)])
    if not waiting:
        return {"standard": 0.0, "high": 0.0}
    return {"standard": STANDARD_HOURS, "high": HIGH_HOURS * math.ceil(waiting / max(1, options.budget))}


def _cost(
    uses: Sequence[PackUse], requests: dict[str, int], priority: str, options: ThawOptions, prices: Prices, now: float
) -> dict[str, float]:
    """By heading, in the price list's currency; a pending thaw that is raised to high is paid as a high one."""
    thawed = _archived(uses)
    raises = priority == "high" == options.priority
    raised = [use for use in uses if raises and use.state is State.PENDING and use.priority != "high"]
    tier = "archive_high" if priority == "high" else "archive"
    asked = [*thawed, *raised]
    cost = {
        "thaw": prices.reading(len(asked), _size(asked), tier) + prices.writing(len(asked), "hot"),
        "thawed_storage": prices.storing(_size(thawed), "hot", STAGING_DAYS),
        "early_deletion": _early(thawed, prices, now) if options.in_place else 0.0,
        "reading": sum(_reading(use, prices) for use in uses),
        "egress": prices.sending(_read_bytes(uses)),
        "other": prices.listing(requests["list"])
        + prices.writing(requests["write"], "hot")
        + prices.table(requests["table"]),
    }
    return {heading: amount for heading, amount in cost.items() if amount}


def _reading(use: PackUse, prices: Prices) -> float:
    """Reading the wanted spans of a pack: of its own tier when online, of Hot once thawed."""
    tier = use.tier if use.state is State.ONLINE and use.tier in _PRICED else "hot"
    return prices.reading(len(use.reads), use.read_bytes, tier)


def _early(thawed: Sequence[PackUse], prices: Prices, now: float) -> float:
    """The fee for taking packs out of the archive tier before their time; their ids say when they were written."""
    return sum(
        prices.leaving_early(use.pack.record.size, "archive", (now - _written(use.pack)) / _DAY) for use in thawed
    )


def _written(pack: PackLayout) -> float:
    return float(calendar.timegm(time.strptime(pack.pack_id[:16], "%Y%m%dT%H%M%SZ")))
