"""The command line of restore.py where it makes a stream: where that goes, and what is refused before it begins."""

from __future__ import annotations

import argparse
import sys

from azbackup.cli.options.common import absolute_path
from azbackup.commands.restore.outcome import RestoreRequest, RestoreResult
from azbackup.commands.restore.stream import StreamRestore
from azbackup.commands.restore.writers import Contents, Tar
from azbackup.errors import AzbackupError, UsageError
from azbackup.filesystem.outputs import NewFile, Pipe


def _stdout(*, tar: bool) -> Pipe:
    """Stdout. Raises AzbackupError if it takes nothing, UsageError if a tar would be drawn on a terminal."""
    if sys.stdout is None:
        raise AzbackupError("stdout is closed: nothing takes the contents", "redirect it to a file or a pipe")
    if tar and sys.stdout.isatty():
        raise UsageError("a tar is nothing for a terminal", "--tar FILE writes a file; a pipe takes --tar - | tar t")
    return Pipe(sys.stdout.fileno())


def run_stream(args: argparse.Namespace, request: RestoreRequest, run: StreamRestore) -> RestoreResult:
    """Writes the stream. A file gets its name if all of it is there: also when single entries had to be left out."""
    if request.plan_only:
        return run.run(Tar(Pipe(-1), privileges=request.privileges) if args.tar is not None else Contents(Pipe(-1)))
    if args.stdout is not None:
        return run.run(Contents(_stdout(tar=False)))
    if args.tar == "-":
        return run.run(Tar(_stdout(tar=True), privileges=request.privileges))
    path = absolute_path(args.tar, "--tar")
    output = NewFile(path, replaces=args.overwrite in ("if-changed", "always"))
    try:
        result = run.run(Tar(output, privileges=request.privileges), args.tar, output.free())
        if not result.pending_files:
            output.appear()
    finally:
        output.close()
    return result
