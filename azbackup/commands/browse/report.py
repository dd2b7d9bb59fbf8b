"""How a partition is doing, in figures: its sources, snapshots, what is stored and since when, what grows. Pure.

Taken from records and listings alone: no pack is read. Promises that every figure is of what is there now; packs and
snapshots that were removed are not known any more. Times are Unix seconds, sizes bytes, money the price list's.
"""

from __future__ import annotations

import calendar
import os
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from statistics import median
from typing import NamedTuple

from azbackup.commands.browse.growth import PathGrowth
from azbackup.format.model import PackId, Snapshot
from azbackup.records.snapshots import Source, source_of
from azbackup.storage.prices import Prices

_DAY = 86400.0
_MONTH_DAYS = 30.0
_USUAL_AGE = 2 * _DAY  # where there are too few snapshots to tell
_LEAST_AGE = 26 * 3600.0
_GAPS = 10  # between the newest snapshots of a source, which tell how often it is backed up
_LATE = 2.5  # gaps


class Pack(NamedTuple):
    """A pack that is there: its id, its bytes, the tier that it is in now."""

    pack_id: PackId
    size: int
    tier: str


@dataclass(frozen=True)
class SourceState:
    """One source: its newest snapshot, and whether that is older than it should be.

    `expected` is the age up to which it is not: what was asked for, or what its last snapshots lead to expect.
    """

    path: str
    host: str
    snapshots: int
    first: float
    last: float
    age: float
    expected: float
    too_old: bool
    files: int
    size: int
    unreadable: int


@dataclass(frozen=True)
class Point:
    """One snapshot. `source` is its number in the report's list.

    `protected` are the bytes of all sources by then, `stored_then` those of the packs that were there by then, and are.
    """

    number: int
    time: float
    source: int
    files: int
    size: int
    new: int
    changed: int
    removed: int
    unreadable: int
    read: int
    stored: int
    protected: int
    stored_then: int


@dataclass(frozen=True)
class Month:
    """What was stored in a month and is still there, by tier, with what all up to then costs a month, by tier."""

    month: str
    added: dict[str, int]
    total: dict[str, int]
    cost: dict[str, float]


@dataclass(frozen=True)
class FullRestore:
    """What it takes to restore the newest snapshot of each source today.

    `whole` bytes have all the packs together, of which `needed` are; `thaw` are archived now. Hours and money by
    priority.
    """

    files: int
    size: int
    packs: int
    whole: int
    needed: int
    thaw: int
    hours: dict[str, float]
    total: dict[str, float]
    lost_files: int = 0

    @property
    def fragmentation(self) -> float:
        """Bytes of the packs for each byte of them that is needed; 1.0 at best."""
        return self.whole / self.needed if self.needed else 1.0


@dataclass(frozen=True)
class Staging:
    """Thawed copies, those of them still on their way, and the restores that wait for them."""

    copies: int = 0
    size: int = 0
    pending: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Check:
    """The newest verification (`kind` records) or drill that read contents (contents)."""

    kind: str
    time: float
    damages: int
    known: int
    text: str


@dataclass(frozen=True)
class Report:
    """All of it. `stored` are the bytes of packs, `versions` those of all snapshots as if each stood alone."""

    partition: str
    place: str
    made: float
    sources: list[SourceState]
    snapshots: list[Point]
    protected: int
    versions: int
    stored: int
    packs: int
    tiers: dict[str, int]
    month_cost: float
    months: list[Month]
    growth: list[PathGrowth]
    restore: FullRestore | None
    staging: Staging
    checks: list[Check]
    currency: str
    prices: str
    damage: list[str] = field(default_factory=list)


def ordered_sources(snapshots: Sequence[Snapshot]) -> list[Source]:
    """The sources, by path and host: their numbers in a report."""
    return sorted({source_of(snapshot) for snapshot in snapshots})


