"""The command line of restore.py: options into a request, a result into words and an exit status."""

from __future__ import annotations

import argparse
import hmac
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from azbackup.cli.asking import agrees, is_attended
from azbackup.cli.by_era import by_era, states_of
from azbackup.cli.in_place import own_places
from azbackup.cli.options.places import place, stream
from azbackup.cli.output.again import again_text, meant_text
from azbackup.cli.output.listings import snapshot_text
from azbackup.cli.output.plan_report import (
    done_text,
    outcome_rows,
    outcome_values,
    pending_text,
    plan_lines,
    plan_values,
    question_text,
    staged_text,
    start_rows,
    thawed_text,
    waiting_text,
)
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clean, clean_lines, count_text, size_text, time_text, write
from azbackup.cli.session import Session, chosen_snapshots, open_catalog
from azbackup.cli.sources import each_source, worst
from azbackup.cli.status import DAMAGE_HINT, outcome_status
from azbackup.commands.backup.exclusions import Exclusions
from azbackup.commands.backup.rules import kept_rules
from azbackup.commands.restore.estimate import Estimate
from azbackup.commands.restore.outcome import RestoreRequest, RestoreResult
from azbackup.commands.restore.run import Restore
from azbackup.commands.restore.slip import Slip
from azbackup.commands.restore.thaw_only import ThawOnly
from azbackup.commands.restore.tree import Chosen
from azbackup.crypto.sealing import Keys
from azbackup.errors import AzbackupError, Damaged, Status, Unavailable, UsageError
from azbackup.format.model import Snapshot
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import ThawOptions
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import PackStates, Pending, Thawing
from azbackup.records.catalog import Catalog
from azbackup.records.eras import Era, catalogs_of, eras_of
from azbackup.records.partition import Partition
from azbackup.records.selection import Matcher, Selection
from azbackup.records.snapshots import latest_of_each_source, same_source, source_of, sources_text
from azbackup.storage.prices import Prices

_FIRST_POLL_SECONDS = 30.0
_LAST_POLL_SECONDS = 900.0
_ASK_ABOVE = 1.0
_HEAD_CHARACTERS = 68  # what 80 columns leave of the summary's first line


class Wish(NamedTuple):
    """What the command line asks for: what is restored, what of it first, where to (None: see the options), prices."""

    selection: Selection
    first: Sequence[Matcher]
    destination: bytes | None
    prices: Prices


def restore_command(session: Session, wish: Wish) -> Status:
    """restore.py, where it restores."""
    states = PackStates(session.vault.blobs, session.vault.staging, session.space)
    try:
        return _restore_all(session, wish, states)
    except Damaged as error:
        session.show.thawing = ""
        raise Damaged(error.message, f"{error.hint or DAMAGE_HINT}; {_coming_text(states)}") from error


def _coming_text(states: PackStates) -> str:
    """Whether packs still thaw, where the run ended before it could say so."""
    try:
        states.refresh(packs_too=True)
    except Unavailable:
        return "packs that were asked for go on thawing"
    if not (count := states.coming()):
        return "no pack is on its way out of the archive"
    return f"{count_text(count, 'pack')} thawing: run the same command again when that is mended"


def _restore_all(session: Session, wish: Wish, states: PackStates) -> Status:
    """Restores into the one destination, or each source to its own place."""
    args, show = session.args, session.show
    partition, catalog = open_catalog(session)
    if args.discard_thawed:
        return worst([_discard(session, era, force=args.force) for era in eras_of(partition, catalog)])
    chosen = _chosen(session, catalog)
    show.again = again_text(sys.orig_argv, _unpinned(args, chosen))
    _note_empty(show, chosen, catalog)
    if session.args.snapshot is None:
        _note_retired(show, chosen, catalog)
    newest = eras_of(partition, catalog)[-1]
    if not args.in_place:
        groups = by_era(args, newest, catalog, chosen)
        if len(groups) == 1:
            era, its = groups[0]
            return _restore(session, (*era, states if era is newest else states_of(session, era)), its, wish)
        return worst([_restore(session, (*era, states_of(session, era)), its, wish) for era, its in groups])
    places = own_places(chosen)

    def restore(where: bytes) -> Status:
        groups = by_era(args, newest, catalog, places[where])
        there = wish._replace(destination=where)
        return worst([_restore(session, (*era, states_of(session, era)), its, there) for era, its in groups])

    return each_source(list(places), restore, show, goes_on=lambda: True, verbose=args.verbose >= 2)


