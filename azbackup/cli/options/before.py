"""The option --before, and what it does not go with."""

from __future__ import annotations

import argparse

from azbackup.cli.options.words import beginning
from azbackup.errors import UsageError


def add_before(group: argparse._ArgumentGroup) -> None:
    """Adds it."""
    group.add_argument(
        "--before",
        metavar="TIME",
        type=beginning,
        help="trust only what the storage took before TIME, by its own clock: 2026-11-20 (its beginning), "
        "'2026-11-20 14:30'; for restores, lists and --verify after a break-in",
    )


def check_before(args: argparse.Namespace, look: str) -> None:
    """Raises UsageError for what does not go with --before."""
    others = {
        **dict.fromkeys(("--partitions", "--report", "--account-check"), look),
        "--discard-thawed": args.discard_thawed and "--discard-thawed",
        "--read-data": args.read_data and "--read-data",
        "--drill-every": args.drill_every is not None and "--drill-every",
    }
    for flag, given in others.items():
        if args.before is not None and given == flag:
            raise UsageError(f"{flag} and --before do not go together", f"leave {flag} out")
