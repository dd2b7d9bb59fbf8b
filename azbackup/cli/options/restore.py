"""The options of restore.py, and which of them only look."""

from __future__ import annotations

import argparse

from azbackup.cli.options.before import add_before, check_before
from azbackup.cli.options.common import (
    Parser,
    add_password,
    add_prices,
    add_problems,
    age,
    amount,
    count,
    interval,
    script_parser,
)
from azbackup.cli.options.mistakes import NO_PARTITION
from azbackup.cli.options.places import add_places, check_place, place
from azbackup.cli.options.telling import add_metrics
from azbackup.cli.options.verify import OF_DRILLS, add_verifying, check_verifying, is_drill
from azbackup.cli.options.words import moment, tag
from azbackup.errors import UsageError
from azbackup.filesystem.overwrite import POLICIES

_EVERY_DAY = {
    "every day": ("--account", "--accesskey", "--partition", "--password"),
    "look, and thaw nothing": ("--partitions", "--snapshots", "--list", "--find", "--plan", "--dry-run"),
    "what, and how": ("--snapshot", "--wait", "--profile"),
}

_EXAMPLES = """examples:
  python restore.py --account mystorage --accesskey KEY --password SECRET \\
      --partition user1 /home/user/restored
  python restore.py ... --plan               # how long, and how much?
  python restore.py ... --wait DIR           # stay until all has thawed
  python restore.py ... DIR letters/2024     # a part
  python restore.py ... --find 'thesis*'     # which snapshots have it?

"""

_OF_RESTORING = (
    *("--overwrite", "--delete", "--no-special-modes", "--check-existing", "--plan", "--dry-run", "--max-cost"),
    "--ask-above",
    *("--wait", "--poll-interval", "--discard-thawed", "--force", "--all", "--stdout", "--tar", "--by-directory"),
    *("--in-place", "--thaw-only", "--owners", "--first"),
)


def _looking(parser: argparse.ArgumentParser) -> None:
    looking = parser.add_argument_group("listing, without restoring or thawing anything").add_mutually_exclusive_group()
    looking.add_argument("--snapshots", action="store_true", help="list all snapshots, oldest first")
    looking.add_argument(
        "--list",
        action="store_true",
        help="list the contents of the snapshot; every positional argument is then a path",
    )
    looking.add_argument(
        "--diff",
        metavar="A [B]",
        type=count,
        help="show what is different from snapshot A to B, or to the newest of its source; what follows are paths",
    )
    looking.add_argument(
        "--partitions",
        action="store_true",
        help="list the partitions, and when each was backed up",
    )
    looking.add_argument(
        "--report",
        metavar="FILE",
        help="write a page about sources, snapshots, growth, cost and a full restore to FILE (HTML); - prints JSON",
    )
    looking.add_argument(
        "--account-check",
        action="store_true",
        help="say what protects the account, and what these credentials may do; needs no password, and writes nothing",
    )
    looking.add_argument(
        "--verify",
        action="store_true",
        help="hold all snapshots against what is stored: packs, records, copies; 13 names what is damaged, and what "
        "mends it",
    )
    looking.add_argument(
        "--find",
        metavar="PATTERN",
        action="append",
        default=[],
        help="list the versions of files that match PATTERN (gitignore syntax), and the snapshots that contain each "
        "version",
    )


def restore_parser() -> Parser:
    """The parser of restore.py."""
    parser = script_parser(
        "restore.py",
        "Restore the latest snapshot, thawing archived packs on the way.",
        _EXAMPLES,
    )
    parser.everyday, parser.places = _EVERY_DAY, "[DESTINATION [PATH ...]]"
    add_password(parser, "--password", "AZBACKUP_PASSWORD", "password")
    parser.add_argument("destination", nargs="?", help="the directory to restore into")
    parser.add_argument("paths", nargs="*", metavar="path", help="only these paths, relative to the source or absolute")
    _looking(parser)
    parser.add_argument(
        "--max-age",
        metavar="AGE",
        type=age,
        help="with --partitions and --report: end with status 15 if a partition, or source, has no backup newer than "
        "AGE (90min, 26h, 8d, 2w)",
    )
    parser.add_argument(
        "--all-partitions",
        action="store_true",
        help="with --report: a page of all partitions, by names and times alone; no password is needed",
    )
    parser.not_required("partition")  # with --partitions, which names them
    _naming(parser)
    _selecting(parser)
    add_places(parser)
    _overwriting(parser)
    _planning(parser)
    _thawing(parser)
    add_problems(parser)
    add_metrics(parser)
    add_verifying(parser)
    return parser


