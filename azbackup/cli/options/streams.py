"""The options of restore.py that make a stream instead of a directory: --stdout and --tar, and what goes with them."""

from __future__ import annotations

import argparse

from azbackup.errors import UsageError

_NOT_WITH = ("--delete", "--check-existing", "--discard-thawed")


def add_streams(parser: argparse.ArgumentParser) -> None:
    """Adds them."""
    group = parser.add_argument_group("a stream instead of a directory").add_mutually_exclusive_group()
    group.add_argument("--stdout", metavar="PATH", help="write the contents of one file of the snapshot to stdout")
    group.add_argument(
        "--tar",
        metavar="FILE",
        help="write a tar (POSIX pax) of the snapshot, or of the paths that are given, to FILE, - for stdout. FILE "
        "appears when it is whole; --overwrite if-changed lets it replace another one",
    )


def streams(args: argparse.Namespace) -> str:
    """The option that makes a stream, '' for none."""
    return "--stdout" if args.stdout is not None else "--tar" if args.tar is not None else ""


def check_streams(args: argparse.Namespace) -> None:
    """Makes every positional argument a path. Raises UsageError for what does not go with a stream."""
    flag = streams(args)
    paths = [*([] if args.destination is None else [args.destination]), *args.paths]
    args.destination, args.paths = None, paths
    for other in _NOT_WITH:
        if getattr(args, other[2:].replace("-", "_")):
            raise UsageError(
                f"{other} does not go with {flag}", f"{flag} restores into no directory: leave {other} out"
            )
    if flag == "--stdout":
        if paths or args.include or args.exclude or args.all:
            raise UsageError(
                "--stdout takes one file, and no destination, patterns or --all", "--tar - writes as many as you like"
            )
        args.paths = [args.stdout]
    to_stdout = args.stdout is not None or args.tar == "-"
    if to_stdout and args.json and not (args.plan or args.dry_run):
        raise UsageError(f"--json and {flag} both write to stdout", "leave --json out")
    if args.overwrite is not None and (to_stdout or args.overwrite == "if-newer"):
        raise UsageError(
            f"--overwrite {args.overwrite} does not go with {flag}", "--tar FILE --overwrite if-changed replaces FILE"
        )