def _restore(session: Session, parts: tuple[Partition, Catalog, PackStates], chosen: Chosen, wish: Wish) -> Status:
    """Restores snapshots into one destination, or whatever stands for one."""
    args, show, vault = session.args, session.show, session.vault
    partition, catalog, states = parts
    own = _mark(partition.keys, wish.destination, args, chosen, place(args))
    thawed = _mark(partition.keys, None, args, chosen, "--thaw-only")
    thaw = ThawRequests(states, vault.staging, own, "" if args.thaw_only else thawed)
    request = RestoreRequest(
        snapshots=chosen,
        destination=wish.destination,
        selection=wish.selection,
        thaw=ThawOptions(args.priority, int(args.high_budget * 1024**3), args.thaw == "in-place"),
        prices=wish.prices,
        now=time.time,
        overwrite=args.overwrite,
        check_existing=args.check_existing,
        delete=args.delete,
        spares={prefix: partial(Exclusions, kept_rules(snapshot.rules)) for snapshot, prefix in chosen},
        privileges=not args.no_special_modes,
        owners=args.owners or "number",
        sets_aside=args.in_place and args.overwrite is None,
        first=wish.first,
        max_cost=args.max_cost,
        plan_only=args.plan or args.dry_run,
        dry_run=args.dry_run,
        force=args.force,
        by_directory=args.by_directory,
        wait=waiter(args.poll_interval, show) if args.wait else None,
        tell=lambda plan: _show_plan(args, show, chosen, plan),
        would=None if show.json else lambda text: write(sys.stdout, f"{clean(text)}\n"),
        agree=_asker(args, show),
        thaws=lambda pending, asking: _note_thaws(show, pending, asking),
        slip=_slip(args),
    )
    outcome = _run(args, request, (partition, catalog, thaw, show))
    show.close()
    show.thawing = ""  # the summary says it
    _summary(session, outcome, show.again)
    return _status(show, outcome, plan_only=args.plan or args.dry_run)


def _run(
    args: argparse.Namespace, request: RestoreRequest, parts: tuple[Partition, Catalog, ThawRequests, LineProgress]
) -> RestoreResult:
    """Restores into the destination or into a stream, or only thaws."""
    if args.thaw_only:
        return ThawOnly(request, *parts[1:]).run()
    if not stream(args):
        return Restore(request, *parts).run()
    from azbackup.cli.stream_restore import run_stream  # which loads tarfile
    from azbackup.commands.restore.stream import StreamRestore

    return run_stream(args, request, StreamRestore(request, *parts))


def _unpinned(args: argparse.Namespace, chosen: Chosen) -> int | None:
    """The number that going on has to name: of the one snapshot, if the command does not name it."""
    return chosen[0][0].number if len(chosen) == 1 and args.snapshot is None else None


def _slip(args: argparse.Namespace) -> Slip | None:
    """The first argument, which may be a path of the snapshot whose destination was forgotten."""
    if args.destination is None or args.plan:
        return None
    return Slip(os.fsencode(args.destination), meant_text(sys.orig_argv, args.destination))


def _note_empty(show: LineProgress, chosen: Chosen, catalog: Catalog) -> None:
    """A restore of nothing is no success that anybody meant: names the last snapshot that had files."""
    for snapshot, _ in chosen:
        if snapshot.totals.files:
            continue
        same = [each for each in catalog.snapshots() if source_of(each) == source_of(snapshot) and each.totals.files]
        if earlier := [each for each in same if each.number < snapshot.number]:
            last = earlier[-1]
            show.note(
                f"snapshot {snapshot.number} has no files; snapshot {last.number} of the same source has "
                f"{last.totals.files:,}: --snapshot {last.number}"
            )


