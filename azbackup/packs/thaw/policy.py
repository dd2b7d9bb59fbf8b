"""Which packs are asked for, and at which priority: what the account's hour at high priority has room for. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from azbackup.packs.layout import PackLayout

HIGH_BUDGET = 10 * 1024**3  # bytes an hour and account at high priority: what Azure documents
STANDARD_HOURS = 15.0
HIGH_HOURS = 1.0


class State(enum.Enum):
    """Where a pack's bytes are."""

    ONLINE = "online"
    ARCHIVED = "archived"
    PENDING = "pending"
    THAWED = "thawed"
    MISSING = "missing"


@dataclass(frozen=True)
class ThawOptions:
    """How to thaw: priority standard, high or mixed; `budget` bytes an hour at high; in place instead of by copy.

    `urgent`: so many of the packs, as they are needed, come first at mixed priority, whatever their sizes.
    """

    priority: str = "standard"
    budget: int = HIGH_BUDGET
    in_place: bool = False
    urgent: int = 0


@dataclass(frozen=True, slots=True)
class ThawRequest:
    """One request to come: a pack, the priority, and whether it raises a thaw that is pending."""

    pack: PackLayout
    priority: str
    raises: bool = False


def choose_requests(
    needed: Sequence[tuple[PackLayout, State, str]], options: ThawOptions, used: int
) -> tuple[list[ThawRequest], list[PackLayout]]:
    """(what to ask for, what waits for the next hour's budget), from (pack, state, priority it was asked for with).

    `needed` is in the order of need; `used` is what this hour's budget has spent. Pure.
    """
    archived = [pack for pack, state, _ in needed if state is State.ARCHIVED]
    if options.priority == "standard":
        return [ThawRequest(pack, "standard") for pack in archived], []
    left = options.budget - used
    asks: list[ThawRequest] = []
    later: list[PackLayout] = []
    if options.priority == "mixed":
        first = {pack.pack_id: place for place, pack in enumerate(archived)}
        urgent = {pack.pack_id for pack, _, _ in needed[: options.urgent]}
        archived.sort(key=lambda pack: (0 if pack.pack_id in urgent else pack.record.size, first[pack.pack_id]))
    for pack in archived:
        if pack.record.size <= left:
            left -= pack.record.size
            asks.append(ThawRequest(pack, "high"))
        elif options.priority == "mixed":
            asks.append(ThawRequest(pack, "standard"))
        else:
            later.append(pack)
    if options.priority == "high":
        for pack, state, priority in needed:
            if state is State.PENDING and priority != "high" and pack.record.size <= left:
                left -= pack.record.size
                asks.append(ThawRequest(pack, "high", raises=True))
    return asks, later
