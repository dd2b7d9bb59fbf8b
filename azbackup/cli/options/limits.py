"""The options that bound a backup: how long it waits and lasts, and whether it makes a snapshot of nothing new."""

from __future__ import annotations

import argparse

from azbackup.cli.options.common import duration


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds --lock-wait, --max-duration and --skip-if-unchanged."""
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--lock-wait",
        metavar="TIME",
        type=duration,
        help="wait so long (10m, 2h) for another backup of the same directory, instead of ending with 11 at once",
    )
    limits.add_argument(
        "--max-duration",
        metavar="TIME",
        type=duration,
        help="after so long (45m, 6h) end with 75, without a snapshot; what is stored by then the next run finds",
    )
    limits.add_argument(
        "--skip-if-unchanged",
        action="store_true",
        help="make no snapshot if nothing has changed, but for one a week",
    )