def _naming(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--du",
        action="store_true",
        help="with --list: what is large, by directory: those that hold at least a hundredth",
    )
    parser.add_argument(
        "--unique", action="store_true", help="with --list --du: also how much of it no other snapshot has"
    )
    parser.add_argument(
        "--deleted",
        action="store_true",
        help="with --find: only what the newest snapshot has not, when it was last there and how to restore it",
    )
    parser.add_argument(
        "-R",
        "--recursive",
        action="store_true",
        help="with --list: everything below, by its whole path, instead of one level with totals of its directories "
        "(--json, -0 and --include do that anyway)",
    )
    parser.add_argument("--last", metavar="N", type=count, help="with --snapshots: only the newest N of each source")
    parser.add_argument(
        "-0",
        "--null",
        action="store_true",
        help="with --list and --find: print names alone, as they are, each ended by a NUL byte (for xargs -0)",
    )
    parser._has_negative_number_optionals.clear()  # noqa: SLF001  -0 is an option; other numbers stay values


def _selecting(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("which files are restored")
    what.add_argument("--source", metavar="DIR", help="the directory that was backed up, if the partition has several")
    what.add_argument("--host", metavar="NAME", help="the host that it was backed up on, if there are several")
    what.add_argument(
        "--all", action="store_true", help="restore the latest snapshot of every source, each below its own path"
    )
    what.add_argument(
        "--snapshot", metavar="N", type=int, help="number of the snapshot to restore, instead of the latest"
    )
    what.add_argument(
        "--as-of",
        metavar="TIME",
        type=moment,
        help="the last snapshot that was finished by then: 2026-03-01 (its end), '2026-03-01 14:30', in local time "
        "unless it ends in Z or an offset",
    )
    add_before(what)
    what.add_argument(
        "--tag", metavar="NAME", action="append", default=[], type=tag, help="only snapshots that have this tag"
    )
    what.add_argument(
        "--include",
        metavar="PATTERN",
        action="append",
        default=[],
        help="restore only paths that match (gitignore syntax)",
    )
    what.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out paths that match (gitignore syntax)",
    )


