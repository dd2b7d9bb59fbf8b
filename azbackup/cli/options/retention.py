"""The options of backup.py that say which snapshots are kept."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from azbackup.cli.options.common import age, count
from azbackup.cli.options.words import tag
from azbackup.errors import UsageError

if TYPE_CHECKING:
    from azbackup.commands.maintenance.keeping import Rules

_BELOW = 50.0
_PERIODS = {"hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months", "yearly": "years"}


def numbers(text: str) -> range:
    """The numbers that a text names: 7, or 3-9. Raises ArgumentTypeError for another text."""
    first, dash, last = text.partition("-")
    low = count(first)
    high = count(last) if dash else low
    if high < low:
        raise argparse.ArgumentTypeError(f"{text}: the last number is below the first")
    return range(low, high + 1)


def percent(most: float) -> Callable[[str], float]:
    """What reads a share: 25, 2.5 or 25%, from 0 to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text.removesuffix("%"))
        except ValueError:
            value = -1.0
        if not 0 <= value <= most:
            raise argparse.ArgumentTypeError(f"{text}: a number from 0 to {most:g} is expected")
        return value

    return read


def add_retention(parser: argparse.ArgumentParser) -> None:
    """Adds them."""
    group = parser.add_argument_group("which snapshots are kept (without a rule: all)")
    group.add_argument("--keep-last", metavar="N", type=count, default=0, help="keep the newest N")
    for name, noun in _PERIODS.items():
        text = f"keep the newest of each of the last N {noun} that have one"
        group.add_argument(f"--keep-{name}", metavar="N", type=count, default=0, help=text)
    group.add_argument(
        "--keep-within",
        metavar="AGE",
        type=age,
        default=0.0,
        help="keep what is less than AGE older than the newest: 90d",
    )
    group.add_argument(
        "--keep-tag", metavar="NAME", action="append", default=[], type=tag, help="keep what has this tag"
    )
    group.add_argument(
        "--retention-only",
        action="store_true",
        help="make no backup; without a directory: for all sources. With --dry-run: show what would go, and why not",
    )
    group.add_argument(
        "--forget",
        metavar="N",
        action="append",
        default=[],
        type=numbers,
        help="remove snapshot N, or 3-9, whatever the rules say; makes no backup",
    )
    group.add_argument(
        "--recall",
        metavar="N",
        action="append",
        default=[],
        type=numbers,
        help="bring back snapshot N, or 3-9, in the days before what was removed is deleted; makes no backup",
    )
    group.add_argument(
        "--rewrite-below",
        metavar="PERCENT",
        type=percent(50),
        help="store anew, from the files, what is needed of packs of which the newest snapshots need less than this, "
        "and of many small ones (default 50 with a rule, else 0: nothing)",
    )
    group.add_argument(
        "--rewrite-budget",
        metavar="PERCENT",
        type=percent(100),
        default=1.0,
        help="read and store at most this share of the directory anew in a run, but as much as a pack; default 1",
    )
    group.add_argument(
        "--delete-early",
        action="store_true",
        help="delete packs that nothing needs before their early-deletion fee is past, and pay it",
    )


def keeps(args: argparse.Namespace) -> bool:
    """Whether there is any rule. Raises UsageError for what does not go together."""
    rules = any(
        [args.keep_last, args.keep_within, args.keep_tag, *(getattr(args, f"keep_{name}") for name in _PERIODS)]
    )
    alone: Any = args.retention_only or args.forget or args.recall
    if (args.forget and (rules or args.recall)) or (args.recall and rules):
        raise UsageError("--forget, --recall and --keep-... do not go together", "one after the other")
    if args.delete_early and not (alone or rules):
        raise UsageError("--delete-early goes with --keep-..., --forget or --retention-only", "backup.py --help-all")
    if alone and (args.stdin_name or args.stdin_command):
        raise UsageError(
            "--retention-only, --forget and --recall make no backup", "leave out --stdin-name and --stdin-command"
        )
    return rules


def rewrite_below(args: argparse.Namespace, *, rules: bool) -> float:
    """Packs are rewritten of which less than so many percent are needed; 0 for none.

    Not unasked in a run that has little time: what it reads for that may cost it its snapshot.
    """
    if args.rewrite_below is not None:
        return float(args.rewrite_below)
    return _BELOW if rules and args.max_duration is None else 0.0


def retention_rules(args: argparse.Namespace) -> Rules:
    """The rules that the options make."""
    from azbackup.commands.maintenance.keeping import Rules  # which most runs do without

    periods = {name: getattr(args, f"keep_{name}") for name in _PERIODS}
    return Rules(args.keep_last, periods, args.keep_within, tuple(args.keep_tag))
