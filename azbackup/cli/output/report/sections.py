"""One partition's page: what is known of it, most pressing first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from azbackup.cli.output.partition_table import age_text
from azbackup.cli.output.report.charts import Dot, dots, named_bars, stacked_bars, step_lines
from azbackup.cli.output.report.markup import behind, card, date_text, moment_text, table, text, tile
from azbackup.cli.output.report.page import page
from azbackup.cli.output.text import clean, count_text, hours_text, money_text, size_text
from azbackup.commands.browse.growth import PathGrowth
from azbackup.commands.browse.report import Month, Report, SourceState

_TOP = 15  # paths of a list
_ROWS = 20  # sources of the chart of snapshots
_NEWEST = 500  # snapshots of a table and charts
_MONTHS = 120
_DAMAGE = 50  # lines
_WASTEFUL = 2.0  # bytes thawed for a byte needed


def report_page(report: Report) -> str:
    """The page of one partition."""
    old = sum(source.too_old for source in report.sources)
    state, bad = _state(report, old)
    money = partial(money_text, currency=report.currency)
    cards = [
        *_damage(report),
        _sources(report.sources),
        *_over_time(report),
        *_months(report, money),
        *_paths(report),
        *_restore(report, money),
        _checks(report),
        _staging(report),
    ]
    return page(
        f"{report.partition}: backups",
        under=f"{report.place}, {moment_text(report.made)}",
        state=state,
        bad=bad,
        tiles=_tiles(report, money, old),
        cards=cards,
        foot="From records and listings alone; no contents were read. What was removed is not known any more: months "
        f"show what is still there. Prices: {report.prices}; an estimate, not a bill.",
    )


def _state(report: Report, old: int) -> tuple[str, bool]:
    """The page in two words, and whether they are bad ones."""
    if report.damage:
        return "damaged", True
    if old:
        return f"{count_text(old, 'source')} too old", True
    return "all is well", False


def _tiles(report: Report, money: Callable[[float], str], old: int) -> list[str]:
    newest = max((source.last for source in report.sources), default=0.0)
    restore = report.restore
    tiles = [
        tile("newest backup", _ago(report.made - newest), moment_text(newest), bad=bool(old)),
        tile("protected", size_text(report.protected), f"in {count_text(len(report.sources), 'source')}"),
        tile("stored", size_text(report.stored), f"in {count_text(report.packs, 'pack')}"),
        tile("a month", money(report.month_cost), "for what is stored now"),
    ]
    if restore is not None:
        hours = hours_text(restore.hours["standard"])
        tiles.append(tile("full restore today", money(restore.total["standard"]), hours, bad=restore.lost_files > 0))
    return tiles


def _ago(seconds: float) -> str:
    age = age_text(seconds)
    return "just now" if age == "now" else f"{age} ago"


def _damage(report: Report) -> Iterator[str]:
    if report.damage:
        lines = "".join(f"<li>{text(line)}</li>" for line in report.damage[:_DAMAGE])
        more = f"<p>and {len(report.damage) - _DAMAGE:,} more</p>" if len(report.damage) > _DAMAGE else ""
        note = "Keep the storage as it is; docs/operations.md says what to do about damaged storage."
        yield card("Damage", f'<ul class="plain">{lines}</ul>{more}', wide=True, note=text(note))


def _sources(sources: Sequence[SourceState]) -> str:
    rows = [
        [
            f"{text(source.path)}<br><small>{text(source.host)}</small>",
            f"{text(age_text(source.age))}{' — too old' if source.too_old else ''}",
            text(moment_text(source.last)),
            text(age_text(source.expected)),
            f"{source.snapshots:,}",
            f"{source.files:,}",
            size_text(source.size),
            f"{source.unreadable:,}" if source.unreadable else "",
        ]
        for source in sources
    ]
    heads = ("source", "age", "last backup", "red from", "snapshots", "files", "size", "unreadable")
    return card("Sources", table(heads, rows, marks=[source.too_old for source in sources]), wide=True)


def _over_time(report: Report) -> Iterator[str]:
    """Protected beside stored, and every snapshot."""
    points = report.snapshots[-_NEWEST:]
    times = [point.time for point in points]
    series = {
        "protected": [float(point.protected) for point in points],
        "stored": [float(point.stored_then) for point in points],
    }
    heads = ("snapshot", "time", "files", "size", "new", "changed", "removed", "read", "stored")
    rows = [
        [
            f"{point.number}",
            text(moment_text(point.time)),
            f"{point.files:,}",
            size_text(point.size),
            f"{point.new:,}",
            f"{point.changed:,}",
            f"{point.removed:,}",
            size_text(point.read),
            size_text(point.stored),
        ]
        for point in reversed(points)
    ]
    by_day = {date_text(point.time): point for point in points}  # the last one of each day
    stored = [
        [text(day), size_text(point.protected), size_text(point.stored_then)] for day, point in reversed(by_day.items())
    ]
    note = f"{count_text(len(report.snapshots), 'snapshot')}, if each stood alone: {size_text(report.versions)}."
    yield card(
        "Protected and stored",
        step_lines("protected and stored bytes over time", times, series, size_text)
        + behind("the figures", table(("day", "protected", "stored"), stored)),
        note=text(note),
    )
    names = [f"{source.path} on {source.host}" for source in report.sources[:_ROWS]]
    most = max((point.stored for point in points), default=0) or 1
    found = [
        Dot(
            point.time,
            point.source,
            (point.stored / most) ** 0.5,
            f"snapshot {point.number}, {moment_text(point.time)}: stored {size_text(point.stored)}",
        )
        for point in points
        if point.source < len(names)
    ]
    yield card(
        "Snapshots",
        dots("snapshots of each source over time", names, found) + behind("every snapshot", table(heads, rows, left=2)),
        note="A dot is as large as what the snapshot had to store.",
    )


def _months(report: Report, money: Callable[[float], str]) -> Iterator[str]:
    months = report.months[-_MONTHS:]
    if not months:
        return
    added = {tier: [float(month.added.get(tier, 0)) for month in months] for tier in _tiers(months)}
    cost = {tier: [month.cost.get(tier, 0.0) for month in months] for tier in _tiers(months)}
    names = [month.month for month in months]
    chart = stacked_bars("bytes stored by month and tier", names, added, size_text, binary=True)
    yield card("Stored, by month", chart + _by_month(names, added, size_text))
    chart = stacked_bars("cost a month, by tier", names, cost, lambda value: f"{value:.3g}", binary=False)
    yield card(f"Cost of keeping it, {report.currency} a month", chart + _by_month(names, cost, money))


def _tiers(months: Sequence[Month]) -> list[str]:
    return sorted({tier for month in months for tier in month.total})


def _by_month(names: Sequence[str], series: dict[str, list[float]], shown: Callable[[float], str]) -> str:
    """The table behind the bars, the newest month first."""
    rows = [
        [text(name), *(text(shown(values[at])) for values in series.values())]
        for at, name in reversed([*enumerate(names)])
    ]
    return behind("the figures", table(("month", *series), rows))


def _paths(report: Report) -> Iterator[str]:
    def name(each: PathGrowth) -> str:
        source = report.sources[each.source].path if len(report.sources) > 1 else ""
        return f"{source}/{each.path}" if source else each.path

    largest = sorted(report.growth, key=lambda each: (-each.size, each.path))[:_TOP]
    growing = sorted((each for each in report.growth if each.grown > 0), key=lambda each: (-each.grown, each.path))[
        :_TOP
    ]
    heads = ("path", "files", "size", "before")
    if largest:
        rows = [
            [
                text(name(each)),
                f"{each.files:,}",
                size_text(each.size),
                "" if each.before is None else size_text(each.before),
            ]
            for each in largest
        ]
        bars = named_bars("largest paths", [(name(each), float(each.size), size_text(each.size)) for each in largest])
        yield card("Largest paths", bars + behind("the figures", table(heads, rows)))
    if growing:
        rows = [
            [text(name(each)), f"{each.files:,}", size_text(each.size), size_text(each.before or 0)] for each in growing
        ]
        grown = [(name(each), float(each.grown), f"+{size_text(each.grown)}") for each in growing]
        since = min(each.since for each in growing)
        yield card(
            "Fastest-growing paths",
            named_bars("fastest-growing paths", grown) + behind("the figures", table(heads, rows)),
            note=f"Since {text(date_text(since))}.",
        )


def _restore(report: Report, money: Callable[[float], str]) -> Iterator[str]:
    restore = report.restore
    if restore is None:
        return
    rows = [
        ("files", f"{restore.files:,}, {size_text(restore.size)}"),
        ("packs", f"{restore.packs:,}, {size_text(restore.whole)}; {size_text(restore.thaw)} of that to thaw"),
        ("fragmentation", f"{restore.fragmentation:.2f} bytes of packs for a byte that is needed"),
        *((name, f"{hours_text(restore.hours[name])}, {money(total)}") for name, total in restore.total.items()),
    ]
    if restore.lost_files:
        rows.append(("cannot be restored", count_text(restore.lost_files, "file")))
    inside = "<dl>" + "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in rows) + "</dl>"
    wasteful = "A new full backup into packs of its own would make restores cheaper."
    note = text(wasteful) if restore.fragmentation >= _WASTEFUL else ""
    yield card("A full restore today", inside, note=note)


def _checks(report: Report) -> str:
    if not report.checks:
        return card(
            "Verification", "<p>Nothing was verified yet: restore.py --verify holds all records against packs.</p>"
        )
    rows = [
        [
            text(check.kind),
            text(moment_text(check.time)),
            f"{check.damages:,}" + (f" ({check.known:,} settled)" if check.known else ""),
            text(check.text),
        ]
        for check in report.checks
    ]
    heads = ("what was verified", "when", "damaged", "result")
    return card("Verification", table(heads, rows, left=4, marks=[check.damages > 0 for check in report.checks]))


def _staging(report: Report) -> str:
    staging = report.staging
    if not staging.copies and not staging.waiting:
        return card("Staging", "<p>No thawed copies.</p>")
    waits = f"; {count_text(staging.waiting, 'restore')} waiting" if staging.waiting else ""
    inside = (
        f"{count_text(staging.copies, 'copy')}, {size_text(staging.size)}, {staging.pending:,} still thawing{waits}. "
        "The last restore removes them, or restore.py --discard-thawed."
    )
    return card("Staging", f"<p>{text(clean(inside))}</p>")