def _overwriting(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what is there already")
    what.add_argument(
        "--overwrite",
        choices=POLICIES,
        help="what to do with files that exist and differ from the snapshot. Without this option none is replaced: "
        "they are named, and nothing is restored",
    )
    what.add_argument(
        "--delete",
        action="store_true",
        help="remove what the restored part of the destination has and the snapshot has not, and what is in the way of "
        "a file or directory of another kind; --dry-run names it",
    )
    what.add_argument(
        "--no-special-modes",
        action="store_true",
        help="leave out what grants privileges: setuid and setgid, devices, attributes of security and trusted",
    )
    what.add_argument(
        "--owners",
        choices=("name", "number", "none"),
        help="which owner a file gets, where root restores: whoever has the stored name here, else the number; the "
        "stored number (default); or none, so that all is root's",
    )
    what.add_argument(
        "--check-existing",
        action="store_true",
        help="also compare the contents of files that have the right size and time",
    )


def _planning(parser: argparse.ArgumentParser) -> None:
    plan = parser.add_argument_group("plan and price")
    plan.add_argument(
        "--plan",
        action="store_true",
        help="restore nothing: show the hours and the money that it takes",
    )
    plan.add_argument(
        "--by-directory", action="store_true", help="with --plan: what each top directory takes, if restored alone"
    )
    plan.add_argument(
        "--dry-run",
        action="store_true",
        help="restore nothing: list the files, and show the plan",
    )
    plan.add_argument(
        "--max-cost",
        metavar="AMOUNT",
        type=amount,
        help="stop before anything is spent if the restore would cost more than AMOUNT",
    )
    plan.add_argument(
        "--ask-above",
        metavar="AMOUNT",
        type=amount,
        help="on a terminal, ask before a restore that costs more than AMOUNT; default 1",
    )
    add_prices(plan)


def _thawing(parser: argparse.ArgumentParser) -> None:
    thaw = parser.add_argument_group("thawing archived packs")
    thaw.add_argument(
        "--priority",
        choices=("standard", "high", "mixed"),
        default="standard",
        help="standard: up to 15 hours; high: under one for the first 10 GiB, and costs more; mixed: high within the "
        "hour's budget, the rest standard; default standard",
    )
    thaw.add_argument(
        "--high-budget",
        metavar="GIB",
        type=amount,
        default=10.0,
        help="most GiB to thaw at high priority, for each hour and account; default 10",
    )
    thaw.add_argument(
        "--thaw",
        choices=("copy", "in-place"),
        default="copy",
        help="copy (default) leaves the archived packs as they are; in-place is for credentials that cannot copy, and "
        "pays the early-deletion fee",
    )
    thaw.add_argument(
        "--first",
        metavar="PATTERN",
        action="append",
        default=[],
        help="thaw and restore what matches PATTERN (gitignore syntax) before all else; may be given several times, in "
        "the order of need",
    )
    thaw.add_argument("--wait", action="store_true", help="stay until everything has thawed, instead of ending with 75")
    thaw.add_argument(
        "--poll-interval",
        metavar="SECONDS",
        type=interval,
        help="with --wait: seconds between two checks; default 30 s, growing to 15 min",
    )
    thaw.add_argument(
        "--discard-thawed", action="store_true", help="remove all thawed copies of the partition, and restore nothing"
    )
    thaw.add_argument(
        "--force",
        action="store_true",
        help="restore although there seems to be too little room, as on a file system that compresses; with "
        "--discard-thawed: even if restores wait for the copies",
    )


def _check_companions(args: argparse.Namespace) -> None:
    """Raises UsageError for what goes with --partitions, --verify or --find only, or not with them."""
    check_verifying(args)
    if (args.du and not args.list) or (args.unique and not args.du):
        raise UsageError("--du goes with --list, --unique with --list --du", "restore.py --list --du --unique")
    if args.deleted and not args.find:
        raise UsageError("--deleted goes with --find only", "restore.py --find 'thesis*' --deleted")
    if args.recursive and not args.list:
        raise UsageError("-R goes with --list only", "restore.py --list -R letters")
    if args.all_partitions and args.report is None:
        raise UsageError("--all-partitions goes with --report only", "restore.py --report FILE.html --all-partitions")
    if args.partitions or args.all_partitions or args.account_check:
        if (args.source, args.host, args.snapshot, args.as_of, args.tag) != (None, None, None, None, []):
            raise UsageError(
                "--source, --host, --snapshot, --as-of and --tag do not go with --partitions", "they are encrypted"
            )
    elif args.max_age is not None and args.report is None:
        raise UsageError("--max-age goes with --partitions and --report only", "restore.py --partitions --max-age 26h")
    elif args.partition is None:
        raise UsageError(*NO_PARTITION)


def _check_restoring(args: argparse.Namespace) -> None:
    """Raises UsageError for what a restore lacks, or what does not go with it."""
    if args.by_directory and not args.plan:
        raise UsageError("--by-directory goes with --plan only", "add --plan: it restores nothing")
    if place(args):
        check_place(args)
    elif args.destination is None and not (args.plan or args.discard_thawed):
        raise UsageError("no destination is given", "give the directory to restore into, --in-place, or --plan")


def second_snapshot(args: argparse.Namespace) -> int | None:
    """The number behind --diff A; None where there is none, or a path."""
    word: str = args.destination or ""
    return int(word[:9]) if word.isascii() and word.isdigit() else None


def looks(args: argparse.Namespace) -> str:
    """The option of restore.py that only looks, '' when it is to restore.

    Raises UsageError for what does not go with it.
    """
    given = {
        "--snapshots": args.snapshots,
        "--list": args.list,
        "--find": args.find,
        "--diff": args.diff,
        "--partitions": args.partitions,
        "--report": args.report is not None,
        "--verify": args.verify,
        "--account-check": args.account_check,
    }
    look = next((flag for flag, value in given.items() if value), "")
    _check_companions(args)
    check_before(args, look)
    if not look:
        _check_restoring(args)
        return ""
    _check_looking(args, look)
    return look


def _check_looking(args: argparse.Namespace, look: str) -> None:
    """Raises UsageError for what does not go with an option that only looks."""
    for flag in _OF_RESTORING:
        value = getattr(args, flag[2:].replace("-", "_"))
        allowed = flag in OF_DRILLS and is_drill(args)
        if value is not None and value is not False and value != [] and not allowed:  # 0 is a --max-cost
            raise UsageError(f"{look} and {flag} do not go together", f"{look} restores nothing: leave {flag} out")
    if look == "--diff" and (args.snapshot is not None or args.null):
        raise UsageError("--snapshot and --null do not go with --diff", "restore.py --diff 3 7")
    if look in ("--list", "--diff"):
        return
    if args.destination is not None:
        raise UsageError(
            f"{look} takes no destination and no paths: {args.destination}", "--list PATH lists what is below a path"
        )
    if args.include or args.exclude:
        hint = "give --find several times; a pattern that begins with ! takes away" if args.find else "use --list"
        raise UsageError(f"--include and --exclude do not go with {look}", hint)
