"""The command line of restore.py --diff: two snapshots, and what is different between them."""

from __future__ import annotations

import sys

from azbackup.cli.output.differences import Count, difference_line, difference_values
from azbackup.cli.output.results import Results
from azbackup.cli.output.text import local_text
from azbackup.cli.session import Session, chosen_snapshots, open_catalog
from azbackup.cli.status import outcome_status
from azbackup.commands.browse.differences import MOST, Differences
from azbackup.errors import NothingStored, Status
from azbackup.format.model import Snapshot
from azbackup.records.selection import Selection
from azbackup.records.snapshots import latest_by_source, snapshot_by_number, source_of


def diff_command(session: Session, selection: Selection, numbers: tuple[int, int | None]) -> Status:
    """Shows what is different from the first snapshot to the second one, or to the newest of the same source."""
    _, catalog = open_catalog(session)
    show, results = session.show, Results(sys.stdout)
    snapshots = chosen_snapshots(session.args, catalog, session.vault.partition)
    old, new = _two(snapshots, *numbers)
    if not show.json:
        show.note(f"{_name(old)} and {_name(new)}")
    differences, count = Differences(catalog, selection), Count()
    try:
        for found in differences.between(old, new):
            count.add(found)
            if show.json:
                results.event("difference", **difference_values(found))
            else:
                results.add(difference_line(found, new.source, results.names))
            if results.gone:
                break
    finally:
        results.flush()
    for path in differences.unknown:
        show.problem(path, "is in neither snapshot")
    if differences.too_many:
        show.note(f"more than {MOST:,} differences: what was moved is shown as removed and added")
    problems = len(differences.unknown)
    values = {"old": old.number, "new": new.number, **count.values(), "problems": problems}
    show.summary({**values, "requests": session.requests, "seconds": round(session.seconds, 3)}, count.text(old, new))
    return outcome_status(show, problems)


def _two(snapshots: list[Snapshot], first: int, second: int | None) -> tuple[Snapshot, Snapshot]:
    """The snapshots of two numbers, the second being the newest one of the first's source where there is no number."""
    old = snapshot_by_number(snapshots, first)
    if second is not None:
        return old, snapshot_by_number(snapshots, second)
    new = latest_by_source(snapshots)[source_of(old)]
    if new is old:
        raise NothingStored(
            f"snapshot {first} is the newest one of {source_of(old)}", "give two numbers: --diff A B; see --snapshots"
        )
    return old, new


def _name(snapshot: Snapshot) -> str:
    return f"snapshot {snapshot.number} of {source_of(snapshot)}, {local_text(snapshot.finished_ns)}"
