"""Which files come first: those that match the first of some patterns, then the second, then all the others. Pure.

Promises that the order within each stays the order of the plan.
"""

from __future__ import annotations

from collections.abc import Sequence

from azbackup.commands.restore.files import Files
from azbackup.commands.restore.tree import Target
from azbackup.format.model import Entry
from azbackup.records.selection import Matcher


def put_first(files: Files, target: Target, first: Sequence[Matcher]) -> None:
    """Ranks the files. Patterns are relative to each source."""
    if not first:
        return

    def rank(entry: Entry) -> int:
        top = target.prefix_of(entry.path)
        inside = Entry(entry.path[len(top) + 1 :] if top else entry.path, entry.kind)
        return next((rank for rank, matches in enumerate(first) if matches(inside)), len(first))

    files.put_in_order(rank)
