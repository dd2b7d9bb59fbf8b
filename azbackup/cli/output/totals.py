"""What a backup met and moved, as rows of its summary. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from azbackup.cli.output.text import count_text, size_text
from azbackup.format.model import Totals


def total_rows(totals: Totals) -> list[tuple[str, str]]:
    """Files, bytes, and the rest."""
    counts = (
        f"{totals.new:,} new, {totals.changed:,} changed, {totals.unchanged:,} unchanged, {totals.removed:,} removed"
    )
    packs = f" in {count_text(totals.packs, 'pack')}" if totals.packs else ""
    rows = [("files", counts), ("data", f"{size_text(totals.read)} read, {size_text(totals.stored)} stored{packs}")]
    return rows + rest_rows(totals)


def rewriting_rows(values: Mapping[str, int]) -> list[tuple[str, str]]:
    """What was stored anew though it was stored, where there is any; and how much is left for later runs."""
    if not (values["rewritten"] or values["rewritten_read"]):
        return []
    left = f"; {count_text(values['rewriting_left'], 'chunk')} left for later runs" if values["rewriting_left"] else ""
    again = f"{count_text(values['rewritten_files'], 'file')} read again"
    return [("rewriting", f"{again}, {size_text(values['rewritten'])} of contents stored anew{left}")]


def rest_rows(totals: Totals) -> list[tuple[str, str]]:
    """What was left out, and what could not be read, where there is any."""
    rows = []
    if totals.left_out:
        size = f", {size_text(totals.left_out_size)}" if totals.left_out_size else ""
        rows.append(("left out", f"{totals.left_out:,} by rules{size}"))
    if totals.unreadable:
        rows.append(("problems", f"{totals.unreadable:,} unreadable"))
    return rows
