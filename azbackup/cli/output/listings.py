"""Snapshots, entries and found versions, as lines for people and as JSON values. Pure.

The JSON names are an interface: docs/operations.md describes them.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from azbackup.cli.output.names import Names
from azbackup.cli.output.text import clean, clock_text, count_text, local_text, size_text
from azbackup.commands.browse.deletions import Deletion
from azbackup.commands.browse.history import FoundVersion
from azbackup.commands.browse.level import LevelRow
from azbackup.commands.browse.sizes import Directory
from azbackup.filesystem.metadata import TYPES
from azbackup.format.model import Entry, Kind, Snapshot

_PLAIN = Names()
_DEVICES = (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)


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
        "tags": snapshot.tags,
        "note": snapshot.note,
    }


def snapshot_text(snapshot: Snapshot) -> str:
    """Which snapshot it is: number, source, host, and when it ended."""
    source = os.fsdecode(snapshot.source)
    return f"snapshot {snapshot.number} of {source} on {snapshot.host}, {clock_text(snapshot.finished_ns / 10**9)}"


def snapshot_lines(snapshots: Iterable[Snapshot], *, names: Names = _PLAIN) -> list[str]:
    """Snapshots by source, the newest last: the source as a heading, a table below it."""
    by_source: dict[tuple[bytes, str], list[Snapshot]] = {}
    for snapshot in snapshots:
        by_source.setdefault((snapshot.source, snapshot.host), []).append(snapshot)
    lines: list[str] = []
    for (source, host), its in by_source.items():
        name = f"{names.shown(source)} on {clean(host)}"
        lines += ["", name] if lines else [name]
        lines += _table([_headings(), *map(_cells, its)])
    return lines


def _headings() -> tuple[str, ...]:
    return ("number", f"time ({time.strftime('%Z')})", "files", "size", "new", "changed", "removed", "")


def _cells(snapshot: Snapshot) -> tuple[str, ...]:
    totals = snapshot.totals
    counts = (totals.new, totals.changed, totals.removed)
    unreadable = f"{totals.unreadable:,} unreadable" if totals.unreadable else ""
    words = [unreadable, clean(", ".join(snapshot.tags)), clean(snapshot.note)]
    return (
        str(snapshot.number),
        local_text(snapshot.finished_ns),
        f"{totals.files:,}",
        size_text(totals.size),
        *(f"{count:,}" for count in counts),
        "; ".join(filter(None, words)),
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns below each other, numbers to the right, the time and the last one to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = (1, len(widths) - 1)
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


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


def entry_line(entry: Entry, snapshot: Snapshot, *, names: Names = _PLAIN) -> str:
    """An entry as `ls -l` shows it, under its absolute path."""
    mode = stat.filemode(TYPES[Kind(entry.kind)] | entry.mode)
    owner = f"{_owner(snapshot.users, entry.uid):<8} {_owner(snapshot.groups, entry.gid):<8}"
    size = f"{os.major(entry.rdev)}, {os.minor(entry.rdev)}" if entry.kind in _DEVICES else str(entry.size)
    path = _path_text(snapshot.source, entry, names=names)
    return f"{mode} {owner} {size:>12} {local_text(entry.mtime_ns)} {path}"


def level_line(row: LevelRow, snapshot: Snapshot, *, names: Names = _PLAIN) -> str:
    """An entry as `ls -lh` shows it, by its name alone; a directory with the files that are below it."""
    entry = row.entry
    directory = entry.kind == Kind.DIRECTORY
    mode = stat.filemode(TYPES[Kind(entry.kind)] | entry.mode)
    if entry.kind in _DEVICES:
        size = f"{os.major(entry.rdev)}, {os.minor(entry.rdev)}"
    else:
        size = size_text(row.size if directory else entry.size)
    name = names.shown(entry.path.rpartition(b"/")[2] + b"/" * directory)
    if entry.kind == Kind.SYMLINK:
        name += f" -> {names.shown(entry.target)}"
    files = f"  {count_text(row.files, 'file')}" if directory else ""
    time_shown = local_text(entry.mtime_ns).rpartition(":")[0]
    return f"{mode} {_owner(snapshot.users, entry.uid):<8} {size:>10}  {time_shown}  {name}{files}"


def _owner(names: Mapping[int, str], number: int) -> str:
    return clean(names.get(number, "")) or str(number)


def _path_text(source: bytes, what: Entry | FoundVersion, *, names: Names, slash: bytes = b"") -> str:
    version = what if isinstance(what, Entry) else what.version
    path = names.shown(absolute(source, what.path) + slash)
    if version.kind != Kind.SYMLINK:
        return path
    return f"{path} -> {names.shown(version.target)}"


def absolute(source: bytes, path: bytes) -> bytes:
    """A path of a snapshot as it was on the machine that was backed up."""
    return source.rstrip(b"/") + b"/" + path if path else source


# --- directories


def directory_values(directory: Directory, snapshot: Snapshot, *, unique: bool) -> dict[str, Any]:
    """What is below a directory, as JSON values."""
    alone = {"unique": directory.unique} if unique else {}
    where = {"snapshot": snapshot.number, "source": os.fsdecode(snapshot.source), "path": os.fsdecode(directory.path)}
    return {**where, "files": directory.files, "size": directory.size, **alone}


def directory_line(directory: Directory, snapshot: Snapshot, *, unique: bool, names: Names = _PLAIN) -> str:
    """What is below a directory: bytes, those of no other snapshot, files, its absolute path."""
    path = names.shown(absolute(snapshot.source, directory.path))
    alone = f"{size_text(directory.unique):>10} unique " if unique else ""
    files = f"{directory.files:>10,} {'file ' if directory.files == 1 else 'files'}"
    return f"{size_text(directory.size):>10} {alone}{files}  {path}"


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


def found_line(found: FoundVersion, *, with_host: bool, names: Names = _PLAIN) -> str:
    """A version: size, mtime, path, the host if there are several, and the snapshots that it is in."""
    version = found.version
    slash = b"/" * (version.kind == Kind.DIRECTORY)
    path = _path_text(found.source.path, found, names=names, slash=slash)
    host = f"  on {clean(found.source.host)}" * with_host
    return f"{version.size:>12} {local_text(version.mtime_ns)} {path}{host}  {snapshots_text(found.snapshots)}"


def deletion_lines(gone: Deletion, times: Mapping[int, int], command: str, *, names: Names = _PLAIN) -> list[str]:
    """A version that is gone, when it was last there, and the command that restores it."""
    version = gone.version.version
    slash = b"/" * (version.kind == Kind.DIRECTORY)
    path = _path_text(gone.version.source.path, gone.version, names=names, slash=slash)
    inside = f" and {gone.inside:,} more in it" * bool(gone.inside)
    last, then = (f"snapshot {number} ({local_text(times[number])})" for number in (gone.last, gone.gone))
    return [
        f"{version.size:>12} {local_text(version.mtime_ns)} {path}{inside}",
        f"    last in {last}, gone in {then}",
        f"    {command}",
    ]


def deletion_values(gone: Deletion, times: Mapping[int, int], command: str) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        **found_values(gone.version),
        "last": gone.last,
        "last_ns": times[gone.last],
        "gone": gone.gone,
        "gone_ns": times[gone.gone],
        "inside": gone.inside,
        "command": command,
    }


def snapshots_text(spans: list[tuple[int, int]]) -> str:
    """As in: snapshot 3; snapshots 3-17, 20."""
    single = len(spans) == 1 and spans[0][0] == spans[0][1]
    texts = (f"{first}-{last}" if first != last else str(first) for first, last in spans)
    return f"snapshot{'s' * (not single)} {', '.join(texts)}"
