"""What retention did, or would do, as lines for people and as JSON values. Pure.

The JSON names are an interface: docs/operations.md describes them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from azbackup.cli.output.text import clean, count_text, local_text, money_text, size_text
from azbackup.commands.maintenance.free import DAY_SECONDS, PackState
from azbackup.commands.maintenance.keeping import Verdict
from azbackup.commands.maintenance.ledger import GRACE_DAYS
from azbackup.commands.maintenance.retention import Outcome


def verdict_lines(outcome: Outcome) -> Iterator[str]:
    """Each snapshot by source, and why it is kept."""
    retired = {snapshot.number for snapshot in outcome.retired}
    for source, its in outcome.verdicts.items():
        yield f"{clean(str(source))}:"
        for each in its:
            what = "remove" if each.snapshot.number in retired else "keep"
            why = ", ".join(each.reasons) if what == "keep" else ""
            tags = f"  [{clean(', '.join(each.snapshot.tags))}]" if each.snapshot.tags else ""
            line = f"{what:<6} {each.snapshot.number:>6}  {local_text(each.snapshot.finished_ns)}  {clean(why)}{tags}"
            yield line.rstrip()


def verdict_values(verdict: Verdict, *, keep: bool) -> dict[str, Any]:
    """One snapshot as JSON values."""
    snapshot = verdict.snapshot
    return {
        "snapshot": snapshot.number,
        "source": os.fsdecode(snapshot.source),
        "host": snapshot.host,
        "finished_ns": snapshot.finished_ns,
        "keep": keep,
        "reasons": verdict.reasons if keep else [],
        "tags": snapshot.tags,
    }


def outcome_values(outcome: Outcome) -> dict[str, Any]:
    """All of it as JSON values."""
    parts = ("condemned", "waiting", "young", "deleted")
    values: dict[str, Any] = {
        "removed": [snapshot.number for snapshot in outcome.retired],
        "kept": sum(len(its) for its in outcome.verdicts.values()) - len(outcome.retired),
        "recalled": [snapshot.number for snapshot in outcome.recalled],
        "looked": outcome.looked,
    }
    for part in parts:
        states: list[PackState] = getattr(outcome, part)
        values |= {part: len(states), f"{part}_size": _size(states)}
    return {
        **values,
        "spared": len(outcome.spared),
        "size": outcome.total,
        "saves_month": round(outcome.month, 6),
        "fee_now": round(outcome.fee, 6),
        "currency": outcome.currency,
    }


def outcome_text(outcome: Outcome, *, dry_run: bool) -> str:
    """The closing line."""
    gone = [str(snapshot.number) for snapshot in outcome.retired]
    which = f" ({', '.join(gone[:10])}{', ...' if len(gone) > 10 else ''})" if gone else ""
    would = "would be " * dry_run
    parts = [f"{count_text(len(gone), 'snapshot')}{which} {would}removed"]
    kept = sum(len(its) for its in outcome.verdicts.values()) - len(gone)
    parts += [f"{kept:,} kept"] * (kept > 0)
    for states, what in ((outcome.condemned, f"{would}condemned"), (outcome.deleted, "deleted")):
        if states:
            parts.append(f"{count_text(len(states), 'pack')} ({size_text(_size(states))}) {what}")
    if outcome.recalled:
        parts = [f"snapshot {each.number} {would}recalled" for each in outcome.recalled]
    if outcome.spared:
        parts.append(f"{count_text(len(outcome.spared), 'pack')} {would}spared")
    if later := [*outcome.waiting, *outcome.young]:
        parts.append(
            f"{count_text(len(later), 'pack')} ({size_text(_size(later))}) free, and deleted when they are old enough"
        )
    return f"retention: {', '.join(parts)}"


def pack_lines(outcome: Outcome, now: float) -> Iterator[str]:
    """What becomes free when, what that saves, and what it would cost at once."""
    free = outcome.free
    if not outcome.looked or not free:
        return
    share = f"{size_text(_size(free))} of {size_text(outcome.total)}"
    yield f"{count_text(len(free), 'pack')} ({share}) hold nothing that is kept:"
    by_day: dict[str, list[PackState]] = {}
    for state in sorted(free, key=lambda each: each.free_at):
        soonest = now + GRACE_DAYS * DAY_SECONDS
        day = time.strftime("%Y-%m-%d", time.localtime(max(state.free_at, soonest)))
        by_day.setdefault(day, []).append(state)
    for day, states in by_day.items():
        yield f"    from {day} on {count_text(len(states), 'pack')} ({size_text(_size(states))}) without a fee"
    early = f"; with --delete-early {money_text(outcome.fee, outcome.currency)} once" if outcome.fee else ""
    yield f"    without them a month costs {money_text(outcome.month, outcome.currency)} less{early}"


def _size(states: Sequence[PackState]) -> int:
    return sum(state.size for state in states)