def _note_retired(show: LineProgress, chosen: Chosen, catalog: Catalog) -> None:
    """Names a newer snapshot that was retired and stands still: no rule does that, a slip or an intruder may have."""
    for snapshot, _ in chosen:
        its = [
            (each.number, one) for one in catalogs_of(catalog) for each in one.standing if same_source(each, snapshot)
        ]
        newest, its_catalog = its[-1] if its else (0, catalog)
        if newest > snapshot.number and its_catalog.retired.has(newest):
            show.note(
                f"snapshot {newest} of the same source is newer and was removed by --forget (or by whoever has the "
                f"password): --snapshot {newest} restores it as long as it is there, backup.py --recall keeps it"
            )


def _mark(keys: Keys, destination: bytes | None, args: argparse.Namespace, chosen: Chosen, flag: str) -> str:
    """The name of a restore's mark: the same for the same request from any host, and telling nothing.

    Two restores of different snapshots into one place are two: neither removes the copies that the other waits for.
    `flag` is the option that stands for a destination.
    """
    words = [*args.paths, "--include", *args.include, "--exclude", *args.exclude]
    if flag not in ("", "--in-place"):
        words += [flag, args.tar or "" if flag == "--tar" else ""]
    text = repr((destination, words, [snapshot.number for snapshot, _ in chosen])).encode("utf-8", "surrogateescape")
    return hmac.digest(keys.record_key.reveal(), b"restore\0" + text, "sha256")[:8].hex()


def _chosen(session: Session, catalog: Catalog) -> Chosen:
    """The snapshots to restore, each with its prefix in the destination. Raises UsageError if it is not clear which.

    Which of several sources is meant is never guessed: it may be another machine's, and what is thawed is paid for.
    """
    partition = session.vault.partition
    snapshots = latest_of_each_source(chosen_snapshots(session.args, catalog, partition))
    if len(snapshots) == 1:
        return [(snapshot, b"") for snapshot in snapshots]
    if not session.args.all:
        raise UsageError(
            f"{len(snapshots)} sources match: {sources_text(map(source_of, snapshots))}",
            "choose one by --source DIR and --host NAME; --all restores each one, below the destination by its path",
        )
    by_host = len({snapshot.host for snapshot in snapshots}) > 1
    how = "its host and its path" if by_host else "its path"
    session.show.note(f"{len(snapshots)} sources: each goes under the destination, by {how}")
    return [(snapshot, _prefix(snapshot, by_host=by_host)) for snapshot in snapshots]


def _prefix(snapshot: Snapshot, *, by_host: bool) -> bytes:
    """Where a source goes below the destination, when it is not the only one."""
    path = snapshot.source.strip(b"/")
    return os.fsencode(snapshot.host.replace("/", "_")) + b"/" + path if by_host else path


def waiter(interval: float | None, show: LineProgress) -> Callable[[Pending | None, Thawing], None]:
    """Sleeps between two looks at what thaws, longer each time unless an interval was given.

    A line says what changed: nobody reads the same one ninety times. Where it is drawn, it need not be said at all.
    """
    seconds, said = interval or _FIRST_POLL_SECONDS, ""

    def wait(pending: Pending | None, thawing: Thawing) -> None:
        nonlocal seconds, said
        state = pending_text(pending, thawing.later, time.time())
        if state != said and not show.draws:
            show.note(f"{state}; looking again in {time_text(seconds)}")
        said = state
        show.wait(thawing._replace(look_at=time.time() + seconds))
        time.sleep(seconds)
        show.wait(None)
        if interval is None:
            seconds = min(seconds * 1.5, _LAST_POLL_SECONDS)

    return wait


def _show_plan(args: argparse.Namespace, show: LineProgress, chosen: Chosen, plan: Estimate) -> None:
    """The plan: whole when it was asked for or with -v, a few rows when something is spent, else nothing."""
    if show.json:
        show.event("plan", **plan_values(plan), snapshots=[snapshot.number for snapshot, _ in chosen])
    elif args.plan or args.dry_run:
        for line in plan_lines(plan, whole=args.verbose > 0):
            write(sys.stdout, line + "\n")
    elif args.verbose:
        for line in plan_lines(plan, whole=False):
            show.note(line)
    elif rows := start_rows(plan):
        show.block(_what_text(chosen), rows)


