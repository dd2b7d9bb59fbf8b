"""The command line of restore.py --report: the figures of a partition, or of all, as a page in a file or as JSON.

The file is the user's alone, since it has names of files. An older page is replaced, any other file refused.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from azbackup.cli.gathering import gathered
from azbackup.cli.options.common import absolute_path
from azbackup.cli.output.report.page import BEGIN
from azbackup.cli.output.results import Results
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clean, count_text, time_text
from azbackup.cli.partitions import nothing_found
from azbackup.cli.session import Session, open_vault
from azbackup.cli.status import outcome_status, print_error
from azbackup.commands.browse.fleet import Fleet, fleet_of
from azbackup.commands.browse.partitions import survey
from azbackup.commands.browse.report import Report
from azbackup.errors import Status, UsageError
from azbackup.filesystem.outputs import NewFile
from azbackup.storage.prices import Prices

_NAMED = 10


def report_command(session: Session, prices: Prices) -> Status:
    """--report of one partition; TOO_OLD with --max-age where a source's newest backup is older."""
    args, show = session.args, session.show
    report = gathered(session, prices)
    show.close()
    from azbackup.cli.output.report.sections import report_page

    _write(args.report, report, lambda: report_page(report))
    counts = f"{count_text(len(report.sources), 'source')}, {count_text(len(report.snapshots), 'snapshot')}"
    _summary(args, show, counts, session.requests, session.seconds)
    status = outcome_status(show, 0)
    old = [f"{source.path} on {source.host}" for source in report.sources if source.too_old]
    return _too_old(show, "source", old) if old and args.max_age is not None and status is Status.DONE else status


def fleet_command(args: argparse.Namespace, show: LineProgress, prices: Prices) -> Status:
    """--report --all-partitions: no password is asked for."""
    started = time.monotonic()
    vault = open_vault(args, show)
    states = survey(vault.partitions, args.partition)
    if not states:
        raise nothing_found(args, vault)
    fleet = fleet_of(vault.place, states, time.time(), args.max_age, prices)
    from azbackup.cli.output.report.fleet import fleet_page

    _write(args.report, fleet, lambda: fleet_page(fleet))
    counts = count_text(len(states), "partition")
    _summary(args, show, counts, vault.account.requests.total(), time.monotonic() - started)
    old = [member.partition for member in fleet.partitions if member.too_old]
    return _too_old(show, "partition", old) if old and args.max_age is not None else Status.DONE


def check_output(name: str) -> None:
    """Raises UsageError if the page cannot get that name: it is known before a password is asked for."""
    if name == "-":
        return
    path = absolute_path(name, "--report")
    if not os.access(os.path.dirname(path), os.W_OK | os.X_OK):
        raise UsageError(f"--report: {name} cannot be written", "check the directory, or give another file")
    if os.path.lexists(path):
        _check_page(name, path)


def _check_page(name: str, path: bytes) -> None:
    begin = BEGIN.encode()
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = file.read(len(begin))
    except OSError as error:
        raise UsageError(f"--report: {name} cannot be read: {error.strerror}", "give the name of a new file") from None
    if found and found != begin:
        raise UsageError(
            f"--report: {name} is there already and is no page of --report: it was not touched",
            "give the name of a new file, or remove that one",
        )


def _write(name: str, figures: Report | Fleet, make_page: Callable[[], str]) -> None:
    """The page into its file, or the figures as JSON on stdout."""
    if name == "-":
        results = Results(sys.stdout)
        results.event("fleet" if isinstance(figures, Fleet) else "report", **values_of(figures))
        results.flush()
        return
    check_output(name)
    output = NewFile(absolute_path(name, "--report"), replaces=True)
    try:
        output.write(make_page().encode("utf-8", "backslashreplace"))
        output.appear()
    finally:
        output.close()


def values_of(figures: Report | Fleet) -> dict[str, Any]:
    """The figures as JSON values: an interface, which docs/operations.md describes."""
    values: dict[str, Any] = msgspec.to_builtins(figures)
    if isinstance(figures, Report) and figures.restore is not None:
        values["restore"]["fragmentation"] = round(figures.restore.fragmentation, 4)
    return values


def _summary(args: argparse.Namespace, show: LineProgress, counts: str, requests: int, seconds: float) -> None:
    figures = {"requests": requests, "seconds": round(seconds, 3)}
    if args.report == "-":
        if not show.json:
            show.line(f"{counts}; {requests:,} requests, {time_text(seconds)}")
        return
    line = f"{clean(args.report)}: {counts}; {requests:,} requests, {time_text(seconds)}"
    show.summary({"report": args.report, **figures}, line)


def _too_old(show: LineProgress, what: str, names: list[str]) -> Status:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    message = f"{count_text(len(names), what)} without a backup that is new enough: {', '.join(names[:_NAMED])}{more}"
    print_error(show, Status.TOO_OLD, message, "see why no backup came to its end since then")
    return Status.TOO_OLD
