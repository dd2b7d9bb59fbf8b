"""The command line of restore.py: options into a Wish, an Outcome into words and an exit status."""

from __future__ import annotations

import argparse
import hmac
import os
import shlex
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from azbackup.catalog import Catalog, choose, latest_by_source
from azbackup.crypto import Keys, derive
from azbackup.errors import NothingStored, Status, UsageError
from azbackup.estimate import Estimate
from azbackup.keystore import Keystore
from azbackup.model import Snapshot
from azbackup.plan import NeededPack
from azbackup.prices import load_prices
from azbackup.records import Records
from azbackup.restore import Outcome, Restore, Wish
from azbackup.selection import Selection
from azbackup.terminal import Json, Lines, clean, size_text, time_text
from azbackup.thawing import Pending, Thawing, ThawWish
from azbackup.vault import Vault, open_vault, outcome_status, password_of

_FIRST_POLL_SECONDS = 30.0
_LAST_POLL_SECONDS = 900.0
_SECRETS = ("--password", "--accesskey", "--sas-token", "--connection-string")


def restore_command(args: argparse.Namespace, show: Lines) -> Status:
    """restore.py."""
    started = time.monotonic()
    _check(args)
    prices = load_prices(args.prices)
    vault = open_vault(args)
    password = password_of(args, "--password", "AZBACKUP_PASSWORD")
    opened = Keystore(vault.rows, vault.blobs, vault.partition).open(password)
    keys = derive(opened.data_key)
    if not opened.in_table:
        show.note("the table has lost this partition: reading the records' copies")
    records = Records(vault.rows if opened.in_table else None, vault.blobs, keys, vault.partition)
    records.damage += [opened.damage] if opened.damage else []
    catalog = Catalog(records)
    destination = os.path.abspath(os.fsencode(args.destination)) if args.destination is not None else None
    thawing = Thawing(vault.blobs, vault.staging, vault.partition, _mark(keys, destination))
    if args.discard_thawed:
        return _discard(catalog, thawing, show)
    wish = Wish(
        snapshots=_chosen(args, catalog, vault, show),
        destination=destination,
        selection=Selection([os.fsencode(path) for path in args.paths], args.include, args.exclude),
        thaw=ThawWish(args.priority, int(args.high_budget * 1024**3), args.thaw == "in-place"),
        prices=prices,
        now=time.time,
        overwrite=args.overwrite,
        check_existing=args.check_existing,
        max_cost=args.max_cost,
        plan_only=args.plan or args.dry_run,
        dry_run=args.dry_run,
        wait=_waiter(args.poll_interval, show) if args.wait else None,
        tell=lambda plan: _tell_plan(args, show, plan),
    )
    outcome = Restore(wish, catalog, thawing, keys, show).run()
    show.close()
    _summary(args, show, outcome, sum(vault.account.requests.values()), time.monotonic() - started)
    status = outcome_status(show, outcome.damage, outcome.problems)
    return Status.THAWING if status is not Status.DAMAGED and outcome.pending_files else status


def _check(args: argparse.Namespace) -> None:
    if args.destination is None and not (args.plan or args.discard_thawed):
        raise UsageError("no destination is given", "name the directory to restore into, or give --plan")
    if args.high_budget < 0 or (args.poll_interval is not None and args.poll_interval <= 0):
        raise UsageError("--high-budget and --poll-interval are positive numbers", "see --help")


def _mark(keys: Keys, destination: bytes | None) -> str:
    """The name of a restore's mark: the same for the same destination from any host, and telling nothing of it."""
    return hmac.digest(keys.record_key.reveal(), b"restore\0" + (destination or b""), "sha256")[:8].hex()


def _chosen(args: argparse.Namespace, catalog: Catalog, vault: Vault, show: Lines) -> list[tuple[Snapshot, bytes]]:
    """The snapshots to restore, each with its prefix in the destination."""
    snapshots = catalog.snapshots()
    if args.snapshot is not None:
        return [(choose(snapshots, args.snapshot), b"")]
    latest = latest_by_source(snapshots)
    if args.source is not None:
        source = os.path.abspath(os.fsencode(args.source))
        if source not in latest:
            known = ", ".join(clean(os.fsdecode(each)) for each in sorted(latest)) or "none"
            raise NothingStored(
                f"source {os.fsdecode(source)} is not in partition {vault.partition}", f"its sources: {known}"
            )
        return [(latest[source], b"")]
    if not latest:
        raise NothingStored(
            f"partition {vault.partition} has a key but no snapshot yet",
            "the first backup has not finished: run it again",
        )
    if len(latest) == 1:
        return [(snapshot, b"") for snapshot in latest.values()]
    show.note(f"partition {vault.partition} has {len(latest)} sources: each goes under the destination, by its path")
    return [(snapshot, source.strip(b"/")) for source, snapshot in sorted(latest.items())]


# --- waiting


def _waiter(interval: float | None, show: Lines) -> Callable[[Pending | None], None]:
    """Sleeps between two looks at what thaws, longer each time unless an interval was given."""
    seconds = interval or _FIRST_POLL_SECONDS

    def wait(pending: Pending | None) -> None:
        nonlocal seconds
        show.note(f"{_pending_text(pending)}; looking again in {time_text(seconds)}")
        time.sleep(seconds)
        if interval is None:
            seconds = min(seconds * 1.5, _LAST_POLL_SECONDS)

    return wait


