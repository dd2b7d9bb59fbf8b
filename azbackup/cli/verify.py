"""The command line of restore.py --verify: what was found, by kind, and status 13 where something is damaged.

Results go to stdout. The result is kept, sealed, beside what it judges; --snapshots shows the newest.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from azbackup.cli.before import note_past
from azbackup.cli.output.results import Results
from azbackup.cli.output.text import clean, count_text, time_text
from azbackup.cli.output.verify_report import (
    group_lines,
    group_text,
    group_values,
    result_text,
    verification_text,
    verification_values,
)
from azbackup.cli.session import Session, open_catalog
from azbackup.cli.status import outcome_status
from azbackup.commands.maintenance.findings import OF_PLACES, Findings, Group, What
from azbackup.commands.maintenance.verify import Verification, Verify, together
from azbackup.errors import AzbackupError, Exists, NothingStored, Status, Unavailable
from azbackup.format.labels import stamp
from azbackup.format.verdicts import Verified
from azbackup.packs.run import Clock
from azbackup.records.catalog import Catalog
from azbackup.records.eras import Era, eras_of
from azbackup.records.partition import Partition
from azbackup.records.past import PastCatalog
from azbackup.records.settlements import read_settled
from azbackup.records.verified import Newest, keep_result, newest_results
from azbackup.storage.local.cache_file import cache_directory
from azbackup.storage.local.looks import LookNote
from azbackup.storage.protocols import NEVER

if TYPE_CHECKING:
    from azbackup.cli.drill import Drilling

_REPAIR_FIRST = "backup.py --repair puts its rows back"
_FIRST = 20  # lines of a result that are kept
_DAY = 86400.0


def verify_command(session: Session) -> Status:
    """restore.py --verify."""
    started_ns = time.time_ns()
    show = session.show
    partition, catalog = open_catalog(session)
    eras = eras_of(partition, catalog)
    each = _each(session, eras)
    found = together(each)
    before = newest_results(partition.records)
    drilling = _drill(session, eras, replace(each[-1], findings=found.findings))
    show.close()
    show_groups(session, found.findings.ordered())
    if past := [era.catalog for era in eras if isinstance(era.catalog, PastCatalog)]:
        note_past(show, past, session.args.before)
    else:
        _keep(session, partition, _result(found, started_ns))
    figures = {"requests": session.requests, "seconds": round(session.seconds, 3)}
    line = f"{verification_text(found)}; {session.requests:,} requests, {time_text(session.seconds)}"
    if drilling is None:
        _note_drill(session, before)
        show.summary({**verification_values(found), **figures}, line + "; contents were not read")
        return tell_damage(session, found.findings)
    return _end_drill(session, found, drilling, line)


def _each(session: Session, eras: list[Era]) -> list[Verification]:
    """A verification of each era. Raises NothingStored if none of them has anything that is older than --before."""
    found: list[Verification] = []
    nothing: NothingStored | None = None
    for era in eras:
        try:
            found.append(verified(session, *era))
        except NothingStored as error:
            nothing = error
    if nothing is not None and not found:
        raise nothing
    return found


def _drill(session: Session, eras: list[Era], found: Verification) -> Drilling | None:
    """With --read-data: opens packs of the newest era, and adds what is found."""
    if not session.args.read_data:
        return None
    if not session.key.in_table:
        raise AzbackupError("the table has lost this partition: a drill has no place for its result", _REPAIR_FIRST)
    from azbackup.cli.drill import drill

    if len(eras) > 1:
        session.show.note("the drill opens what is under the newest data key; contents under earlier ones are not read")
    return drill(session, *eras[-1], found)


def _end_drill(session: Session, found: Verification, drilling: Drilling, line: str) -> Status:
    from azbackup.cli.drill import drill_values, end_text

    pending = []
    if drilling.pending:
        pending = [
            f"not all packs are open yet: {drilling.pending}",
            f"to go on later, run again: {session.show.again}",
        ]
    rows = [] if drilling.planned or drilling.pending else [("", end_text(drilling))]
    figures = {"requests": session.requests, "seconds": round(session.seconds, 3)}
    session.show.summary(
        {**verification_values(found), **drill_values(drilling), **figures}, line, rows, urgent=pending
    )
    status = tell_damage(session, found.findings)
    return Status.THAWING if drilling.pending and status is Status.DONE else status


def clock() -> Clock:
    """The clock of a run, and names that nobody has."""
    return Clock(time.time_ns, lambda: stamp(time.time(), os.urandom(8)))


def verified(session: Session, partition: Partition, catalog: Catalog) -> Verification:
    """One verification of an era of an open partition, with the key record where that is the newest one."""
    wrong: list[str] = []
    findings = Findings(
        read_settled(partition.records, wrong.append), OF_PLACES if isinstance(catalog, PastCatalog) else ()
    )
    for message in wrong:
        findings.hear(What.OTHER, message)
    found = Verify(partition, catalog, findings, session.show, clock()).run()
    if findings.damages and session.vault.remembers:  # the next backup from here is to see for itself
        LookNote(cache_directory(os.environ), partition.keys).note(NEVER)
    if partition.name != session.space:
        return found
    if session.key.damage:
        findings.add(What.KEY, "", session.key.damage)
    if not session.key.in_table:
        findings.add(What.ROW_MISSING, "", "the table has lost this partition: all was read from the copies")
    if not session.vault.keystore.is_copied(session.key):
        findings.add(What.KEY, "", "no copy of the key record is the same as its row")
    return found


def show_groups(session: Session, groups: Iterable[Group]) -> None:
    """The findings on stdout, by kind."""
    results = Results(sys.stdout)
    for group in groups:
        if session.show.json:
            results.event("finding", **group_values(group))
        else:
            for line in group_lines(group):
                results.add(line)
    results.flush()


def tell_damage(session: Session, findings: Findings) -> Status:
    """The status of what was found: 13 names each kind."""
    session.show.begin_next()  # what was met on the way is in the findings
    for group in findings.ordered():
        if group.is_damage:
            session.show.damage(group_text(group))
    return outcome_status(session.show, 0)


def _result(found: Verification, started_ns: int) -> Verified:
    lines = [finding.text for group in found.findings.ordered() if group.is_damage for finding in group.first]
    return Verified(
        started_ns=started_ns,
        finished_ns=time.time_ns(),
        host=socket.gethostname(),
        snapshots=len(found.snapshots),
        packs=found.packs,
        size=found.size,
        damages=found.findings.damages,
        known=found.findings.known,
        first=[clean(line)[:1000] for line in lines[:_FIRST]],
    )


def _keep(session: Session, partition: Partition, result: Verified) -> None:
    """Keeps the result; credentials that can only read do without."""
    if not session.key.in_table:
        return
    try:
        keep_result(partition.records, stamp(time.time(), os.urandom(8)), result)
    except Exists:
        raise
    except Unavailable as error:
        session.show.note(f"the result could not be kept: {error.message}")


def _note_drill(session: Session, newest: Newest) -> None:
    """With --drill-every: says when the last drill is older."""
    every = session.args.drill_every
    if every is None:
        return
    if newest.drill is None:
        session.show.note("no drill has read any contents yet: restore.py --verify --read-data")
        return
    age = time.time() - newest.drill.finished_ns / 1e9
    if age > every:
        days = count_text(int(age // _DAY), "day")
        session.show.note(f"{result_text(newest.drill)}: {days} ago, time for another (--verify --read-data)")
