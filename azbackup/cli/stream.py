"""backup.py --stdin-name and --stdin-command: stdin, or a program's output, as what is backed up."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from azbackup.cli.interrupts import as_usual, held
from azbackup.commands.backup.stream import STREAMS, Stream
from azbackup.errors import AzbackupError, UsageError

if TYPE_CHECKING:
    from subprocess import Popen

_NAME_BYTES = 255


def stream_of(args: argparse.Namespace) -> Stream | None:
    """The stream that the options ask for, None for directories. Raises UsageError for what cannot be right."""
    name, command = args.stdin_name, args.stdin_command
    if name is None and command is None:
        return None
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
    if sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("--stdin-name reads stdin, which is the terminal", "as in: pg_dump | python backup.py ...")
    return Stream(encoded, lambda: 0, lambda: None, lambda: None)


def source_of_stream(stream: Stream) -> bytes:
    """The source's path, which no directory has."""
    return STREAMS + stream.name


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

        with held(), as_usual():  # the user's own command line, as the user's own shell would run it
            self._process = subprocess.Popen(self._command, shell=True, stdout=subprocess.PIPE)  # noqa: S602
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
            "run it by hand to see why",
        )

    def _close(self) -> None:
        if self._process is None:
            return
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._process.poll() is None:
            self._process.terminate()