def _pending_text(pending: Pending | None) -> str:
    if pending is None:
        return "all of this hour's budget of high-priority thaws is used"
    since = f" since {_clock(pending.since)}" if pending.since else ""
    until = f", the last until {_clock(pending.until)} at the latest" if pending.until else ""
    return f"{_count(pending.packs, 'pack')} ({size_text(pending.size)}) thawing{since}{until}"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s" if noun != "copy" else f"{number:,} copies"


# --- the plan


def _tell_plan(args: argparse.Namespace, show: Lines, plan: Estimate) -> None:
    """The plan: whole when it was asked for, one line when something is going to be thawed, else nothing."""
    asked = args.plan or args.dry_run
    if isinstance(show, Json):
        show.event("plan", **plan_values(plan))
    elif asked:
        for line in plan_lines(plan):
            print(line)
    elif plan.thaw_bytes:
        show.note(
            f"{_count(plan.requests['thaw'], 'pack')} ({size_text(plan.thaw_bytes)}) to thaw, "
            f"at most {plan.hours['high' if args.priority == 'high' else 'standard']:.0f} h; "
            f"about {_money(plan.price, plan.currency)} in all (--plan shows how)"
        )


def _money(amount: float, currency: str) -> str:
    return f"{amount:.2f} {currency}" if amount >= 0.01 or not amount else f"less than 0.01 {currency}"


def plan_values(plan: Estimate) -> dict[str, Any]:
    """The plan as JSON values, a documented interface."""
    values: dict[str, Any] = msgspec.to_builtins(plan)
    return {**values, "price": round(plan.price, 6)}


def plan_lines(plan: Estimate) -> list[str]:
    """The plan for people."""
    already = f" ({plan.already:,} more are there already)" if plan.already else ""
    lines = [f"to restore:  {_count(plan.files, 'file')}, {size_text(plan.size)}{already}"]
    for state, count in plan.packs.items():
        lines.append(f"packs:       {count:,} {state}, {size_text(plan.pack_bytes[state])}")
    lines.append(f"to thaw:     {size_text(plan.thaw_bytes)}")
    lines.append(f"to read:     {size_text(plan.read_bytes)}")
    lines.append("requests:    " + ", ".join(f"{count:,} {kind}" for kind, count in plan.requests.items() if count))
    for priority in ("standard", "high"):
        hours = plan.hours[priority]
        wait = f"at most {hours:.0f} h" if hours else "nothing to wait for"
        lines.append(f"{priority + ':':12} {wait}, about {_money(plan.total[priority], plan.currency)}")
    lines += [f"  {heading}: {_money(amount, plan.currency)}" for heading, amount in plan.cost.items()]
    lines.append(f"prices:      {plan.prices}; an estimate, not a bill: --prices FILE takes your own figures")
    return lines


# --- the end


def _summary(args: argparse.Namespace, show: Lines, outcome: Outcome, requests: int, seconds: float) -> None:
    if isinstance(show, Json):
        counts = {name: value for name, value in vars(outcome).items() if isinstance(value, int)}
        pending = msgspec.to_builtins(outcome.pending) if outcome.pending else None
        copies, size = outcome.staged
        show.event(
            "summary",
            **counts,
            pending=pending,
            staged_copies=copies,
            staged_size=size,
            again=_again() if outcome.pending_files else None,
            requests=requests,
            seconds=round(seconds, 3),
        )
        return
    if outcome.pending_files:
        budget = f"; {_count(outcome.later_packs, 'pack')} wait for the next hour's budget"
        later = budget if outcome.later_packs else ""
        show.line(f"{_count(outcome.pending_files, 'file')} wait: {_pending_text(outcome.pending)}{later}")
        show.line(f"to go on later, run again: {_again()}")
    if args.quiet:
        return
    if outcome.staged[0]:
        others = f", {outcome.others} other restores still wait for them" if outcome.others else ""
        show.line(
            f"{_count(outcome.staged[0], 'copy')} ({size_text(outcome.staged[1])}) in the staging container{others}; "
            "the last restore removes them, or --discard-thawed"
        )
    if not (args.plan or args.dry_run):
        parts = [f"restored {_count(outcome.files, 'file')}, {size_text(outcome.size)}"]
        parts += [f"{outcome.already:,} were there already"] if outcome.already else []
        parts += [f"{outcome.kept:,} kept as they were"] if outcome.kept else []
        parts += [f"{outcome.problems:,} could not be restored"] if outcome.problems else []
        show.line(f"{', '.join(parts)}; {requests} requests, {time_text(seconds)}")


def _again() -> str:
    """The command that was given, its secrets replaced: they do not belong into a log."""
    words: list[str] = []
    hide = False
    for word in sys.argv:
        flag, equals, _ = word.partition("=")
        if hide:
            words.append("...")
        elif flag in _SECRETS and equals:
            words.append(f"{flag}=...")
        else:
            words.append(shlex.quote(word))
        hide = not hide and word in _SECRETS
    return clean("python " + " ".join(words))


def _discard(catalog: Catalog, thawing: Thawing, show: Lines) -> Status:
    packs = [NeededPack(pack_id, record) for pack_id, record in catalog.packs()]
    copies, size, back = thawing.discard_all(packs)
    show.close()
    if isinstance(show, Json):
        show.event("summary", discarded=copies, size=size, archived_again=back)
    else:
        again = f"; {_count(back, 'pack')} went back into the archive tier" if back else ""
        show.line(f"removed {_count(copies, 'copy')} ({size_text(size)}) from the staging container{again}")
    return Status.DONE
