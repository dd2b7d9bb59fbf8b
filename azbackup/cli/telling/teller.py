"""Tells whoever is to be told: at the start a monitor; at the end the file of metrics, the monitor and a command.

What goes wrong there is said on stderr and changes nothing: the process ends with the run's own status.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from azbackup.cli.output.heard import Heard
from azbackup.cli.output.levels import Level
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clean, write
from azbackup.cli.telling.hook import Hook
from azbackup.cli.telling.metrics import check_metrics_file, write_metrics
from azbackup.cli.telling.outcome import Kind, Outcome
from azbackup.cli.telling.ping import Ping
from azbackup.errors import Status

_SECONDS = 60.0  # that telling may take
_HURRIED_SECONDS = 5.0  # after an interrupt: whoever stops the machine does not wait for long


@dataclass(frozen=True)
class Listeners:
    """Who is to be told: the commands by what they are for, the monitor's URL, the file of metrics; '' for none."""

    hooks: Mapping[Kind, str]
    ping: str
    metrics: str


class Teller:
    """The telling of one run."""

    def __init__(self, script: str, command: str, where: dict[str, str], listeners: Listeners) -> None:
        """Raises UsageError for what cannot be right."""
        self._script = script
        self._command = command
        self._where = where
        self._hooks = listeners.hooks
        self._ping = Ping(listeners.ping) if listeners.ping else None
        self._metrics = check_metrics_file(listeners.metrics) if listeners.metrics else ""
        self._started = time.time()
        self._clock = time.monotonic()
        self._hook: Hook | None = None
        self.heard = Heard()

    def begin(self) -> None:
        """The run begins."""
        if self._ping is not None:
            self._ping.begin()

    def end(self, status: Status, show: LineProgress) -> None:
        """The run has ended with a status."""
        seconds = time.monotonic() - self._clock
        where = {**self._where, **({"account": show.account} if show.account else {})}
        outcome = Outcome(
            *(self._script, self._command, status, where, self._started, seconds),
            problems=show.problems.count,
            heard=self.heard,
        )
        most = _HURRIED_SECONDS if status == Status.INTERRUPTED else _SECONDS
        until = time.monotonic() + most
        if os.environ.get("NOTIFY_SOCKET"):
            from azbackup.cli.output.notify import notify, status_line  # under systemd only

            signs = ("WATCHDOG=1", f"EXTEND_TIMEOUT_USEC={int(2 * most * 1e6)}")
            notify(os.environ, status_line(outcome.message), *signs)
        said = [write_metrics(self._metrics, outcome)] if self._metrics else []
        if self._ping is not None:
            self._ping.send_end(outcome)
        if hook := self._chosen(outcome.kind):
            self._hook = hook
            said.append(hook.run(outcome, os.environ, until - time.monotonic()))
        if self._ping is not None:
            said.append(self._ping.wait(until - time.monotonic()))
        for text in filter(None, said):
            write(sys.stderr, f"{show.mark(Level.WARNING)}{show.program}: {clean(text)}\n")

    def _chosen(self, kind: Kind) -> Hook | None:
        """The command for an outcome. A warning that nobody asked for by that name is a failure."""
        for each in (kind, "failure") if kind == "warning" else (kind,):
            if command := self._hooks.get(each):
                return Hook(f"--on-{each}", command)
        return None

    def stop(self) -> None:
        """Ends a command that is running. Called by any thread."""
        if self._hook is not None:
            self._hook.stop()
