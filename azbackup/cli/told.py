"""Whoever is to be told how a run ends: as a rule nobody, and then nothing that tells is loaded."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from azbackup.cli.output.terminal import LineProgress
from azbackup.errors import Status

if TYPE_CHECKING:
    from azbackup.cli.telling.outcome import Kind
    from azbackup.cli.telling.teller import Teller

# What a script may be asked for instead of its main work.
_MODES = (
    *("partitions", "snapshots", "list", "find", "diff", "verify", "repair", "report", "discard_thawed"),
    *("retention_only", "forget"),
)


class Told:
    """The telling of one run, if somebody asked for it. A dry run and a plan are told to nobody."""

    def __init__(self, script: str, args: argparse.Namespace, show: LineProgress) -> None:
        self._script = script
        self._args = args
        self._show = show
        self._teller: Teller | None = None

    def begin(self) -> None:
        """The run begins. Raises UsageError for what cannot be right."""
        args = self._args
        hooks: dict[Kind, str] = {
            "success": args.on_success,
            "warning": args.on_warning,
            "failure": args.on_failure,
        }
        metrics = getattr(args, "metrics", None)
        dry = getattr(args, "dry_run", False) or getattr(args, "plan", False)
        supervised = os.environ.get("NOTIFY_SOCKET")
        if dry or not (any(hooks.values()) or args.ping or metrics or supervised):
            return
        from azbackup.cli.telling.teller import Listeners, Teller

        command = next((mode for mode in _MODES if getattr(args, mode, None)), self._script)
        where = {name: getattr(args, name) or "" for name in ("account", "container", "partition")}
        listeners = Listeners(hooks, args.ping or "", metrics or "")
        self._teller = Teller(f"{self._script}.py", command, where, listeners)
        self._show.heard = self._teller.heard
        self._teller.begin()

    def end(self, status: Status) -> None:
        """The run has ended."""
        if self._teller is not None:
            self._teller.end(status, self._show)

    def stop(self) -> None:
        """Lets nothing go on that was started by `end`."""
        if self._teller is not None:
            self._teller.stop()
