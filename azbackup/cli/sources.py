"""The directories of one backup command: which they are, and the one status of all of their backups."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from azbackup.cli.options.common import absolute_path
from azbackup.cli.options.retention import rewrite_below
from azbackup.cli.output.levels import Level
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.status import print_error, print_traceback
from azbackup.errors import AzbackupError, OutOfTime, Status, UsageError
from azbackup.filesystem.source import open_source
from azbackup.format.labels import NAME_CHARACTERS
from azbackup.storage.prices import Prices

if TYPE_CHECKING:
    from azbackup.commands.backup.rewriting import Rewrite
    from azbackup.commands.backup.rules import Rules
    from azbackup.commands.backup.stream import Stream

# From what is well to what needs somebody soonest. What another run does, or a later one may, weighs little.
_SEVERITY = (
    *(Status.DONE, Status.INCOMPLETE, Status.ALREADY_RUNNING, Status.THAWING, Status.UNAVAILABLE),
    *(
        Status.NOTHING_STORED,
        Status.FAILED,
        Status.USAGE,
        Status.TOO_OLD,
        Status.WRONG_PASSWORD,
        Status.DAMAGED,
        Status.INTERRUPTED,
    ),
)
_QUOTES = "a path or value that has blanks has to be in quotes"


class Asked(NamedTuple):
    """What holds for every directory of a command: what is left out, what storage costs, which tier the packs get.

    `stream`: what is read instead of directories. `is_over`: whether the time that all of them may take is over.
    `rewrite`: which stored contents are stored anew, None for none.
    """

    rules: Rules
    prices: Prices
    tier: str
    stream: Stream | None = None
    is_over: Callable[[], bool] | None = None
    rewrite: Rewrite | None = None


def host_name(args: argparse.Namespace) -> str:
    """The host that a backup is of, as far as a snapshot has room for its name."""
    import socket  # after the password was stretched: with what it loads it takes half a MiB

    name: str = args.host or socket.gethostname()
    return name.encode("utf-8", "backslashreplace").decode()[:NAME_CHARACTERS]


def worst(statuses: Iterable[Status]) -> Status:
    """The status that stands for several: the one that needs somebody soonest."""
    return max(statuses, key=_SEVERITY.index, default=Status.DONE)


def sources_of(args: argparse.Namespace) -> list[bytes]:
    """The directories of the command line, absolute, each once, in their order.

    A mistyped one is an error before anything is asked or stored: raises AzbackupError if none of them can be read, and
    UsageError where one may be the second word of a secret, which is then not shown.
    """
    if not args.directories:
        raise UsageError("there is no directory to back up", "see backup.py --help")
    sources = list(dict.fromkeys(absolute_path(each, "directory") for each in args.directories))
    errors = [error for each in sources if (error := _error_of(each))]
    secret = any(getattr(args, name, None) for name in ("password", "accesskey", "sas_token", "connection_string"))
    if errors and len(sources) > 1 and secret and not all(each.startswith("/") for each in args.directories):
        raise UsageError(f"not all of the {len(sources)} directories are there", _QUOTES)
    if len(errors) == len(sources):
        raise errors[0] if len(sources) == 1 else AzbackupError(errors[0].message, f"{errors[0].hint}; {_QUOTES}")
    return sources


def _error_of(source: bytes) -> AzbackupError | None:
    try:
        os.close(open_source(source))
    except AzbackupError as error:
        return error
    return None


def tell_nested(sources: list[bytes], show: LineProgress) -> None:
    """A note for each directory that lies in another one of the command."""
    for inner in sources:
        for outer in sources:
            if inner != outer and inner.startswith(outer.rstrip(b"/") + b"/"):
                show.note(
                    f"{os.fsdecode(inner)} lies in {os.fsdecode(outer)}: it is in the snapshots of both, its contents "
                    "are stored once"
                )


def tell_misplaced(sources: list[bytes], rules: Rules, show: LineProgress) -> None:
    """A note for each pattern that begins with the path of a directory: it is relative to that directory."""
    for pattern in rules.patterns.patterns:
        path = pattern.text.removeprefix("!")
        for source in (os.fsdecode(each) for each in sources if each != b"/"):
            if path.rstrip("/") == source or path.startswith(source + "/"):
                rest = path[len(source) :] or "/*"
                show.note(
                    f"{pattern}: patterns are relative to {source}, so that this matches nothing there; as in {rest}"
                )


def deadline(started: float, seconds: float | None) -> Callable[[], bool] | None:
    """Whether the time of --max-duration is over, for a command that started then, of time.monotonic()."""
    return None if seconds is None else lambda: time.monotonic() - started >= seconds


def rewrite_of(args: argparse.Namespace, prices: Prices, started: float, *, rules: bool) -> Rewrite | None:
    """What is to be rewritten, until half of the time is over that the command may take; None for nothing."""
    below = rewrite_below(args, rules=rules)
    if not below:
        return None
    from azbackup.commands.backup.rewriting import Rewrite  # loads what seals: after the password was stretched

    half = None if args.max_duration is None else args.max_duration / 2
    days = prices.early_deletion_days
    return Rewrite(below, args.rewrite_budget, days, deadline(started, half))


def check_begins(asked: Asked, source: str) -> None:
    """Raises OutOfTime for a directory for which no time is left."""
    if asked.is_over is not None and asked.is_over():
        raise OutOfTime(
            f"the time is over before {source} was begun: no snapshot was made", "run the same command again"
        )


def each_source(
    sources: list[bytes],
    action: Callable[[bytes], Status],
    show: LineProgress,
    *,
    goes_on: Callable[[], bool],
    verbose: bool,
) -> Status:
    """Does something for each directory, one after the other, and returns the worst status.

    One that fails is told, and the others are done all the same; but not as long as `goes_on` says that none of them
    could fare better.
    """
    statuses = []
    for source in sources:
        show.begin_next()
        if len(sources) > 1:
            show.event("source", source=os.fsdecode(source))
        try:
            statuses.append(action(source))
        except AzbackupError as error:
            hopeless = not (goes_on() or error.status == Status.ALREADY_RUNNING)
            if len(sources) == 1 or hopeless:
                raise
            show.close()
            if verbose:
                print_traceback(error, show.mark(Level.ERROR))
            shown = os.fsdecode(source)
            message = error.message if shown in error.message else f"{shown}: {error.message}"
            print_error(show, error.status, message, error.hint)
            statuses.append(error.status)
    return worst(statuses)
