"""The command line of backup.py --repair: what is damaged, what will be done about it, and what is left.

    verify -> say what will be done -> (--dry-run ends here) -> records in both places again -> back up the directories
           -> verify once more -> (--settle) acknowledge what is left

Status 0 says that a verification at the end found nothing that was not settled.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import msgspec

from azbackup.cli.backup import backup_command
from azbackup.cli.options.exclude import rules_of
from azbackup.cli.output.results import Results
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clean, count_text, time_text
from azbackup.cli.output.verify_report import verification_text, verification_values
from azbackup.cli.session import Session, open_catalog, open_partition, open_vault
from azbackup.cli.sources import Asked, each_source, host_name, sources_of, worst
from azbackup.cli.unlock import key_that_exists
from azbackup.cli.verify import clock, show_groups, tell_damage, verified
from azbackup.commands.maintenance.ledger import Ledger
from azbackup.commands.maintenance.mend import Mend, Steps, steps_of
from azbackup.commands.maintenance.settling import settlements, unsettled
from azbackup.commands.maintenance.verify import Verification, together
from azbackup.errors import Status
from azbackup.records.catalog import Catalog
from azbackup.records.eras import eras_of
from azbackup.records.settlements import settle
from azbackup.storage.local.lock import only_one
from azbackup.storage.prices import load_prices

_NAMED = 20
_ENDED = 10**10  # above every number of a snapshot


def repair_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """backup.py --repair."""
    started = time.monotonic()
    sources = sources_of(args) if args.directories else []
    asked = Asked(rules_of(args), load_prices(args.prices, args.region), args.tier)
    vault = open_vault(args, show)
    vault.remembers = not args.dry_run
    session = Session(args, show, vault, key_that_exists(args, show, vault), started)
    looked = _looked(session)
    found = together(looked)
    show.close()
    show_groups(session, found.findings.ordered())
    steps = [steps_of(each) for each in looked]
    _say(session, _plan(session, steps, looked, sources))
    if args.dry_run:
        show.summary(verification_values(found))
        return tell_damage(session, found.findings)
    session = _mend(session, steps)
    statuses = [_back_up(session, sources, asked)]
    looked = _looked(session)
    if args.settle and any(each.findings.damages for each in looked):
        looked = _settle(session, looked)
    found = together(looked)
    show.close()
    _say(session, ["what is left:"] if found.findings.damages else [])
    show_groups(session, found.findings.ordered())
    line = f"{verification_text(found)}; {session.requests:,} requests, {time_text(time.monotonic() - started)}"
    show.summary(verification_values(found), line)
    return worst([*statuses, tell_damage(session, found.findings)])


def _looked(session: Session) -> list[Verification]:
    """A verification of each era. What it meets on the way is in its findings, and is no damage of its own."""
    found = [verified(session, *era) for era in eras_of(*open_catalog(session))]
    session.show.begin_next()
    return found


def _plan(session: Session, each: list[Steps], looked: list[Verification], sources: list[bytes]) -> list[str]:
    """What will be done, a line for each kind."""
    steps = Steps(
        [name for its in each for name in its.rows],
        [number for its in each for number in its.commits],
        [name for its in each for name in its.copies],
        any(its.key for its in each),
        [snapshot for its in each for snapshot in its.heads],
    )
    will = "would" if session.args.dry_run else "will"
    lines = []
    if not session.key.in_table:
        lines.append("put all rows of this partition back, from their copies")
    elif steps.rows:
        lines.append(f"put {count_text(len(steps.rows), 'row')} in place, from the copies")
    lines += [f"finish the commit of snapshot {number}" for number in steps.commits]
    if steps.heads:
        lines.append(f"make the heads of {count_text(len(steps.heads), 'snapshot')} anew")
    if steps.copies:
        lines.append(f"write copies of {count_text(len(steps.copies), 'record')}, from the rows")
    if steps.key:
        lines.append("see to the key record and its copy")
    lines += [f"back up {os.fsdecode(source)}: what is lost and still there is stored anew" for source in sources]
    if session.args.settle and any(map(unsettled, looked, _newest(looked))):
        lines.append("acknowledge what is left, so that it is status 13 no more")
    return [f"{will} {line}" for line in lines] or ["there is nothing to mend"]


def _say(session: Session, lines: list[str]) -> None:
    results = Results(sys.stdout)
    for line in lines:
        if session.show.json:
            results.event("step", message=line)
        else:
            results.add(clean(line))
    results.flush()


def _newest(looked: list[Verification]) -> list[int]:
    """For each era the number below which damage can be settled: in those that have ended nothing else will come."""
    newest = max((snapshot.number for each in looked for snapshot in each.snapshots), default=0)
    return [*(_ENDED for _ in looked[1:]), newest]


def _mend(session: Session, each: list[Steps]) -> Session:
    """Puts records in both of their places; what cannot be done is told. The session that goes on."""
    vault, show = session.vault, session.show
    if not session.key.in_table:
        from azbackup.cli.rebuilding import rebuild

        rebuild(session, open_partition(session))
        session = msgspec.structs.replace(session, key=msgspec.structs.replace(session.key, in_table=True))
        each = [Steps(commits=its.commits, copies=its.copies, key=its.key, heads=its.heads) for its in each]
    failed: list[str] = []
    for era, steps in zip(eras_of(*open_catalog(session)), each, strict=True):
        records = era.partition.records
        ledger = Ledger(era.partition, Catalog(records))
        mend = Mend(records, clock().new_stamp, lambda: vault.keystore.mend(session.key), ledger.put_back)
        records.report = mend.failed.append
        mend.run(steps)
        failed += mend.failed
    for text in failed[:_NAMED]:
        show.note(f"could not be mended: {text}")
    if len(failed) > _NAMED:
        show.note(f"and {len(failed) - _NAMED:,} more could not be mended")
    show.begin_next()
    return msgspec.structs.replace(session, key=msgspec.structs.replace(session.key, damage=""))


def _back_up(session: Session, sources: list[bytes], asked: Asked) -> Status:
    """Backs the directories up, which stores anew what is lost and still there. What is damaged is told at the end."""

    def back_up(source: bytes) -> Status:
        path = os.fsdecode(source)
        with only_one(session.vault.local_file("lock", path), path):
            status = backup_command(session.next(time.monotonic()), source, asked, fresh=False)
        return Status.DONE if status is Status.DAMAGED else status

    if not sources:
        return Status.DONE
    return each_source(sources, back_up, session.show, goes_on=lambda: True, verbose=session.args.verbose >= 2)


def _settle(session: Session, looked: list[Verification]) -> list[Verification]:
    """Acknowledges what is left, as far as it is about things that have a name, and verifies again."""
    count = 0
    for era, found, newest in zip(eras_of(*open_catalog(session)), looked, _newest(looked), strict=True):
        names = unsettled(found, newest)
        count += len(names)
        for settlement in settlements(names, time.time_ns(), host_name(session.args)):
            settle(era.partition.records, clock().new_stamp(), settlement)
    if count:
        session.show.note(f"{count_text(count, 'damage')} settled: --verify names it, no run ends with 13 for it")
    return _looked(session)
