"""Which snapshots rules keep, and why. Pure; the rules are those of restic.

Of the snapshots of a source, the newest first, a rule keeps the newest one of each of its last N periods: hours, days,
ISO weeks, months, years with a snapshot in them, as the clock showed them. Snapshots that are there are counted, not
days: a machine that was off loses nothing. Rules add up. Promises that the newest snapshot of a source is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from azbackup.format.model import Snapshot
from azbackup.records.snapshots import Source, source_of

LocalTime = Callable[[float], time.struct_time]

# A rule's name, and what two moments of one period have in common, as strftime tells it.
PERIODS = {"hourly": "%Y%m%d%H", "daily": "%Y%m%d", "weekly": "%G%V", "monthly": "%Y%m", "yearly": "%Y"}


@dataclass(frozen=True)
class Rules:
    """What is kept: the last so many, of each so many periods (`periods`, by name), within some seconds, with a tag."""

    last: int = 0
    periods: dict[str, int] = field(default_factory=dict)
    within: float = 0.0
    tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any rule: without one everything is kept."""
        return bool(self.last or any(self.periods.values()) or self.within or self.tags)


class Verdict(NamedTuple):
    """A snapshot, and why it is kept; nothing for one that goes."""

    snapshot: Snapshot
    reasons: list[str]


def verdicts(
    snapshots: Sequence[Snapshot], rules: Rules, local: LocalTime, now: float = math.inf
) -> dict[Source, list[Verdict]]:
    """What becomes of each snapshot, by source, in order of number. Without any rule all are kept.

    `now`: of the newest snapshot, as the service has it. One that a machine with a wrong clock dated later makes
    no others too old.
    """
    by_source: dict[Source, list[Snapshot]] = {}
    for snapshot in snapshots:
        by_source.setdefault(source_of(snapshot), []).append(snapshot)
    return {source: _of_source(its, rules, local, now) for source, its in by_source.items()}


def _of_source(snapshots: list[Snapshot], rules: Rules, local: LocalTime, now: float) -> list[Verdict]:
    newest = snapshots[-1]
    until = min(newest.finished_ns, now * 1e9)
    if not rules:
        return [Verdict(snapshot, ["no rule"]) for snapshot in snapshots]
    left = {name: count for name, count in rules.periods.items() if count}
    seen: dict[str, str] = {}
    found = []
    for age, snapshot in enumerate(reversed(snapshots)):
        reasons = ["newest"] if snapshot is newest else []
        if age < rules.last:
            reasons.append("last")
        moment = local(snapshot.finished_ns / 1e9)
        oldest = age == len(snapshots) - 1
        for name in [name for name, count in left.items() if count]:
            period = time.strftime(PERIODS[name], moment)
            if period != seen.get(name):
                reasons.append(name)
            elif oldest:
                reasons.append(f"oldest {name}")  # a period that is not full: what it will keep later is not known yet
            else:
                continue
            seen[name] = period
            left[name] -= 1
        if rules.within and until - snapshot.finished_ns <= rules.within * 1e9:
            reasons.append("within")
        reasons += [f"tag {tag}" for tag in snapshot.tags if tag in rules.tags]
        found.append(Verdict(snapshot, reasons))
    return found[::-1]
