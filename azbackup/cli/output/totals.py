"""What a backup met and moved, as rows of its summary. Pure."""

from __future__ import annotations

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


def rest_rows(totals: Totals) -> list[tuple[str, str]]:
    """What was left out, and what could not be read, where there is any."""
    rows = []
    if totals.left_out:
        size = f", {size_text(totals.left_out_size)}" if totals.left_out_size else ""
        rows.append(("left out", f"{totals.left_out:,} by rules{size}"))
    if totals.unreadable:
        rows.append(("problems", f"{totals.unreadable:,} unreadable"))
    return rows
