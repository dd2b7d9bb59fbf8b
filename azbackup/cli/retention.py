"""The command line of backup.py where snapshots are removed: after a backup, or alone."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace

from azbackup.cli.known_damage import KnownDamage
from azbackup.cli.options.common import absolute_path
from azbackup.cli.options.retention import retention_rules
from azbackup.cli.output.results import Results
from azbackup.cli.output.retention import outcome_text, outcome_values, pack_lines, verdict_lines, verdict_values
from azbackup.cli.session import Session, open_catalog
from azbackup.cli.sources import host_name
from azbackup.cli.status import outcome_status
from azbackup.commands.maintenance.retention import Outcome, Retention, Wish, together
from azbackup.errors import Damaged, Status
from azbackup.format.labels import stamp
from azbackup.packs.run import Clock
from azbackup.records.eras import Era, eras_of
from azbackup.records.snapshots import Source
from azbackup.storage.prices import Prices


def retention_command(session: Session, prices: Prices, source: bytes | None = None) -> Status:
    """Removes what the rules do not keep: of one source that was just backed up, else of all that are asked for."""
    args, show = session.args, session.show
    if not session.key.in_table:
        raise Damaged("nothing was removed: the table has lost this partition", "make a backup, which rebuilds it")
    wish = Wish(
        rules=retention_rules(args),
        prices=prices,
        sources=_sources(args, source),
        forget=[number for each in args.forget for number in each],
        recall=[number for each in args.recall for number in each],
        early=args.delete_early,
        always=source is None,
        dry_run=args.dry_run,
    )
    outcome = _each_era(session, wish, eras_of(*open_catalog(session)))
    show.close()
    _show(session, outcome, alone=source is None)
    return outcome_status(show, 0)


def _each_era(session: Session, wish: Wish, eras: list[Era]) -> Outcome:
    """Removes in each era what the rules do not keep of all of them together; the newest one comes first."""
    clock = Clock(time.time_ns, lambda: stamp(time.time(), os.urandom(8)))
    by_era = [era.catalog.snapshots() for era in eras] if len(eras) > 1 else [[]]
    outcomes: list[Outcome] = []
    for at in reversed(range(len(eras))):
        partition, catalog = eras[at]
        own = wish
        if len(eras) > 1:
            forget, recall = ([each for each in its if eras[at].has(each)] for its in (wish.forget, wish.recall))
            if wish.recall and not recall:
                continue
            others = [snapshot for number, its in enumerate(by_era) if number != at for snapshot in its]
            own = replace(wish, forget=forget, recall=recall, others=others)
        own = replace(own, known=KnownDamage(partition.records))
        removal = session.vault.removal_of(partition.name)
        outcomes.append(Retention(partition, catalog, removal, time.localtime, clock).run(own, session.show))
    return together(outcomes[::-1])


def _sources(args: argparse.Namespace, source: bytes | None) -> list[Source] | None:
    """The sources whose snapshots the rules are for, None for all."""
    if source is not None:
        return [Source(source, host_name(args))]
    paths = dict.fromkeys(absolute_path(each, "directory") for each in args.directories)
    return [Source(path, host_name(args)) for path in paths] or None


def _show(session: Session, outcome: Outcome, *, alone: bool) -> None:
    args, show = session.args, session.show
    if show.json:
        retired = {snapshot.number for snapshot in outcome.retired}
        for its in outcome.verdicts.values():
            for each in its:
                show.event("verdict", **verdict_values(each, keep=each.snapshot.number not in retired))
    elif args.dry_run or args.verbose:
        results = Results(sys.stdout)
        for line in (*verdict_lines(outcome), *pack_lines(outcome, time.time())):
            results.add(line)
        results.flush()
    values, text = outcome_values(outcome), outcome_text(outcome, dry_run=args.dry_run)
    if alone:
        figures = {"requests": session.requests, "seconds": round(session.seconds, 3)}
        show.summary({**values, **figures}, text)
    else:
        show.event("retention", **values)
        if not show.json:
            show.note(text)
