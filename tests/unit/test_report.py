"""The figures of a report and its page: what is counted, and that nothing that is stored becomes markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from azbackup.cli.output.report.fleet import fleet_page
from azbackup.cli.output.report.sections import report_page
from azbackup.cli.report import values_of
from azbackup.commands.browse.fleet import fleet_of
from azbackup.commands.browse.growth import PathGrowth, PathSizes, growth_of
from azbackup.commands.browse.partitions import PartitionState
from azbackup.commands.browse.report import (
    Check,
    FullRestore,
    Pack,
    Report,
    Staging,
    months_of,
    points,
    source_states,
)
from azbackup.format.model import Entry, Kind, Layer, PackId, Snapshot, Totals
from azbackup.storage.prices import load_prices

PRICES = load_prices(None)
DAY = 86400.0
NOW = 1_780_000_000.0  # 2026-05-28
HOSTILE = "</title><script>alert(1)</script>\"'&<img src=x onerror=alert(2)>\x1b[31m\n\udcff"
VOID = {"meta", "br"}


def snapshot(number: int, days: float, path: bytes = b"/home", host: str = "one", **totals: int) -> Snapshot:
    """A snapshot so many days ago."""
    finished = int((NOW - days * DAY) * 1e9)
    return Snapshot(
        path,
        host,
        "run",
        finished - 10,
        finished,
        [Layer("run", 1, 1)],
        Totals(**{"files": 1, **totals}),
        number=number,
    )


def pack(stamp: str, size: int, tier: str) -> Pack:
    """A pack that was made at a time."""
    return Pack(PackId(f"{stamp}-0000000000000000"), size, tier)


def report(*, hostile: str = "x", damage: bool = False) -> Report:
    """A report of which every part has something, with a name in every place that names can come from."""
    name = hostile.encode("utf-8", "surrogateescape")
    snapshots = [
        snapshot(1, 70, b"/" + name, hostile, size=5 << 30, stored=3 << 30, unreadable=2),
        snapshot(2, 3, b"/" + name, hostile, size=6 << 30, stored=1 << 30),
        snapshot(3, 1, b"/other", size=1 << 20, stored=1000),
    ]
    packs = [pack("20260319T000000Z", 3 << 30, "archive"), pack("20260525T000000Z", 1 << 30, hostile)]
    months = months_of(packs, NOW, PRICES)
    return Report(
        partition=hostile,
        place=hostile,
        made=NOW,
        sources=source_states(snapshots, NOW, 2 * DAY),
        snapshots=points(snapshots, packs),
        protected=7 << 30,
        versions=12 << 30,
        stored=4 << 30,
        packs=2,
        tiers=months[-1].total,
        month_cost=0.01,
        months=months,
        growth=[PathGrowth(0, hostile, 5 << 30, 1, 1 << 30, NOW - 30 * DAY), PathGrowth(1, hostile, 9, 1, None, 0.0)],
        restore=FullRestore(
            3, 7 << 30, 2, 4 << 30, 1 << 30, 3 << 30, {"standard": 15, "high": 1}, {"standard": 1, "high": 6}
        ),
        staging=Staging(1, 1000, 1, 1),
        checks=[Check("records", NOW - DAY, 1, 0, hostile)],
        currency="USD",
        prices=hostile,
        damage=[hostile] if damage else [],
    )


class Page(HTMLParser):
    """What a browser makes of a page: elements that are closed as they were opened, their attributes, its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes it."""
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One that needs no end."""
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        """It closes what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        self.words.append(data)


@pytest.mark.parametrize("damage", [False, True])
def test_nothing_stored_becomes_markup(damage: bool) -> None:
    """With hostile names in every place the page has the elements that it has with tame ones, and shows the names."""
    tame, hostile = report_page(report(damage=damage)), report_page(report(hostile=HOSTILE, damage=damage))
    page = Page(hostile)
    assert page.tags == Page(tame).tags
    assert page.attributes == Page(tame).attributes
    assert not {each for each in page.attributes if each.startswith("on")} | ({"src", "href"} & page.attributes)
    assert "script" not in page.tags
    shown = "".join(page.words)
    assert "<script>alert(1)</script>" in shown
    assert "\\x1b[31m\\n\\udcff" in shown
    assert "\x1b" not in hostile
    hostile.encode("ascii", "xmlcharrefreplace")  # no surrogate is left


def test_the_page_needs_nothing_else() -> None:
    """No script, nothing to load, and a policy that forbids both; each chart has a name, and a table behind it."""
    text = report_page(report())
    page = Page(text)
    assert "default-src 'none'" in text
    assert not re.search(r"(?i)https?:|url\(|@import|javascript:", text)
    assert {"svg", "table", "details"} <= set(page.tags)
    assert page.tags.count("svg") == page.tags.count("details") == text.count('role="img"') == 6
    assert all("<details>" in part.split("</section>")[0] for part in text.split("</svg>")[1:])


def test_what_is_red() -> None:
    """The state in two words: damage first, then what is too old, and all is well where nothing is."""
    assert "damaged" in "".join(Page(report_page(report(damage=True))).words)
    assert "1 source too old" in report_page(report())
    assert " — too old" in report_page(report())
    states = [PartitionState("a<b>", NOW - 3600, size=5), PartitionState("never")]
    fleet = fleet_of("place", states, NOW, None, PRICES)
    assert [member.too_old for member in fleet.partitions] == [False, True]
    assert "1 partition too old" in fleet_page(fleet)
    Page(fleet_page(fleet))
    assert "all is well" in fleet_page(fleet_of("place", states[:1], NOW, None, PRICES))
    assert [member.too_old for member in fleet_of("place", states, NOW, 60.0, PRICES).partitions] == [True, True]


def test_how_old_a_backup_may_be() -> None:
    """What was asked for; else two and a half usual gaps, a day and a bit at least; two days where none is known."""
    nightly = [snapshot(number, 10 - number) for number in range(1, 9)]
    weekly = [snapshot(number, 70 - 7 * number) for number in range(1, 9)]
    hourly = [snapshot(number, (50 - number) / 24) for number in range(1, 49)]
    cases = (
        (nightly, None, 2.5),
        (weekly, None, 17.5),
        (hourly, None, 26 / 24),
        (nightly[:2], None, 2),
        (nightly, DAY, 1),
    )
    for snapshots, max_age, days in cases:
        [found] = source_states(snapshots, NOW, max_age)
        assert found.expected == pytest.approx(days * DAY)
        assert found.too_old == (found.age > found.expected)
    assert [found.too_old for found in source_states(weekly, NOW, None)] == [False]


def test_months() -> None:
    """What was added in each month up to this one, what is there then, and what that costs, by tier."""
    packs = [
        pack("20260105T000000Z", 10**9, "archive"),
        pack("20260106T000000Z", 10**9, "archive"),
        pack("20260315T000000Z", 10**9, "hot"),
        pack("20260316T000000Z", 10**9, "unheard-of"),
    ]
    months = months_of(packs, NOW, PRICES)
    assert [month.month for month in months] == ["2026-01", "2026-02", "2026-03", "2026-04", "2026-05"]
    assert [month.added for month in months[:3]] == [{"archive": 2 * 10**9}, {}, {"hot": 10**9, "unheard-of": 10**9}]
    assert months[-1].total == {"archive": 2 * 10**9, "hot": 10**9, "unheard-of": 10**9}
    assert months[0].cost == {"archive": pytest.approx(2 * PRICES.gb_month["archive"])}
    assert set(months[-1].cost) == {"archive", "hot"}
    assert months_of([], NOW, PRICES) == []


def test_points() -> None:
    """At each snapshot what all sources had by then, and what of the packs was there."""
    stamp = "20260520T000000Z"
    snapshots = [snapshot(1, 20, size=5), snapshot(2, 2, b"/b", size=7), snapshot(3, 1, size=6)]
    found = points(snapshots, [pack(stamp, 100, "hot"), pack("20200101T000000Z", 1, "hot")])
    assert [(each.protected, each.stored_then) for each in found] == [(5, 1), (12, 101), (13, 101)]
    assert [each.source for each in found] == [1, 0, 1]


def test_growth() -> None:
    """Directories of two levels and large files; of a file that was not large before nothing is claimed."""
    files = ((b"a/b/c/d", 10), (b"a/b/e", 5), (b"f", 3))
    now = PathSizes([Entry(path, int(Kind.FILE), size=size) for path, size in files])
    before = PathSizes([Entry(b"a/b/e", int(Kind.FILE), size=4), Entry(b"gone", int(Kind.FILE), size=9)])
    found = {each.path: (each.size, each.files, each.before) for each in growth_of(0, now, before, 1.0)}
    assert found == {
        "a": (15, 2, 4),
        "a/b": (15, 2, 4),
        "a/b/c/d": (10, 1, None),
        "a/b/e": (5, 1, 4),
        "f": (3, 1, None),
    }
    assert {each.before for each in growth_of(0, now, None, 0.0)} == {None}


def test_json_has_the_same_figures() -> None:
    """Whatever names are, as ASCII, and the page's figures."""
    values = json.loads(json.dumps(values_of(report(hostile=HOSTILE))))
    assert values["partition"] == HOSTILE
    assert values["restore"]["fragmentation"] == 4.0
    assert values["sources"][0]["path"] == "/" + HOSTILE
    assert values["months"][0]["added"] == {"archive": 3 << 30}
