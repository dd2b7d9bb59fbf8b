"""backup.py --dry-run: names what would be stored and what left out, with totals and price. Writes nothing anywhere.

Names go to stdout, as results do; everything else to stderr, or all of it as JSON to stdout.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable
from functools import partial

from azbackup.cli.options.pace import limits_of, seconds_of
from azbackup.cli.output.results import Results
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clean, count_text, hours_text, money_text, size_text, time_text
from azbackup.cli.output.totals import rest_rows
from azbackup.cli.session import Session, open_catalog
from azbackup.cli.sources import Asked, host_name
from azbackup.cli.status import outcome_status
from azbackup.commands.backup.preview import Forecast, Planned, preview
from azbackup.commands.backup.run import Job
from azbackup.errors import Status
from azbackup.format.labels import CHUNK_NORMAL, PACK_BYTES
from azbackup.packs.padding import forecast_size
from azbackup.packs.thaw.policy import STANDARD_HOURS
from azbackup.records.eras import eras_of
from azbackup.storage.local.cache_file import cache_directory, open_nameless
from azbackup.storage.prices import Packed, Prices, backup_cost, restore_cost

_SPEEDS = (10, 100)  # Mbit/s: what people have to send with


def dry_run_command(
    args: argparse.Namespace, show: LineProgress, session: Session | None, source: bytes, asked: Asked
) -> Status:
    """Looks at one source; without a session the partition is not there yet."""
    partition, catalog = eras_of(*open_catalog(session))[-1] if session is not None else (None, None)
    cache = os.fsencode(cache_directory(os.environ))
    fresh, rules, rewrite = catalog is None, asked.rules, asked.rewrite
    job = Job(source, host_name(args), fresh, rereads=args.reread, cache=cache, rules=rules, rewrite=rewrite)
    results = Results(sys.stdout)
    tell = partial(_tell, results, source, as_json=show.json)
    forecast = preview(
        job, partition, catalog, show, tell, time.time(), partial(open_nameless, cache_directory(os.environ))
    )
    results.flush()
    show.close()
    _summary(show, source, forecast, asked, args)
    return outcome_status(show, forecast.totals.unreadable)


def _tell(results: Results, source: bytes, planned: Planned, *, as_json: bool) -> None:
    if results.gone:
        return
    path = os.fsdecode(planned.path)
    if as_json:
        what = planned.what.replace(" ", "_")
        results.event("would", what=what, source=os.fsdecode(source), path=path, size=planned.size, why=planned.why)
        return
    why = f"  [{planned.why}]" if planned.why else ""
    results.add(clean(f"{planned.what:<10} {size_text(planned.size):>10}  {path}{why}"))


def _summary(show: LineProgress, source: bytes, forecast: Forecast, asked: Asked, args: argparse.Namespace) -> None:
    totals, prices = forecast.totals, asked.prices
    size = forecast.padded
    stored = Packed(forecast.packs, size, asked.tier, forecast.records)
    once, monthly = backup_cost(prices, forecast.requests, stored)
    everything = forecast_size(totals.size, totals.files + totals.size // CHUNK_NORMAL)
    whole = restore_cost(prices, Packed(-(-everything // PACK_BYTES), everything, asked.tier))
    hours = STANDARD_HOURS if asked.tier == "archive" else 0.0
    requests = sum(forecast.requests.values())
    changed = totals.changed - forecast.read_again - forecast.rewritten
    sending = _sending(args.limit_upload, size)
    moving = _moving(prices, stored, args.archive_after) if args.archive_after else None
    values = {
        "source": os.fsdecode(source),
        **{name: getattr(totals, name) for name in _COUNTS},
        "changed": changed,
        "read_again": forecast.read_again,
        "read_again_size": forecast.to_reread,
        "to_store": forecast.to_store,
        "rewritten_files": forecast.rewritten,
        "rewritten": forecast.to_rewrite,
        "packs": forecast.packs,
        "padded": size,
        **{f"seconds_at_{speed}_mbit": seconds for speed, seconds in sending.items()},
        "requests": requests,
        "cost": round(once, 6),
        "cost_month": round(monthly, 6),
        "cost_moving": round(moving[0], 6) if moving else None,
        "cost_month_archived": round(moving[1], 6) if moving else None,
        "cost_restore": round(whole, 6),
        "hours_restore": hours,
        "currency": prices.currency,
    }
    again = f", {forecast.read_again:,} to read again ({size_text(forecast.to_reread)})" if forecast.read_again else ""
    counts = f"{totals.new:,} new, {changed:,} changed{again}"
    packs = count_text(forecast.packs, "pack")
    rewritten = count_text(forecast.rewritten, "file")
    anew = f", with {size_text(forecast.to_rewrite)} of {rewritten} that are stored anew" * (forecast.rewritten > 0)
    money = partial(money_text, currency=prices.currency)
    rows = [
        ("files", f"{counts}, {totals.unchanged:,} unchanged, {totals.removed:,} removed"),
        *rest_rows(totals),
        ("to store", f"at most {size_text(size)} in {packs}{anew}"),
        *_sending_rows(args.limit_upload, sending),
        ("cost", f"{money(once)} for about {requests:,} requests, {money(monthly)} a month"),
        *_moving_rows(moving, args.archive_after, money),
        ("restoring", f"all of it: {hours_text(hours)}, {money(whole)}"),
        ("prices", f"{prices.region}, {prices.as_of} (--region, --prices)"),
    ]
    show.summary(values, f"dry run of {os.fsdecode(source)}: nothing was written", rows)


def _moving(prices: Prices, stored: Packed, days: float) -> tuple[float, float]:
    """What it costs to move to the archive tier what was stored some days before, and to keep it there for a month."""
    once = prices.writing(stored.packs, "archive") + prices.leaving_early(stored.size, stored.tier, days)
    return once, backup_cost(prices, {}, stored._replace(tier="archive"))[1]


def _moving_rows(
    moving: tuple[float, float] | None, days: float, money: Callable[[float], str]
) -> list[tuple[str, str]]:
    if moving is None:
        return []
    return [("archive", f"{money(moving[0])} for moving it after {days:g} days, then {money(moving[1])} a month")]


def _sending(limit: str, size: int) -> dict[int, float | None]:
    """How many seconds what is to be stored takes to send, by Mbit/s; None for ten years."""
    now = time.localtime()
    limits = limits_of(limit)
    found = {each: seconds_of(limits, size, each * 125_000, now.tm_hour * 60 + now.tm_min) for each in _SPEEDS}
    return {each: round(seconds) if math.isfinite(seconds) else None for each, seconds in found.items()}


def _sending_rows(limit: str, sending: dict[int, float | None]) -> list[tuple[str, str]]:
    """The same as a row, where it takes a minute or more."""
    if all(seconds is not None and seconds < 60 for seconds in sending.values()):
        return []
    texts = [
        f"{'years' if seconds is None else time_text(seconds)} at {speed} Mbit/s" for speed, seconds in sending.items()
    ]
    return [("sending", ", ".join(texts) + ", with --limit-upload" * (limit != "0"))]


_COUNTS = (
    *("files", "directories", "size", "new", "changed", "unchanged", "removed", "unreadable"),
    *("left_out", "left_out_size"),
)
