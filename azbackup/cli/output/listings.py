"""Snapshots, entries and found versions, as lines for people and as JSON values. Pure.

The JSON names are an interface: docs/operations.md describes them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from azbackup.cli.output.text import clean, local_text, size_text
from azbackup.commands.browse.history import FoundVersion
from azbackup.filesystem.metadata import TYPES
from azbackup.format.model import Entry, Kind, Snapshot

_DEVICES = (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
_HEADINGS = ("number", "time", "host", "files", "size", "new", "changed", "removed", "unreadable", "source")
_TO_THE_LEFT = ("time", "host", "source")


# --- snapshots


def snapshot_values(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON values."""
    totals = snapshot.totals
    return {
        "snapshot": snapshot.number,
        "source": os.fsdecode(snapshot.source),
        "host": snapshot.host,
        "started_ns": snapshot.started_ns,
        "finished_ns": snapshot.finished_ns,
        "parent": snapshot.parent or None,
        **{name: getattr(totals, name) for name in totals.__struct_fields__},
        "rules": [os.fsdecode(rule) for rule in snapshot.rules],
    }


def snapshot_lines(snapshots: Iterable[Snapshot]) -> list[str]:
    """Snapshots as a table, with its head."""
    table = [_HEADINGS, *(_cells(snapshot) for snapshot in snapshots)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if heading in _TO_THE_LEFT else cell.rjust(width)
            for heading, cell, width in zip(_HEADINGS, row, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def _cells(snapshot: Snapshot) -> tuple[str, ...]:
    totals = snapshot.totals
    counts = (totals.new, totals.changed, totals.removed, totals.unreadable)
    return (
        str(snapshot.number),
        local_text(snapshot.finished_ns),
        clean(snapshot.host),
        f"{totals.files:,}",
        size_text(totals.size),
        *(f"{count:,}" for count in counts),
        clean(os.fsdecode(snapshot.source)),
    )


# --- entries


def entry_values(entry: Entry, snapshot: Snapshot) -> dict[str, Any]:
    """An entry as JSON values."""
    values = {
        "snapshot": snapshot.number,
        "source": os.fsdecode(snapshot.source),
        "path": os.fsdecode(entry.path),
        "kind": _kind(entry.kind),
        "size": entry.size,
        "mtime_ns": entry.mtime_ns,
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "user": snapshot.users.get(entry.uid),
        "group": snapshot.groups.get(entry.gid),
    }
    if entry.kind == Kind.SYMLINK:
        values["target"] = os.fsdecode(entry.target)
    if entry.kind in _DEVICES:
        values |= {"major": os.major(entry.rdev), "minor": os.minor(entry.rdev)}
    return values


def _kind(kind: int) -> str:
    """file, directory, symlink, fifo, character_device or block_device."""
    return Kind(kind).name.lower()


def entry_line(entry: Entry, snapshot: Snapshot) -> str:
    """An entry as `ls -l` shows it, under its absolute path."""
    mode = stat.filemode(TYPES[Kind(entry.kind)] | entry.mode)
    owner = f"{_owner(snapshot.users, entry.uid):<8} {_owner(snapshot.groups, entry.gid):<8}"
    size = f"{os.major(entry.rdev)}, {os.minor(entry.rdev)}" if entry.kind in _DEVICES else str(entry.size)
    path = _path_text(snapshot.source, entry.path, entry.kind, entry.target)
    return f"{mode} {owner} {size:>12} {local_text(entry.mtime_ns)} {path}"


def _owner(names: Mapping[int, str], number: int) -> str:
    return clean(names.get(number, "")) or str(number)


def _path_text(source: bytes, path: bytes, kind: int, target: bytes) -> str:
    whole = source.rstrip(b"/") + b"/" + path if path else source
    return clean(os.fsdecode(whole)) + (f" -> {clean(os.fsdecode(target))}" if kind == Kind.SYMLINK else "")


# --- found versions


def found_values(found: FoundVersion) -> dict[str, Any]:
    """A version as JSON values."""
    version = found.version
    values = {
        "source": os.fsdecode(found.source.path),
        "host": found.source.host,
        "path": os.fsdecode(found.path),
        "kind": _kind(version.kind),
        "size": version.size,
        "mtime_ns": version.mtime_ns,
        "snapshots": [list(each) for each in found.snapshots],
    }
    if version.kind == Kind.SYMLINK:
        values["target"] = os.fsdecode(version.target)
    return values


def found_line(found: FoundVersion, *, with_host: bool) -> str:
    """A version: size, mtime, path, the host if there are several, and the snapshots that it is in."""
    version = found.version
    path = _path_text(found.source.path, found.path, version.kind, version.target)
    slash = "/" * (version.kind == Kind.DIRECTORY)
    host = f"  on {clean(found.source.host)}" * with_host
    return f"{version.size:>12} {local_text(version.mtime_ns)} {path}{slash}{host}  {snapshots_text(found.snapshots)}"


def snapshots_text(spans: list[tuple[int, int]]) -> str:
    """As in: snapshot 3; snapshots 3-17, 20."""
    single = len(spans) == 1 and spans[0][0] == spans[0][1]
    texts = (f"{first}-{last}" if first != last else str(first) for first, last in spans)
    return f"snapshot{'s' * (not single)} {', '.join(texts)}"
