"""The options by which somebody, or some program, is told how a run ended."""

from __future__ import annotations

import argparse


def add_telling(parser: argparse.ArgumentParser) -> None:
    """Adds --on-success, --on-warning, --on-failure and --ping."""
    telling = parser.add_argument_group("being told how it went (docs/operations.md)")
    for kind, what in (
        ("success", "the run ends with 0"),
        ("warning", "it ends with 3, 11 or 75; --on-failure's, if this is not given"),
        ("failure", "it ends with anything else"),
    ):
        telling.add_argument(
            f"--on-{kind}",
            metavar="COMMAND",
            help=f"run this command when {what}; it finds the facts in AZBACKUP_* and, as JSON, on its stdin",
        )
    telling.add_argument(
        "--ping",
        metavar="URL",
        help="tell a monitor in the way of healthchecks.io: URL/start, then URL, or URL/fail if it does not end with 0",
    )


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """Adds --metrics."""
    parser.add_argument(
        "--metrics",
        metavar="FILE",
        help="write how it went to FILE.prom for node_exporter's textfile collector, whole and at once",
    )
