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
from azbackup.commands.maintenance.repair import rebuild_table
from azbackup.commands.maintenance.settling import settlements, unsettled
from azbackup.commands.maintenance.verify import Verification
from azbackup.errors import Status
from azbackup.records.catalog import Catalog
from azbackup.records.settlements import settle
from azbackup.storage.local.lock import only_one
from azbackup.storage.prices import load_prices

_NAMED = 20


def repair_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """backup.py --repair."""
    started = time.monotonic()
    sources = sources_of(args) if args.directories else []
    asked = Asked(rules_of(args), load_prices(args.prices, args.region), args.tier)
    vault = open_vault(args, show)
    vault.remembers = not args.dry_run
    session = Session(args, show, vault, key_that_exists(args, show, vault), started)
    found = _looked(session)
    show.close()
    show_groups(session, found.findings.ordered())
    steps = steps_of(found)
    _say(session, _plan(session, steps, found, sources))
    if args.dry_run:
        show.summary(verification_values(found))
        return tell_damage(session, found.findings)
    session = _mend(session, steps)
    statuses = [_back_up(session, sources, asked)]
    found = _looked(session)
    if args.settle and found.findings.damages:
        found = _settle(session, found)
    show.close()
    _say(session, ["what is left:"] if found.findings.damages else [])
    show_groups(session, found.findings.ordered())
    line = f"{verification_text(found)}; {session.requests:,} requests, {time_text(time.monotonic() - started)}"
    show.summary(verification_values(found), line)
    return worst([*statuses, tell_damage(session, found.findings)])


def _looked(session: Session) -> Verification:
    """A verification. What it meets on the way is in its findings, and is no damage of its own."""
    partition, catalog = open_catalog(session)
    found = verified(session, partition, catalog)
    session.show.begin_next()
    return found


def _plan(session: Session, steps: Steps, found: Verification, sources: list[bytes]) -> list[str]:
    """What will be done, a line for each kind."""
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
    if session.args.settle and unsettled(found):
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


def _mend(session: Session, steps: Steps) -> Session:
    """Puts records in both of their places; what cannot be done is told. The session that goes on."""
    vault, show = session.vault, session.show
    partition = open_partition(session)
    if not session.key.in_table:
        rebuild_table(partition.records, vault.keystore, session.key, show)
        session = msgspec.structs.replace(session, key=msgspec.structs.replace(session.key, in_table=True))
        steps = Steps(commits=steps.commits, copies=steps.copies, key=steps.key, heads=steps.heads)
    ledger = Ledger(partition, Catalog(partition.records))
    mend = Mend(partition.records, clock().new_stamp, lambda: vault.keystore.mend(session.key), ledger.put_back)
    partition.records.report = mend.failed.append
    mend.run(steps)
    for text in mend.failed[:_NAMED]:
        show.note(f"could not be mended: {text}")
    if len(mend.failed) > _NAMED:
        show.note(f"and {len(mend.failed) - _NAMED:,} more could not be mended")
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


def _settle(session: Session, found: Verification) -> Verification:
    """Acknowledges what is left, as far as it is about things that have a name, and verifies again."""
    partition = open_partition(session)
    names = unsettled(found)
    for settlement in settlements(names, time.time_ns(), host_name(session.args)):
        settle(partition.records, clock().new_stamp(), settlement)
    if names:
        session.show.note(f"{count_text(len(names), 'damage')} settled: --verify names it, no run ends with 13 for it")
    return _looked(session)
