"""The options that bound a backup: how long it waits for another one."""

from __future__ import annotations

import argparse

from azbackup.cli.options.common import duration


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds --lock-wait."""
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--lock-wait",
        metavar="TIME",
        type=duration,
        help="wait so long (10m, 2h) for another backup of the same directory, instead of ending with 11 at once",
    )
