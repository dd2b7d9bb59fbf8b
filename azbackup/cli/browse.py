"""The command line of restore.py where it only looks: --snapshots, --list and --find, as lines or as JSON.

Results go to stdout, everything else to stderr. No pack is read, thawed or even listed.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from azbackup.cli.output.again import restoring_text
from azbackup.cli.output.listings import (
    absolute,
    deletion_lines,
    deletion_values,
    directory_line,
    directory_values,
    entry_line,
    entry_values,
    found_line,
    found_values,
    level_line,
    snapshot_lines,
    snapshot_text,
    snapshot_values,
)
from azbackup.cli.output.results import Results
from azbackup.cli.output.verify_report import result_text
from azbackup.cli.session import Session, chosen_snapshots, open_catalog
from azbackup.cli.status import outcome_status
from azbackup.commands.browse.deletions import deletions
from azbackup.commands.browse.level import level, with_totals
from azbackup.commands.browse.listing import Listing
from azbackup.commands.browse.search import search
from azbackup.commands.browse.sizes import Directory, chunks_alone, directories
from azbackup.errors import Status
from azbackup.format.model import Kind, Snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.selection import Matcher, Selection
from azbackup.records.snapshots import Source, latest_of_each_source, source_of
from azbackup.records.verified import newest_results


def look_command(session: Session, wanted: Selection | Matcher | None) -> Status:
    """restore.py where it only looks: what is wanted is what --list selects, what --find matches, or --snapshots."""
    _, catalog = open_catalog(session)
    results = Results(sys.stdout)
    try:
        count, problems = _show(_Look(session, catalog, results), wanted)
    finally:
        results.flush()
    figures = {"requests": session.requests, "seconds": round(session.seconds, 3)}
    session.show.summary({"results": count, "problems": problems, **figures})
    return outcome_status(session.show, problems)


@dataclass(frozen=True)
class _Look:
    """What looking takes."""

    session: Session
    catalog: Catalog
    results: Results

    @property
    def json(self) -> bool:
        return self.session.show.json

    @property
    def raw(self) -> bool:
        """Whether names alone are wanted, as they are."""
        return bool(self.session.args.null)

    def snapshots(self) -> list[Snapshot]:
        """The snapshots that the options leave."""
        return chosen_snapshots(self.session.args, self.catalog, self.session.vault.partition)


def _show(look: _Look, wanted: Selection | Matcher | None) -> tuple[int, int]:
    """(results that were shown, problems)."""
    if wanted is None:
        return _show_snapshots(look)
    return _show_entries(look, wanted) if isinstance(wanted, Selection) else _show_versions(look, wanted)


# --- --snapshots


def _show_snapshots(look: _Look) -> tuple[int, int]:
    """(snapshots that were shown, problems)."""
    snapshots = _newest(look.snapshots(), look.session.args.last)
    if look.json:
        for snapshot in snapshots:
            look.results.event("snapshot", **snapshot_values(snapshot))
    else:
        for line in snapshot_lines(snapshots, names=look.results.names):
            look.results.add(line)
    _show_verified(look)
    return len(snapshots), 0


def _show_verified(look: _Look) -> None:
    """The newest verification, and the newest drill; nothing where there was none."""
    for result in filter(None, newest_results(look.catalog.records)):
        if look.json:
            look.results.event("verified", **{name: getattr(result, name) for name in result.__struct_fields__})
        else:
            look.session.show.note(result_text(result))


def _newest(snapshots: list[Snapshot], count: int | None) -> list[Snapshot]:
    """The newest so many of each source, all of them for None."""
    if count is None:
        return snapshots
    seen: Counter[Source] = Counter()
    kept = []
    for snapshot in reversed(snapshots):
        seen[source_of(snapshot)] += 1
        if seen[source_of(snapshot)] <= count:
            kept.append(snapshot)
    return kept[::-1]


# --- --list


def _show_entries(look: _Look, selection: Selection) -> tuple[int, int]:
    """(entries that were shown, paths that are not there)."""
    if look.session.args.du:
        return _show_sizes(look, Listing(look.catalog, selection))
    if not (look.session.args.recursive or look.json or look.raw or look.session.args.include):
        return _show_levels(look, selection)
    listing = Listing(look.catalog, selection)
    if look.json and not look.raw:
        return _show_values(look, listing)
    count = 0
    for snapshot in latest_of_each_source(look.snapshots()):
        if not look.json:
            look.results.flush()
            look.session.show.note(snapshot_text(snapshot))
        for entry in listing.entries(snapshot):
            if look.raw:
                look.results.name(absolute(snapshot.source, entry.path))
            else:
                look.results.add(entry_line(entry, snapshot, names=look.results.names))
            count += 1
            if look.results.gone:
                return count, 0
    return count, _tell_unknown(look, count, listing.unknown)


def _show_values(look: _Look, listing: Listing) -> tuple[int, int]:
    """The same as JSON, with the totals of each directory behind what is below it."""
    count = 0
    for snapshot in latest_of_each_source(look.snapshots()):
        for each in with_totals(listing.entries(snapshot)):
            if isinstance(each, Directory):
                look.results.event("directory", **directory_values(each, snapshot, unique=False))
            else:
                look.results.event("entry", **entry_values(each, snapshot))
                count += 1
            if look.results.gone:
                return count, 0
    return count, _tell_unknown(look, count, listing.unknown)


def _show_levels(look: _Look, selection: Selection) -> tuple[int, int]:
    """The same, of one level: a heading for each directory, and what lies directly in it."""
    listings = [(Listing(look.catalog, each), each) for each in selection.each()]
    count = 0
    for snapshot in latest_of_each_source(look.snapshots()):
        look.results.flush()
        look.session.show.note(snapshot_text(snapshot))
        for listing, one in listings:
            for line in _level_lines(look, snapshot, listing, one.base(snapshot.source), first=not count):
                look.results.add(line)
                count += 1
                if look.results.gone:
                    return count, 0
    return count, _tell_unknown(look, count, [path for listing, _ in listings for path in listing.unknown])


def _level_lines(
    look: _Look, snapshot: Snapshot, listing: Listing, base: bytes | None, *, first: bool
) -> Iterator[str]:
    """The directory as a heading, then a line for each entry in it; a file by itself is below its directory's name."""
    names = look.results.names
    headed = False
    for row in level(listing.entries(snapshot), base or b""):
        itself = row.entry.path == base
        inside = itself and row.entry.kind == Kind.DIRECTORY
        if not headed:
            headed = True
            yield from [] if first else [""]
            yield names.shown(
                absolute(snapshot.source, row.entry.path if inside else row.entry.path.rpartition(b"/")[0])
            )
        if not inside:
            yield level_line(row, snapshot, names=names)


