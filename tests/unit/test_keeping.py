"""Which snapshots rules keep: plain times and tags, and what restic says of the same."""

from __future__ import annotations

import time
from calendar import timegm

import pytest

from azbackup.commands.maintenance.keeping import Rules, verdicts
from azbackup.format.model import Snapshot, Totals


def at(text: str, number: int, source: bytes = b"/home", tags: tuple[str, ...] = ()) -> Snapshot:
    """Give a snapshot of a moment, as in 2026-03-01 14:30."""
    finished = timegm(time.strptime(text, "%Y-%m-%d %H:%M"))
    return Snapshot(source, "pc", "run", 0, finished * 10**9, [], Totals(), tags=list(tags), number=number)


NIGHTS = [at(f"2026-{month:02d}-{day:02d} 03:15", month * 100 + day) for month in (1, 2, 3) for day in range(1, 29)]


def kept(snapshots: list[Snapshot], **rules: object) -> dict[int, list[str]]:
    """Return the numbers that are kept, with the reasons."""
    periods = {name: count for name, count in rules.items() if name.endswith("ly")}
    others = {name: value for name, value in rules.items() if name not in periods}
    made = Rules(periods=periods, **others)  # type: ignore[arg-type]
    found = verdicts(snapshots, made, time.gmtime)
    return {each.snapshot.number: each.reasons for its in found.values() for each in its if each.reasons}


def test_no_rule_keeps_all() -> None:
    """Without a rule nothing goes."""
    assert len(kept(NIGHTS)) == len(NIGHTS)


@pytest.mark.parametrize(
    ("rules", "numbers"),
    [
        ({"last": 2}, [327, 328]),
        ({"daily": 3}, [326, 327, 328]),
        ({"weekly": 3}, [315, 322, 328]),
        ({"monthly": 2}, [228, 328]),
        ({"yearly": 1}, [328]),
        ({"within": 2 * 86400.0}, [326, 327, 328]),
        ({"tags": ("other",)}, [328]),
    ],
)
def test_rules(rules: dict[str, object], numbers: list[int]) -> None:
    """The newest of each of the last periods; the newest snapshot whatever the rules say."""
    assert sorted(kept(NIGHTS, **rules)) == numbers


def test_a_snapshot_from_the_future() -> None:
    """A machine whose clock was wrong dated the newest one: by the service's time the others are not too old."""
    snapshots = [*NIGHTS, at("2099-01-01 00:00", 400)]
    now = timegm(time.strptime("2026-03-29 03:15", "%Y-%m-%d %H:%M"))
    (found,) = verdicts(snapshots, Rules(within=2 * 86400.0), time.gmtime, now).values()
    assert [each.snapshot.number for each in found if each.reasons] == [327, 328, 400]


def test_a_period_without_snapshots_takes_no_place() -> None:
    """Snapshots are counted, not days: a machine that was off for months keeps as many."""
    snapshots = [at("2025-01-05 03:00", 1), at("2025-01-06 03:00", 2), at("2026-03-01 03:00", 3)]
    assert sorted(kept(snapshots, daily=2)) == [2, 3]


def test_the_newest_of_a_period() -> None:
    """Of several in an hour, a day, a week the last one is kept; an hour is one of a day."""
    snapshots = [at(f"2026-03-01 {hour:02d}:{minute:02d}", hour * 60 + minute) for hour in (1, 2) for minute in (0, 30)]
    assert sorted(kept(snapshots, hourly=5)) == [60, 90, 150]
    assert kept(snapshots, hourly=5)[60] == ["oldest hourly"]
    assert sorted(kept(snapshots, hourly=2)) == [90, 150]


def test_weeks_are_those_of_the_calendar() -> None:
    """ISO weeks: the first days of a year may be of the last week of the one before."""
    snapshots = [at("2026-12-27 03:00", 1), at("2026-12-31 03:00", 2), at("2027-01-02 03:00", 3)]
    assert sorted(kept(snapshots, weekly=2)) == [1, 3]


def test_rules_add_up() -> None:
    """What any rule keeps is kept, with all of its reasons; periods that two rules share are not doubled."""
    found = kept(NIGHTS, last=1, daily=1, monthly=3)
    assert found == {
        328: ["newest", "last", "daily", "monthly"],
        228: ["monthly"],
        128: ["monthly"],
    }


def test_the_oldest_is_kept_until_a_rule_is_full() -> None:
    """A yearly rule that has seen less than its years keeps the oldest snapshot."""
    assert kept(NIGHTS, yearly=2) == {328: ["newest", "yearly"], 101: ["oldest yearly"]}


def test_sources_and_tags() -> None:
    """Rules hold for each source by itself; a tag keeps."""
    snapshots = [at("2026-01-01 03:00", 1, tags=("keep",)), at("2026-01-02 03:00", 2, b"/etc"), *NIGHTS]
    found = kept(snapshots, last=1, tags=("keep", "other"))
    assert found == {1: ["tag keep"], 2: ["newest", "last"], 328: ["newest", "last"]}
