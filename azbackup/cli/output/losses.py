"""What a plan says of the files that cannot be restored: how many, where, and which packs they miss. Pure."""

from __future__ import annotations

from azbackup.cli.output.text import count_text, size_text
from azbackup.commands.restore.estimate import Estimate

_NAMED = 5


def lost_lines(plan: Estimate) -> list[str]:
    """Returns no line where nothing is lost."""
    lost = plan.lost
    if not lost.files:
        return []
    where = f", {lost.where}" if lost.where else ""
    lines = [f"{count_text(lost.files, 'file')} cannot be restored, {size_text(lost.size)}{where} (-v names them)"]
    lines += [f"pack {pack} is missing" for pack in lost.packs[:_NAMED]]
    more = len(lost.packs) - _NAMED
    return lines + [f"and {count_text(more, 'pack')} more (-v)"] * (more > 0)
