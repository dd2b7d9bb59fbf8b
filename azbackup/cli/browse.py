"""The command line of restore.py where it only looks: --snapshots, --list and --find, as lines or as JSON.

What was asked for goes to stdout, everything else to stderr. No pack is read, thawed or even listed. The JSON names are
an interface: docs/operations.md describes them.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from azbackup.cli.choice import all_meant, one_of_each, open_catalog
from azbackup.cli.output.terminal import JsonProgress, Results, clean, size_text
from azbackup.cli.session import Session, outcome_status
from azbackup.commands.browse.history import FoundVersion
from azbackup.commands.browse.listing import Listing, search
from azbackup.errors import Status
from azbackup.format.model import Entry, Kind, Snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.selection import Matcher, Selection

_TYPES = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.CHARACTER_DEVICE: stat.S_IFCHR,
    Kind.BLOCK_DEVICE: stat.S_IFBLK,
}
_DEVICES = (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
_HEADINGS = ("number", "time", "host", "files", "size", "new", "changed", "removed", "unreadable", "source")
_TO_THE_LEFT = ("time", "host", "source")


def look_command(session: Session, wanted: Selection | Matcher | None) -> Status:
    """restore.py where it only looks: what is wanted is what --list selects, what --find matches, or --snapshots."""
    catalog, _ = open_catalog(session)
    results = Results(sys.stdout)
    try:
        count, problems = _tell(_Look(session, catalog, results), wanted)
    finally:
        results.flush()
    if isinstance(session.show, JsonProgress):
        seconds = round(session.seconds, 3)
        session.show.event("summary", results=count, problems=problems, requests=session.requests, seconds=seconds)
    return outcome_status(session.show, catalog.records.damage, problems)


@dataclass(frozen=True)
class _Look:
    """What looking takes."""

    session: Session
    catalog: Catalog
    results: Results

    @property
    def json(self) -> bool:
        return isinstance(self.session.show, JsonProgress)

    def all_meant(self) -> list[Snapshot]:
        """The snapshots that the options leave."""
        return all_meant(self.session.args, self.catalog.snapshots(), self.session.vault.partition)


def _tell(look: _Look, wanted: Selection | Matcher | None) -> tuple[int, int]:
    """(results that were told, problems)."""
    if wanted is None:
        return _tell_snapshots(look)
    return _tell_entries(look, wanted) if isinstance(wanted, Selection) else _tell_versions(look, wanted)


# --- --snapshots


def _tell_snapshots(look: _Look) -> tuple[int, int]:
    """(snapshots that were told, problems)."""
    snapshots = look.all_meant()
    if look.json:
        for snapshot in snapshots:
            look.results.event("snapshot", **snapshot_values(snapshot))
    else:
        for line in snapshot_lines(snapshots):
            look.results.add(line)
    return len(snapshots), 0


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


def local_text(time_ns: int) -> str:
    """A Unix time in nanoseconds as the wall clock here shows it; in seconds where no calendar goes that far."""
    seconds = time_ns // 10**9
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"@{seconds}"


# --- --list


def _tell_entries(look: _Look, selection: Selection) -> tuple[int, int]:
    """(entries that were told, paths that are not there)."""
    listing = Listing(look.catalog, selection)
    count = 0
    for snapshot in one_of_each(look.session.args, look.catalog.snapshots(), look.session.vault.partition):
        if not look.json:
            look.results.flush()
            look.session.show.note(f"{_name_of(snapshot)}, {local_text(snapshot.finished_ns)}, of {snapshot.host}")
        for entry in listing.entries(snapshot):
            if look.json:
                look.results.event("entry", **entry_values(entry, snapshot))
            else:
                look.results.add(entry_line(entry, snapshot))
            count += 1
            if look.results.gone:
                return count, 0
    look.results.flush()
    for path in listing.unknown:
        look.session.show.problem(path, "is not in the snapshot")
    if not count and not listing.unknown:
        look.session.show.note("nothing matches")
    return count, len(listing.unknown)


def _name_of(snapshot: Snapshot) -> str:
    return f"snapshot {snapshot.number} of {os.fsdecode(snapshot.source)}"


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
    mode = stat.filemode(_TYPES[Kind(entry.kind)] | entry.mode)
    owner = f"{_owner(snapshot.users, entry.uid):<8} {_owner(snapshot.groups, entry.gid):<8}"
    size = f"{os.major(entry.rdev)}, {os.minor(entry.rdev)}" if entry.kind in _DEVICES else str(entry.size)
    path = _path_text(snapshot.source, entry.path, entry.kind, entry.target)
    return f"{mode} {owner} {size:>12} {local_text(entry.mtime_ns)} {path}"


def _owner(names: Mapping[int, str], number: int) -> str:
    return clean(names.get(number, "")) or str(number)


def _path_text(source: bytes, path: bytes, kind: int, target: bytes) -> str:
    whole = source.rstrip(b"/") + b"/" + path if path else source
    return clean(os.fsdecode(whole)) + (f" -> {clean(os.fsdecode(target))}" if kind == Kind.SYMLINK else "")


# --- --find


def _tell_versions(look: _Look, matches: Matcher) -> tuple[int, int]:
    """(versions that were told, problems)."""
    snapshots = look.all_meant()
    count = 0
    for found in search(look.catalog, snapshots, matches):
        if look.json:
            look.results.event("found", **found_values(found))
        else:
            look.results.add(found_line(found))
        count += 1
        if look.results.gone:
            break
    if not count:
        look.session.show.note("nothing matches")
    return count, 0


def found_values(found: FoundVersion) -> dict[str, Any]:
    """A version as JSON values."""
    version = found.version
    values = {
        "source": os.fsdecode(found.source),
        "path": os.fsdecode(found.path),
        "kind": _kind(version.kind),
        "size": version.size,
        "mtime_ns": version.mtime_ns,
        "snapshots": [list(each) for each in found.snapshots],
    }
    if version.kind == Kind.SYMLINK:
        values["target"] = os.fsdecode(version.target)
    return values


def found_line(found: FoundVersion) -> str:
    """A version: size, mtime, path, and the snapshots that it is in."""
    version = found.version
    path = _path_text(found.source, found.path, version.kind, version.target)
    slash = "/" * (version.kind == Kind.DIRECTORY)
    return f"{version.size:>12} {local_text(version.mtime_ns)} {path}{slash}  {snapshots_text(found.snapshots)}"


def snapshots_text(spans: list[tuple[int, int]]) -> str:
    """As in: snapshot 3; snapshots 3-17, 20."""
    single = len(spans) == 1 and spans[0][0] == spans[0][1]
    texts = (f"{first}-{last}" if first != last else str(first) for first, last in spans)
    return f"snapshot{'s' * (not single)} {', '.join(texts)}"
