"""The command line of backup.py: one Backup over one vault, an outcome into words and an exit status."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from azbackup.cli.new_partition import other_partitions, where_text
from azbackup.cli.output.text import money_text, time_text
from azbackup.cli.output.totals import rewriting_rows, total_rows
from azbackup.cli.session import Session, Vault, ended_eras, open_partition
from azbackup.cli.sources import Asked, host_name
from azbackup.cli.status import outcome_status
from azbackup.commands.backup.rules import Rules
from azbackup.commands.backup.run import Backup, Job
from azbackup.errors import Overtaken, Status
from azbackup.format.labels import stamp
from azbackup.format.model import RunId, Snapshot
from azbackup.packs.run import Clock, new_run, no_listing
from azbackup.packs.sightings import listed_ahead
from azbackup.records.catalog import Catalog
from azbackup.records.heads import LARGE
from azbackup.records.snapshots import Source, source_of
from azbackup.storage.local.cache_file import cache_directory, open_nameless
from azbackup.storage.local.journal import Journal
from azbackup.storage.local.looks import LookNote
from azbackup.storage.local.rollback import HighestSnapshot
from azbackup.storage.prices import Packed, Prices, backup_cost
from azbackup.storage.protocols import NEVER

if TYPE_CHECKING:
    from azbackup.packs.rewriting import Rewriting

_MEETING_SECONDS = 0.4
_DOUBLINGS = 4


def backup_command(session: Session, source: bytes, asked: Asked, *, fresh: bool) -> Status:
    """backup.py, once the vault is open; `fresh` where this run made the key."""
    vault, show = session.vault, session.show
    partition = open_partition(session)
    if not session.key.in_table:
        from azbackup.cli.rebuilding import rebuild

        rebuild(session, partition)
    cache = cache_directory(os.environ)
    rules = asked.rules if asked.stream is None else Rules()
    args = session.args
    more = (os.fsencode(cache), rules, asked.stream, args.allow_empty, tuple(dict.fromkeys(args.tag)), args.note or "")
    limits = (asked.is_over, args.skip_if_unchanged, asked.rewrite)
    seen = HighestSnapshot(cache, partition.keys)
    own = HighestSnapshot(cache, partition.keys, partition.records.source_hash(source, host_name(args)))
    before = partial(_before, session, Source(source, host_name(args)))
    job = Job(source, host_name(args), fresh, args.reread, *more, *limits, own.number(), before)
    clock = Clock(time.time_ns, _stamp, _pause)
    catalog = Catalog(partition.records, seen.number())
    looks = LookNote(cache, partition.keys)
    if args.reread:
        looks.note(NEVER)
    scratch = partial(open_nameless, cache)
    listed = listed_ahead(partition) if 0 < seen.number() <= LARGE and not fresh and not asked.rewrite else no_listing
    run = new_run(partition, clock, session.args.tier, _journal(vault, source, partition.name), looks, scratch, listed)
    backup = Backup(job, partition, catalog, run, show)
    try:
        snapshot = backup.run()
    except Overtaken as error:
        if job.stream is not None:
            raise
        show.note(f"{error.message}; it begins again, and uses what was stored")
        job = msgspec.structs.replace(job, fresh=False)
        run = new_run(partition, clock, session.args.tier, _journal(vault, source, partition.name), looks, scratch)
        backup = Backup(job, partition, Catalog(partition.records, seen.number()), run, show)
        snapshot = backup.run()
    seen.note(snapshot.number)
    own.note(snapshot.number)
    if partition.records.lost_rows and session.key.in_table:
        from azbackup.commands.maintenance.ledger import Ledger
        from azbackup.commands.maintenance.repair import rebuild_rows

        rebuild_rows(partition.records, Ledger(partition, Catalog(partition.records)).put_back)
        show.note("rows that were missing were put back from their copies: the next run will have nothing to say")
    if show.damaged and vault.keystore.ensure_copy(session.key):
        show.damage("no copy of the key record was left: it was written again")
    show.close()
    _summary(session, snapshot, asked.prices, partition.records.written, backup.rewriting, run.id)
    return outcome_status(show, snapshot.totals.unreadable)


def _before(session: Session, source: Source) -> Snapshot | None:
    """The last snapshot of a source under the data keys that were given up."""
    every = (each for era in ended_eras(session, rows=True) for each in era.catalog.snapshots())
    return max((each for each in every if source_of(each) == source), key=lambda each: each.number, default=None)


def _stamp() -> str:
    return stamp(time.time(), os.urandom(8))


def _pause(times: int) -> None:
    """Lets runs that met part: some 1.6 s, twice as long each time, up to some 13 s."""
    time.sleep(_MEETING_SECONDS * 2 ** min(times, _DOUBLINGS) * (1 + os.urandom(1)[0] / 128))


def _journal(vault: Vault, source: bytes, space: str) -> Journal | None:
    """The notes of this source's backups, under one data key; None where there is no place for them."""
    try:
        return Journal(vault.local_file("journal", os.fsdecode(source), space))
    except OSError:
        return None


def _summary(
    session: Session, snapshot: Snapshot, prices: Prices, records: int, rewriting: Rewriting | None, run: RunId
) -> None:
    """The run's outcome; a snapshot of another `run` is the last one, since nothing has changed."""
    skipped = snapshot.run != run
    rewritten = _rewritten(rewriting)
    new = snapshot.number == 1 and not skipped  # also where the run that made the key was killed
    others = other_partitions(session.vault) if new and not (session.args.quiet and not session.args.json) else None
    totals = snapshot.totals
    stored = Packed(totals.packs, totals.stored, session.args.tier, records)
    once, monthly = backup_cost(prices, session.billed, stored)
    source, requests, seconds = os.fsdecode(snapshot.source), session.requests, session.seconds
    values = {
        "snapshot": snapshot.number,
        "skipped": skipped,
        "source": source,
        "partition": session.vault.partition,
        "account": session.vault.connection.account,
        "container": session.vault.container,
        "new_partition": new,
        "other_partitions": others,
        **{name: getattr(totals, name) for name in totals.__struct_fields__},
        **rewritten,
        "requests": requests,
        "cost": round(once, 6),
        "cost_month": round(monthly, 6),
        "currency": prices.currency,
        "seconds": round(seconds, 3),
    }
    month = f", {money_text(monthly, prices.currency)} a month for what is new" if monthly else ""
    cost = f"{money_text(once, prices.currency)} for {requests} requests{month}"
    head = f"snapshot {snapshot.number} of {source} in {where_text(session.vault, others, new=new)}"
    if skipped:
        head = f"nothing has changed since {head}: no snapshot was made"
    session.show.summary(
        values, f"{head}, {time_text(seconds)}", [*total_rows(totals), *rewriting_rows(rewritten), ("cost", cost)]
    )


def _rewritten(rewriting: Rewriting | None) -> dict[str, int]:
    """What was stored anew though it was stored, as JSON values: bytes, files, and chunks that are left."""
    names = ("rewritten", "rewritten_read", "rewritten_files", "rewriting_left")
    values = (rewriting.stored, rewriting.read, rewriting.files, rewriting.left) if rewriting else (0, 0, 0, 0)
    return dict(zip(names, values, strict=True))
