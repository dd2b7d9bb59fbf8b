"""The options of restore.py --verify, and what they do not go with."""

from __future__ import annotations

import argparse

from azbackup.cli.options.common import age
from azbackup.cli.options.exclude import size
from azbackup.errors import UsageError

_ONLY = ("--drill-every", "--read-data", "--sample", "--budget")
OF_DRILLS = ("--max-cost", "--wait", "--poll-interval", "--plan")


def share(text: str) -> float:
    """The share that a text like 5% means, above 0 and up to 1. Raises ArgumentTypeError for another text."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = 0.0
    if not (text.endswith("%") and 0 < value <= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a share: give a percentage, like 5%")
    return value


def is_drill(args: argparse.Namespace) -> bool:
    """Whether contents are to be read: then some options of restoring hold."""
    return bool(args.verify and args.read_data)


def add_verifying(parser: argparse.ArgumentParser) -> None:
    """Adds what goes with --verify."""
    verify = parser.add_argument_group("with --verify")
    verify.add_argument(
        "--read-data",
        action="store_true",
        help="also open the packs that are online; with --sample, --budget or --max-cost a random choice of all, which "
        "are thawed for it: a drill, with its time and its bill",
    )
    verify.add_argument("--sample", metavar="PERCENT", type=share, help="open this share of the packs, like 5%%")
    verify.add_argument("--budget", metavar="SIZE", type=size, help="open packs of SIZE in all, like 10GiB")
    verify.add_argument(
        "--drill-every",
        metavar="AGE",
        type=age,
        help="say when the last drill (--read-data) is older than AGE, like 90d",
    )


def check_verifying(args: argparse.Namespace) -> None:
    """Raises UsageError for what does not go with --verify, or not without it."""
    if args.verify:
        if args.read_data:
            return
        for flag in ("--sample", "--budget"):
            if getattr(args, flag[2:]) is not None:
                raise UsageError(f"{flag} goes with --read-data", "restore.py --verify --read-data --sample 5%")
        for flag, value in (("--source", args.source), ("--host", args.host), ("--snapshot", args.snapshot)):
            if value is not None:
                raise UsageError(f"--verify and {flag} do not go together", "all snapshots are verified")
        return
    for flag in _ONLY:
        value = getattr(args, flag[2:].replace("-", "_"))
        if value is not None and value is not False:
            raise UsageError(f"{flag} goes with --verify only", f"restore.py --verify {flag} ...")
