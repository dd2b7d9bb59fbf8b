"""Partitions as lines for people and as JSON values. Pure.

The JSON names are an interface: docs/operations.md describes them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from azbackup.cli.output.text import clean, size_text
from azbackup.commands.browse.partitions import PartitionState

_HEADINGS = ("partition", "newest backup", "age", "snapshots", "stored", "packs", "tier")
_TO_THE_LEFT = ("partition", "newest backup", "tier")
_UNITS = ((86400, "days"), (3600, "h"), (60, "min"))


def is_too_old(state: PartitionState, now: float, max_age: float | None) -> bool:
    """Whether the newest backup is older than that, or there is none."""
    return max_age is not None and now - state.newest_backup > max_age


def age_text(seconds: float) -> str:
    """As in: 26 days, 5 h, 3 min."""
    for unit, name in _UNITS:
        if seconds >= 2 * unit or (unit == 60 and seconds >= 60):
            return f"{seconds / unit:.0f} {name}"
    return "now"


def partition_values(state: PartitionState, now: float, max_age: float | None) -> dict[str, Any]:
    """A partition as JSON values."""
    return {
        "partition": state.name,
        "newest_backup": state.newest_backup or None,
        "newest_write": state.newest_write or None,
        "age": round(now - state.newest_backup, 1) if state.newest_backup else None,
        "too_old": is_too_old(state, now, max_age),
        "snapshots": state.snapshots,
        "packs": state.packs,
        "size": state.size,
        "tiers": dict(sorted(state.tiers.items())),
        "in_table": state.in_table,
    }


def partition_lines(states: Sequence[PartitionState], now: float, max_age: float | None) -> list[str]:
    """Partitions as a table, with its head; `!` marks a backup that is too old."""
    table = [_HEADINGS, *(_cells(state, now, max_age) for state in states)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if heading in _TO_THE_LEFT else cell.rjust(width)
            for heading, cell, width in zip(_HEADINGS, row, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def _cells(state: PartitionState, now: float, max_age: float | None) -> tuple[str, ...]:
    newest = state.newest_backup
    mark = " !" if is_too_old(state, now, max_age) else ""
    when = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(newest)) if newest else "none"
    age = age_text(now - newest) if newest else "-"
    return (
        clean(state.name),
        when,
        age + mark,
        f"{state.snapshots:,}",
        size_text(state.size),
        f"{state.packs:,}",
        _tier_text(state) + ("" if state.in_table else "  (no rows: the next backup makes them anew)"),
    )


def _tier_text(state: PartitionState) -> str:
    """The tier of the packs; where they lie in several, the bytes in each."""
    if not state.packs:
        return "no packs" if state.size else "no blobs, only rows"
    tiers = state.pack_tiers.most_common()
    if len(tiers) == 1:
        return clean(tiers[0][0])
    return ", ".join(f"{clean(tier)} {size_text(size)}" for tier, size in tiers)
