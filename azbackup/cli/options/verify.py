"""The options of restore.py --verify, and what they do not go with."""

from __future__ import annotations

import argparse

from azbackup.cli.options.common import age
from azbackup.errors import UsageError

_ONLY = ("--drill-every",)


def add_verifying(parser: argparse.ArgumentParser) -> None:
    """Adds what goes with --verify."""
    verify = parser.add_argument_group("with --verify")
    verify.add_argument(
        "--drill-every",
        metavar="AGE",
        type=age,
        help="say when the last drill (--read-data) is older than AGE, like 90d",
    )


def check_verifying(args: argparse.Namespace) -> None:
    """Raises UsageError for what does not go with --verify, or not without it."""
    if args.verify:
        for flag, value in (("--source", args.source), ("--host", args.host), ("--snapshot", args.snapshot)):
            if value is not None:
                raise UsageError(f"--verify and {flag} do not go together", "all snapshots are verified")
        return
    for flag in _ONLY:
        value = getattr(args, flag[2:].replace("-", "_"))
        if value is not None and value is not False:
            raise UsageError(f"{flag} goes with --verify only", f"restore.py --verify {flag} ...")