def _what_text(chosen: Chosen) -> str:
    """Which snapshots are restored."""
    if len(chosen) > 1:
        return f"the latest snapshots of {len(chosen)} sources"
    return snapshot_text(chosen[0][0])


def _asker(args: argparse.Namespace, show: LineProgress) -> Callable[[Estimate], None] | None:
    """Asks whoever sits at the terminal whether a restore may cost what it does; None where nobody does."""
    limit = _ASK_ABOVE if args.ask_above is None else args.ask_above
    if not is_attended(args):
        return None

    def agree(plan: Estimate) -> None:
        if plan.price <= limit or plan.goes_on:
            return
        show.close()
        write(sys.stderr, clean_lines(question_text(plan)))
        if not agrees("Go on? [Y/n] ", unless_told=True):
            raise AzbackupError(
                "nothing was thawed, paid or restored",
                "--include restores a part; --ask-above AMOUNT asks only about more than that",
            )

    return agree


def _note_thaws(show: LineProgress, pending: Pending | None, asking: int) -> None:
    """Keeps what is on its way, for a run that ends before its time."""
    show.pending = None if pending is None else msgspec.to_builtins(pending)
    parts = [] if pending is None else [pending_text(pending, 0, time.time())]
    if asking:
        parts.append(f"{count_text(asking, 'pack')} being asked for, so that some may thaw")
    show.thawing = "; ".join(parts)


def _summary(session: Session, outcome: RestoreResult, again: str) -> None:
    args, seconds, requests = session.args, session.seconds, session.requests
    plan_only = args.plan or args.dry_run
    values = {**outcome_values(outcome, "" if plan_only else again), "requests": requests, "seconds": round(seconds, 3)}
    yet = "cannot be read yet" if args.thaw_only else "not restored yet"
    if plan_only:
        staged = staged_text(outcome)
        session.show.summary(values, f"in the staging container: {staged}" if staged else "")
        return
    rows = outcome_rows(outcome, yet, time.time())
    done = thawed_text(outcome) if args.thaw_only else done_text(outcome)
    took = f"{requests:,} requests, {time_text(seconds)}"
    head = f"{done}; {took}"
    if len(head) > _HEAD_CHARACTERS:
        head, rows = done, [("took", took), *rows]
    go_on = []
    if outcome.pending_files and outcome.refused is None:
        go_on.append(f"to go on later, run again: {again}")
    elif outcome.problems and not session.show.damages:
        go_on.append(f"to go on when that is mended, run again: {again}")
    session.show.summary(values, head, rows, urgent=go_on)


def _status(show: LineProgress, outcome: RestoreResult, *, plan_only: bool) -> Status:
    """Damage weighs most, then what Azure refused, then what is pending, then what could not be restored."""
    status = outcome_status(show, outcome.problems, "" if plan_only else waiting_text(outcome))
    if status is Status.DAMAGED:
        return status
    if outcome.refused is not None:
        raise outcome.refused
    return Status.THAWING if outcome.pending_files else status


def _discard(session: Session, era: Era, *, force: bool) -> Status:
    show, thaw = session.show, ThawRequests(states_of(session, era), session.vault.staging, "")
    packs = [PackLayout(pack_id, record) for pack_id, record in era.catalog.packs()]
    found = thaw.discard_all(packs, time.time(), force=force)
    show.close()
    values = {
        "discarded": found.copies,
        "size": found.size,
        "archived_again": found.archived_again,
        "still_thawing": found.still_thawing,
    }
    head = f"removed {count_text(found.copies, 'copy')} ({size_text(found.size)}) from the staging container"
    if found.archived_again:
        head += f"; {count_text(found.archived_again, 'pack')} put back into the archive tier"
    still = [f"{count_text(found.still_thawing, 'pack')} still thawing in place: run this again later"]
    show.summary(values, head, urgent=still if found.still_thawing else [])
    return Status.THAWING if found.still_thawing else Status.DONE
