"""backup.py --stdin-name and --stdin-command: stdin, or a program's output, as what is backed up."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from azbackup.cli.interrupts import as_usual, held
from azbackup.commands.backup.stream import Stream
from azbackup.errors import AzbackupError, UsageError

if TYPE_CHECKING:
    from subprocess import Popen

_NAME_BYTES = 255


def stream_of(args: argparse.Namespace) -> Stream:
    """The stream that the options ask for. Raises UsageError for what cannot be right."""
    name, command = args.stdin_name, args.stdin_command
    if name is None:
        raise UsageError("--stdin-command has no --stdin-name", "which name is the output to have, as in: dump.sql")
    if args.directories:
        raise UsageError("--stdin-name is given beside a directory", "back them up by two commands")
    if args.dry_run:
        raise UsageError("--dry-run is given with --stdin-name", "what will come is not known before it is read")
    encoded = os.fsencode(name)
    if "/" in name or name in (".", "..") or len(encoded) > _NAME_BYTES:
        raise UsageError(f"--stdin-name {name}: it is not a file's name", "no slash, and 255 bytes at most")
    if command is not None:
        return _Command(command).stream(encoded)
    if sys.stdin is None:  # then descriptor 0 is whatever this process opened first
        raise UsageError("--stdin-name reads stdin, which is closed", "as in: pg_dump | python backup.py ...")
    if sys.stdin.isatty():
        raise UsageError("--stdin-name reads stdin, which is the terminal", "as in: pg_dump | python backup.py ...")
    return Stream(encoded, lambda: 0, lambda: None, lambda: None)


def shell_words(command: str) -> list[str]:
    """A command line as a shell runs it, whose status is not 0 if any program of a pipeline fails.

    Otherwise the last one's would count, and half a dump that went through a filter would pass for a whole one. Where
    there is neither bash nor a sh that knows pipefail (POSIX has it since 2024) the last one's does.
    """
    import shutil  # 6 ms that most runs do without

    if bash := shutil.which("bash"):
        return [bash, "-o", "pipefail", "-c", command]
    return ["/bin/sh", "-c", f"(set -o pipefail) 2>/dev/null && set -o pipefail\n{command}"]


class _Command:
    """One run of a shell command, its output read by a pipe."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._process: Popen[bytes] | None = None

    def stream(self, name: bytes) -> Stream:
        """What it prints, under a name."""
        return Stream(name, self._open, self._finish, self._close)

    def _open(self) -> int:
        import subprocess  # 5 ms that most runs do without

        try:
            with held(), as_usual():  # the user's own command line
                self._process = subprocess.Popen(shell_words(self._command), stdout=subprocess.PIPE)
        except BaseException:  # an interrupt that was held until now
            self._close()
            raise
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _finish(self) -> None:
        """AzbackupError if the command did not succeed: what it printed may be half of what was wanted."""
        assert self._process is not None
        status = self._process.wait()
        if status == 0:
            return
        how = f"ended with status {status}" if status > 0 else f"was ended by {signal.Signals(-status).name}"
        raise AzbackupError(
            f"the command of --stdin-command {how}: no snapshot was made; the earlier ones are as they were",
            "run it by hand to see why; every program of a pipeline has to end with 0",
        )

    def _close(self) -> None:
        if self._process is None:
            return
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._process.poll() is None:
            self._process.terminate()
