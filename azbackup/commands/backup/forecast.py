"""A count of what a backup has ahead of it, beside the run itself and faster than that: for whoever watches.

Promises to look at the same paths, by the same scanner and rules, to open no file, and to fail for nothing: the count
ends, and is not whole.
"""

from __future__ import annotations

import os
from contextlib import suppress

from azbackup.commands.backup.exclusions import Exclusions
from azbackup.commands.backup.own_files import OwnFiles
from azbackup.commands.backup.rules import Rules
from azbackup.errors import AzbackupError
from azbackup.filesystem.scanner import scan
from azbackup.filesystem.source import open_source
from azbackup.format.model import Entry, Kind
from azbackup.progress import Forecast


def count_ahead(source: bytes, rules: Rules, cache: bytes, since_ns: int, forecast: Forecast) -> None:
    """Counts the tree: as fresh the bytes of files that something happened to at `since_ns` or later."""
    with suppress(AzbackupError, OSError):
        root = open_source(source)
        try:
            _count(root, rules, cache, since_ns, forecast)
        finally:
            os.close(root)


def _count(root: int, rules: Rules, cache: bytes, since_ns: int, forecast: Forecast) -> None:
    seen: set[tuple[int, int]] = set()
    for found in OwnFiles(cache).left_out_of(scan(root, Exclusions(rules))):
        entry = found.entry
        if entry is not None and entry.kind != Kind.DIRECTORY and not found.left_out:
            forecast.files += 1
            forecast.size += entry.size
            if entry.ctime_ns >= since_ns and _is_first(entry, seen):
                forecast.fresh += entry.size
    forecast.whole = True


def _is_first(entry: Entry, seen: set[tuple[int, int]]) -> bool:
    """Whether this is the first name of its file: a further one costs no reading."""
    if entry.links == 1:
        return True
    identity = (entry.device, entry.inode)
    is_first = identity not in seen
    seen.add(identity)
    return is_first
