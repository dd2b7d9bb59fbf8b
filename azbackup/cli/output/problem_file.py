"""The file of --problems: every path that could not be read or restored, a line each, and why.

    # problems of restore.py, 2026-11-26 21:30:00 UTC
    cache/ca/01738_0: its contents are in pack 20261126T...-..., which is missing

A line is written when the problem is met, whole and at once, so that a killed run leaves those that it met. The file is
the user's alone, since it has names of files. An older file of this kind is replaced; any other one is refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable

from azbackup.cli.output.text import clean, clock_text
from azbackup.errors import UsageError

_MARK = b"# problems of "
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class ProblemFile:
    """One run's file."""

    def __init__(self, name: str, descriptor: int, complain: Callable[[str], None]) -> None:
        """`complain` hears once that a line could not be written; the run goes on."""
        self.name = name
        self._descriptor = descriptor
        self._complain = complain
        self._failed = False

    def add(self, path: bytes, message: str) -> None:
        """Writes a problem."""
        self._write(f"{clean(os.fsdecode(path)) or '.'}: {clean(message)}\n")

    def _write(self, line: str) -> None:
        if self._failed:
            return
        try:
            _write_whole(self._descriptor, line.encode("utf-8", "surrogateescape"))
        except OSError as error:
            self._failed = True
            self._complain(f"{self.name} (--problems) is not complete: {error.strerror}")


def open_problem_file(name: str, program: str, now: float, complain: Callable[[str], None]) -> ProblemFile:
    """An empty file of that name. Raises UsageError if it cannot be one, or holds something else."""
    try:
        descriptor = os.open(name, _FLAGS, 0o600)
    except OSError as error:
        link = error.errno == errno.ELOOP
        why = "it is a symbolic link" if link else error.strerror
        raise UsageError(f"--problems: {name} cannot be written: {why}", "give the name of a new file") from None
    except ValueError:
        raise UsageError("--problems: the name of the file is not valid", "give the name of a new file") from None
    try:
        _check(name, descriptor)
        os.ftruncate(descriptor, 0)
        _write_whole(descriptor, f"# problems of {program}, {clock_text(now)}\n".encode())
    except OSError as error:
        raise UsageError(f"--problems: {name} cannot be written: {error.strerror}", "give another name") from None
    return ProblemFile(name, descriptor, complain)


def _check(name: str, descriptor: int) -> None:
    """Raises UsageError if the file is anything but empty, or of --problems, and no other run's."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UsageError(f"--problems: {name} is not a regular file", "give the name of a new file")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"--problems: another run is writing {name}", "give another name") from None
    begin = os.pread(descriptor, len(_MARK), 0)
    if begin and begin != _MARK:
        raise UsageError(
            f"--problems: {name} is there already and is no file of --problems: it was not touched",
            "give the name of a new file, or remove that one",
        )


def _write_whole(descriptor: int, data: bytes) -> None:
    """Appends all of it. A line is far below what one write takes, so a killed run leaves whole lines."""
    while data:
        data = data[os.write(descriptor, data) :]
