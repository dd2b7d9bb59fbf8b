"""All partitions of a container in figures: which backups are too old, what is stored, what it costs. Pure.

From names, sizes and times alone, as partitions.survey finds them without a password.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from azbackup.commands.browse.partitions import PartitionState
from azbackup.storage.prices import Prices

_MONTH_DAYS = 30.0
_USUAL_AGE = 26 * 3600.0  # a night and a bit


@dataclass(frozen=True)
class Member:
    """One partition. Times are Unix seconds; `newest_backup` and `age` are None where there was none."""

    partition: str
    newest_backup: float | None
    age: float | None
    too_old: bool
    snapshots: int
    packs: int
    size: int
    tiers: dict[str, int]
    month_cost: float


@dataclass(frozen=True)
class Fleet:
    """All of them; `expected` is the age in seconds up to which a newest backup is not too old."""

    place: str
    made: float
    expected: float
    partitions: list[Member]
    currency: str
    prices: str


def fleet_of(place: str, states: Sequence[PartitionState], now: float, max_age: float | None, prices: Prices) -> Fleet:
    """The fleet at a time; `max_age` in seconds, None for a day and a bit."""
    expected = _USUAL_AGE if max_age is None else max_age
    members = [_member(state, now, expected, prices) for state in states]
    return Fleet(place, now, expected, members, prices.currency, f"{prices.region}, {prices.as_of}")


def _member(state: PartitionState, now: float, expected: float, prices: Prices) -> Member:
    newest = state.newest_backup or None
    cost = sum(prices.storing(size, tier, _MONTH_DAYS) for tier, size in state.tiers.items() if tier in prices.gb_month)
    return Member(
        partition=state.name,
        newest_backup=newest,
        age=now - newest if newest is not None else None,
        too_old=newest is None or now - newest > expected,
        snapshots=state.snapshots,
        packs=state.packs,
        size=state.size,
        tiers=dict(sorted(state.tiers.items())),
        month_cost=cost,
    )
