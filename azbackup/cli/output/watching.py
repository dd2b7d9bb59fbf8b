"""How progress is shown, if at all: drawn, in lines, as events. A quiet run loads nothing of what shows it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping

from azbackup.cli.output.terminal import LineProgress

_DUMB = ("", "dumb", "unknown")


def watch(show: LineProgress, args: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """Gives the listener of a run a clock, where its progress is to be shown. Called before threads are made."""
    how = args.progress
    if how == "auto":
        how = _usual(args, environ)
    supervised = bool(environ.get("NOTIFY_SOCKET"))
    if how == "none" and not supervised:
        return
    from azbackup.cli.output.clock import Clock, View
    from azbackup.cli.output.figures import Figures, Speeds
    from azbackup.progress import Traffic

    view: View | None = None
    if how == "drawn":
        from azbackup.cli.output.screen import Screen
        from azbackup.cli.output.stops import hide_before_stopping

        view = Screen(sys.stderr)
        hide_before_stopping(view.hide)
    elif how != "none":
        from azbackup.cli.output import reports

        view = reports.events(show.event, sys.stderr) if how == "json" else reports.lines(show.program, sys.stderr)
    if view is None or supervised:
        from azbackup.cli.output.notify import Notifying, notify

        view = Notifying(environ, view)
        notify(environ, "READY=1")
    traffic = Traffic(time.monotonic)
    show.clock = Clock(Figures(traffic), Speeds(traffic), view, counts=how != "none")


def _usual(args: argparse.Namespace, environ: Mapping[str, str]) -> str:
    """What becomes of a terminal, of one that draws nothing anew, of a log, of cron."""
    if args.json or args.quiet or sys.stderr is None:
        return "none"
    if sys.stderr.isatty():
        return "lines" if environ.get("TERM", "") in _DUMB else "drawn"
    return "lines" if args.verbose else "none"
