"""The options of restore.py for where it restores to instead of a destination: every argument is a path then."""

from __future__ import annotations

import argparse

from azbackup.errors import UsageError

_NOT_WITH = {
    "--stdout": ("--delete", "--check-existing", "--discard-thawed", "--owners", "--first"),
    "--tar": ("--delete", "--check-existing", "--discard-thawed", "--owners", "--first"),
    "--in-place": ("--discard-thawed",),
    "--thaw-only": ("--delete", "--check-existing", "--discard-thawed", "--owners", "--overwrite", "--dry-run"),
}


def add_places(parser: argparse.ArgumentParser) -> None:
    """Adds them."""
    group = parser.add_argument_group("where to, instead of a destination").add_mutually_exclusive_group()
    group.add_argument(
        "--in-place",
        action="store_true",
        help="restore to where it was. What is there and differs is kept as NAME.before-restore, unless --overwrite "
        "says otherwise",
    )
    group.add_argument("--stdout", metavar="PATH", help="write the contents of one file of the snapshot to stdout")
    group.add_argument(
        "--tar",
        metavar="FILE",
        help="write a tar (POSIX pax) of the snapshot, or of the paths that are given, to FILE, - for stdout. FILE "
        "appears when it is whole; --overwrite if-changed lets it replace another one",
    )
    group.add_argument(
        "--thaw-only",
        action="store_true",
        help="thaw what is needed and restore nothing: 75 until all is there, then 0; the same restore, anywhere, "
        "fetches it then",
    )


def stream(args: argparse.Namespace) -> str:
    """The option that makes a stream, '' for none."""
    return "--stdout" if args.stdout is not None else "--tar" if args.tar is not None else ""


def place(args: argparse.Namespace) -> str:
    """The option that says where to, '' for a destination."""
    return stream(args) or ("--in-place" if args.in_place else "--thaw-only" if args.thaw_only else "")


def check_place(args: argparse.Namespace) -> None:
    """Makes every positional argument a path. Raises UsageError for what does not go with the place."""
    flag = place(args)
    paths = [*([] if args.destination is None else [args.destination]), *args.paths]
    args.destination, args.paths = None, paths
    for other in _NOT_WITH[flag]:
        if getattr(args, other[2:].replace("-", "_")):
            raise UsageError(f"{other} does not go with {flag}", f"leave {other} out")
    if flag == "--stdout":
        if paths or args.include or args.exclude or args.all:
            raise UsageError(
                "--stdout takes one file, and no destination, patterns or --all", "--tar - writes as many as you like"
            )
        args.paths = [args.stdout]
    if stream(args):
        _check_stream(args, flag)


def _check_stream(args: argparse.Namespace, flag: str) -> None:
    to_stdout = args.stdout is not None or args.tar == "-"
    if to_stdout and args.json and not (args.plan or args.dry_run):
        raise UsageError(f"--json and {flag} both write to stdout", "leave --json out")
    if args.overwrite is not None and (to_stdout or args.overwrite == "if-newer"):
        raise UsageError(
            f"--overwrite {args.overwrite} does not go with {flag}", "--tar FILE --overwrite if-changed replaces FILE"
        )
