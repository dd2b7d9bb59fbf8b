"""The project's goals for speed, memory, requests and size, as ratios to restic in the same run; which are met.

Wall times have to hold directly and with 20 ms added to every request.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.samples import DIRECT, DISTANT, FAR, OPERATIONS, WIDE, Medians

_WALL = {
    "first": {"S": 0.85, "M": 0.75, "L": 0.5},
    "unchanged": {"S": 0.7, "M": 0.7, "L": 0.7},
    "changed": {"S": 0.7, "M": 0.7, "L": 0.7},
    "restore": {"S": 0.9, "M": 0.9, "L": 0.8},
}
_REQUESTS = {"first": 8, "unchanged": 6, "changed": 9, "restore": 12}
_CPU_LARGE_FIRST = 0.3
_PEAK = 1.3
_SLOW = 0.8  # where the link is wider than one connection
_PACK_BYTES = 64 << 20
_RATE = 0.8


@dataclass(frozen=True)
class Result:
    """One goal: what was reached, against its limit; `reached` must be at most (or `at_least`) `limit`."""

    tree: str
    operation: str
    what: str
    limit: float
    reached: dict[str, float]
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is met over every link where it was measured."""
        if self.at_least:
            return all(value >= self.limit for value in self.reached.values())
        return all(value <= self.limit for value in self.reached.values())


def results(medians: Medians) -> list[Result]:
    """All goals that this run can say something about."""
    found = [*_walls(medians), *_cpus(medians), *_requests(medians), *_sizes(medians), *_peaks(medians)]
    found += _rates(medians)
    return [each for each in found if each.reached]


def _ratios(medians: Medians, measure: str, tree: str, operation: str, links: tuple[str, ...]) -> dict[str, float]:
    ratios = {}
    for link in links:
        ours = medians.of(measure, link, tree, "azbackup", operation)
        theirs = medians.of(measure, link, tree, "restic", operation)
        if ours is not None and theirs:
            ratios[link] = ours / theirs
    return ratios


def _walls(medians: Medians) -> Iterator[Result]:
    for operation, limits in _WALL.items():
        for tree, limit in limits.items():
            ratios = _ratios(medians, "wall", tree, operation, (DIRECT, DISTANT))
            yield Result(tree, operation, "wall time / restic's", limit, ratios)
    for operation in ("first", "restore"):
        yield Result(
            "L", operation, "wall time / restic's", _SLOW, _ratios(medians, "wall", "L", operation, (WIDE, FAR))
        )


def _cpus(medians: Medians) -> Iterator[Result]:
    ratios = _ratios(medians, "cpu", "L", "first", (DIRECT,))
    yield Result("L", "first", "CPU / restic's", _CPU_LARGE_FIRST, ratios)


def _requests(medians: Medians) -> Iterator[Result]:
    for operation, limit in _REQUESTS.items():
        count = medians.of("requests", DISTANT, "S", "azbackup", operation)
        yield Result("S", operation, "requests", limit, {DISTANT: count} if count else {})
    count = medians.of("requests", DISTANT, "L", "azbackup", "first")
    size = medians.of("stored", DISTANT, "L", "azbackup", "first")
    if count and size:
        yield Result("L", "first", "requests", math.ceil(size / _PACK_BYTES) + 8, {DISTANT: count})


def _sizes(medians: Medians) -> Iterator[Result]:
    for tree in ("S", "M", "L"):
        for operation in ("first", "changed"):
            yield Result(
                tree, operation, "bytes stored / restic's", 1.0, _ratios(medians, "stored", tree, operation, (DIRECT,))
            )


def _peaks(medians: Medians) -> Iterator[Result]:
    for tree in ("S", "M", "L"):
        for operation in OPERATIONS:
            ratios = _ratios(medians, "peak", tree, operation, (DIRECT, DISTANT))
            yield Result(tree, operation, "peak memory / restic's", _PEAK, ratios)


def _rates(medians: Medians) -> Iterator[Result]:
    rates = {}
    for link in (DIRECT, DISTANT):
        ours = medians.of("wall", link, "L", "azbackup", "first")
        bare = medians.of("wall", link, "L", "SDK", "first")
        if ours and bare:
            rates[link] = bare / ours
    yield Result("L", "first", "rate / the bare SDK's", _RATE, rates, at_least=True)
