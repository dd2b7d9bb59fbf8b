"""The command line of restore.py until the key is open: to restore, or one of the options that look.

Imports in functions: listing does not load the modules of restoring, and the key is derived before both load.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import NoReturn

from azbackup.cli.main import run_script
from azbackup.cli.options.common import absolute_path
from azbackup.cli.options.restore import looks, second_snapshot
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.unlock import opened_session
from azbackup.errors import Status
from azbackup.records.selection import Matcher, Selection, matcher
from azbackup.storage.prices import load_prices


def restore_main() -> NoReturn:
    """restore.py."""
    run_script("restore", _start)


def _start(args: argparse.Namespace, show: LineProgress) -> Status:
    """What restore.py was asked for."""
    started = time.monotonic()
    if (look := looks(args)) in ("--partitions", "--account-check"):
        return _without_password(args, show, look)
    if look == "--report":
        return _report(args, show, started)
    if look == "--diff":
        second = second_snapshot(args)
        chosen = _selection(args, args.paths if second else _positionals(args))
        session = opened_session(args, show, started)
        from azbackup.cli.diff import diff_command

        return diff_command(session, chosen, (args.diff, second))
    if look == "--verify":
        session = opened_session(args, show, started)
        from azbackup.cli.verify import verify_command

        return verify_command(session)
    if look:
        wanted = _wanted(args, look)
        session = opened_session(args, show, started)
        from azbackup.cli.browse import look_command

        return look_command(session, wanted)
    prices = load_prices(args.prices, args.region)
    selection = _selection(args, args.paths)
    first = [matcher("--first", [pattern]) for pattern in args.first]
    destination = absolute_path(args.destination, "destination") if args.destination is not None else None
    session = opened_session(args, show, started)
    from azbackup.cli.restore import Wish, restore_command

    return restore_command(session, Wish(selection, first, destination, prices))


def _report(args: argparse.Namespace, show: LineProgress, started: float) -> Status:
    prices = load_prices(args.prices, args.region)
    from azbackup.cli.report import check_output, fleet_command, report_command

    check_output(args.report)
    if args.all_partitions:
        return fleet_command(args, show, prices)
    return report_command(opened_session(args, show, started), prices)


def _without_password(args: argparse.Namespace, show: LineProgress, look: str) -> Status:
    if look == "--partitions":
        from azbackup.cli.partitions import partitions_command

        return partitions_command(args, show)
    from azbackup.cli.account_check import account_check_command

    return account_check_command(args, show)


def _wanted(args: argparse.Namespace, look: str) -> Selection | Matcher | None:
    """What --list selects, what --find matches, None for --snapshots.

    Raises UsageError for a pattern that cannot be read.
    """
    if look == "--snapshots":
        return None
    if look == "--find":
        return matcher(look, args.find)
    return _selection(args, _positionals(args))


def _positionals(args: argparse.Namespace) -> list[str]:
    return [args.destination, *args.paths] if args.destination is not None else []


def _selection(args: argparse.Namespace, paths: list[str]) -> Selection:
    return Selection([os.fsencode(path) for path in paths], args.include, args.exclude)