def source_states(snapshots: Sequence[Snapshot], now: float, max_age: float | None) -> list[SourceState]:
    """The sources, each with the age of its newest snapshot."""
    found = []
    for source in ordered_sources(snapshots):
        own = [snapshot for snapshot in snapshots if source_of(snapshot) == source]
        times = sorted(snapshot.finished_ns / 1e9 for snapshot in own)
        expected = max_age if max_age is not None else _expected_age(times)
        newest = own[-1]
        found.append(
            SourceState(
                path=os.fsdecode(source.path),
                host=source.host,
                snapshots=len(own),
                first=times[0],
                last=times[-1],
                age=now - times[-1],
                expected=expected,
                too_old=now - times[-1] > expected,
                files=newest.totals.files,
                size=newest.totals.size,
                unreadable=newest.totals.unreadable,
            )
        )
    return found


def _expected_age(times: Sequence[float]) -> float:
    """How old a newest snapshot may be, by the gaps between the last ones."""
    gaps = [after - before for before, after in pairwise(times)][-_GAPS:]
    return max(_LEAST_AGE, _LATE * median(gaps)) if len(gaps) > 1 else _USUAL_AGE


def points(snapshots: Sequence[Snapshot], packs: Sequence[Pack]) -> list[Point]:
    """The snapshots by number."""
    numbers = {source: number for number, source in enumerate(ordered_sources(snapshots))}
    sizes: dict[Source, int] = {}
    stored = _stored_by(packs, [snapshot.finished_ns / 1e9 for snapshot in snapshots])
    found = []
    for snapshot, stored_then in zip(snapshots, stored, strict=True):
        totals = snapshot.totals
        sizes[source_of(snapshot)] = totals.size
        found.append(
            Point(
                number=snapshot.number,
                time=snapshot.finished_ns / 1e9,
                source=numbers[source_of(snapshot)],
                files=totals.files,
                size=totals.size,
                new=totals.new,
                changed=totals.changed,
                removed=totals.removed,
                unreadable=totals.unreadable,
                read=totals.read,
                stored=totals.stored,
                protected=sum(sizes.values()),
                stored_then=stored_then,
            )
        )
    return found


def months_of(packs: Sequence[Pack], now: float, prices: Prices) -> list[Month]:
    """The months from the first pack on. A tier without a price costs nothing here."""
    added: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for pack_id, size, tier in packs:
        month = f"{pack_id[:4]}-{pack_id[4:6]}"
        added[month][tier] += size
        counts[month][tier] += 1
    found: list[Month] = []
    total: dict[str, int] = defaultdict(int)
    blobs: dict[str, int] = defaultdict(int)
    for month in _months(min(added, default=""), max(added, default=""), now):
        for tier, size in added[month].items():
            total[tier] += size
            blobs[tier] += counts[month][tier]
        cost = {
            tier: prices.storing(size, tier, _MONTH_DAYS, blobs[tier])
            for tier, size in total.items()
            if tier in prices.gb_month
        }
        found.append(Month(month, dict(added[month]), dict(total), cost))
    return found


def _months(first: str, last: str, now: float) -> list[str]:
    """The months from the first to the last or this one, whichever is later; none without a first."""
    if not first:
        return []
    end = max(last, time.strftime("%Y-%m", time.gmtime(now)))
    year, month = int(first[:4]), int(first[5:])
    found: list[str] = []
    while f"{year:04}-{month:02}" <= end and len(found) < 1200:
        found.append(f"{year:04}-{month:02}")
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return found


def _stored_by(packs: Sequence[Pack], times: Sequence[float]) -> list[int]:
    """How many bytes of the packs were written by each of some times."""
    written = sorted((_written(pack.pack_id), pack.size) for pack in packs)
    moments = [when for when, _ in written]
    sums = [0, *accumulate(size for _, size in written)]
    return [sums[bisect_right(moments, moment + 1)] for moment in times]  # a pack's id has whole seconds


def _written(pack_id: str) -> float:
    return float(calendar.timegm(time.strptime(pack_id[:16], "%Y%m%dT%H%M%SZ")))


def notable(growth: Sequence[PathGrowth], most: int = 50) -> list[PathGrowth]:
    """The largest paths, and those that have grown most."""
    largest = sorted(growth, key=lambda each: (-each.size, each.path))[:most]
    growing = sorted((each for each in growth if each.grown > 0), key=lambda each: (-each.grown, each.path))[:most]
    return list(dict.fromkeys([*largest, *growing]))
