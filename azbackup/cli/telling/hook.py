"""A command of the user's that is run when a run has ended: it gets the facts, some time, and no say in the status."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping

from azbackup.cli.interrupts import as_usual, held
from azbackup.cli.output.text import time_text
from azbackup.cli.telling.outcome import Outcome

_START_SECONDS = 1.0


class Hook:
    """The command of one option. Run once; `stop` may be called by another thread meanwhile."""

    def __init__(self, option: str, command: str) -> None:
        self._option = option
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = threading.Lock()

    def run(self, outcome: Outcome, environ: Mapping[str, str], seconds: float) -> str:
        """Runs it for so many seconds at most; returns what is to be said of it, '' if it ended with 0.

        Its output goes to stderr: stdout may be JSON. It is killed with all that it started in its process group.
        """
        facts = json.dumps(outcome.values()).encode() + b"\n"
        try:
            with held(), self._starts, as_usual():  # the user's own command line, as the user's own shell would run it
                self._process = subprocess.Popen(  # noqa: S602
                    self._command,
                    shell=True,
                    stdin=subprocess.PIPE,
                    stdout=2,
                    env={**environ, **outcome.variables()},
                    start_new_session=True,
                )
            return self._waited(self._process, facts, seconds)
        except (OSError, ValueError) as error:
            return f"the command of {self._option} could not be run: {error}"

    def _waited(self, process: subprocess.Popen[bytes], facts: bytes, seconds: float) -> str:
        try:
            with contextlib.suppress(BrokenPipeError):
                process.communicate(facts, seconds)
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            return f"the command of {self._option} was ended: it ran for more than {time_text(seconds)}"
        if status == 0:
            return ""
        how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        return f"the command of {self._option} {how}"

    def stop(self) -> None:
        """Kills it, if it runs."""
        if self._starts.acquire(timeout=_START_SECONDS):  # one that is being started is known by then
            self._starts.release()
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