def _tell_unknown(look: _Look, count: int, unknown: list[bytes]) -> int:
    """Names the paths that are not there, or says that nothing is; how many paths."""
    look.results.flush()
    for path in unknown:
        look.session.show.problem(path, "is not in the snapshot")
    if not count and not unknown:
        look.session.show.note("no path matches")
    return len(unknown)


def _show_sizes(look: _Look, listing: Listing) -> tuple[int, int]:
    """(directories that were shown, paths that are not there)."""
    everything, unique = look.catalog.snapshots(), look.session.args.unique
    count = 0
    for snapshot in latest_of_each_source(look.snapshots()):
        if not look.json:
            look.session.show.note(snapshot_text(snapshot))
        alone = chunks_alone(look.catalog, snapshot, everything) if unique else frozenset()
        for each in directories(listing.entries(snapshot), alone):
            if look.raw:
                look.results.name(absolute(snapshot.source, each.path))
            elif look.json:
                look.results.event("directory", **directory_values(each, snapshot, unique=unique))
            else:
                look.results.add(directory_line(each, snapshot, unique=unique, names=look.results.names))
            count += 1
        look.results.flush()
    for path in listing.unknown:
        look.session.show.problem(path, "is not in the snapshot")
    return count, len(listing.unknown)


# --- --find


def _show_versions(look: _Look, matches: Matcher) -> tuple[int, int]:
    """(versions that were shown, problems)."""
    if look.session.args.deleted:
        return _show_deletions(look, matches)
    snapshots = look.snapshots()
    with_host = len({snapshot.host for snapshot in snapshots}) > 1
    count = 0
    for found in search(look.catalog, snapshots, matches):
        if look.raw:
            look.results.name(absolute(found.source.path, found.path))
        elif look.json:
            look.results.event("found", **found_values(found))
        else:
            look.results.add(found_line(found, with_host=with_host, names=look.results.names))
        count += 1
        if look.results.gone:
            break
    if not count:
        look.session.show.note(_nothing_text(look.session.args.find))
    return count, 0


def _nothing_text(patterns: Sequence[str]) -> str:
    """What is said where nothing matches; also that a pattern is a whole name, where one may be meant as a part."""
    plain = next((each for each in patterns if each and not set(each) & set("*?[!/\\#")), None)
    return "no path matches" + (
        f"; a name that has this in it is found by {shlex.quote(f'*{plain}*')}" if plain else ""
    )


# --- --find --deleted


def _show_deletions(look: _Look, matches: Matcher) -> tuple[int, int]:
    """(paths that are gone, problems)."""
    snapshots = look.snapshots()
    numbers: dict[Source, list[int]] = {}
    for snapshot in snapshots:
        numbers.setdefault(source_of(snapshot), []).append(snapshot.number)
    times = {snapshot.number: snapshot.finished_ns for snapshot in snapshots}
    count = 0
    for gone in deletions(search(look.catalog, snapshots, matches), numbers):
        command = restoring_text(sys.orig_argv, gone.last, gone.version.path)
        if look.raw:
            look.results.name(absolute(gone.version.source.path, gone.version.path))
        elif look.json:
            look.results.event("deleted", **deletion_values(gone, times, command))
        else:
            for line in deletion_lines(gone, times, command, names=look.results.names):
                look.results.add(line)
        count += 1
        if look.results.gone:
            break
    if not count:
        look.session.show.note("nothing that matches is gone: --find without --deleted shows what there is")
    return count, 0
