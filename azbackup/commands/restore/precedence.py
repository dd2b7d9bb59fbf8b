"""Which files come first: those that match the first of some patterns, then the second, then all the others. Pure.

Promises that the order within each stays the order of the plan.
"""

from __future__ import annotations

from collections.abc import Sequence

from azbackup.commands.restore.fetcher import WantedFile
from azbackup.commands.restore.tree import Target
from azbackup.format.model import Entry
from azbackup.records.selection import Matcher


def put_first(files: list[WantedFile], target: Target, first: Sequence[Matcher]) -> None:
    """Ranks the files, and sorts them by their ranks. Patterns are relative to each source."""
    if not first:
        return
    for file in files:
        top = target.prefix_of(file.entry.path)
        inside = Entry(file.entry.path[len(top) + 1 :] if top else file.entry.path, file.entry.kind)
        file.rank = next((rank for rank, matches in enumerate(first) if matches(inside)), len(first))
    files.sort(key=lambda file: file.rank)
