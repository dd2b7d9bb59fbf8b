"""What a test makes happen inside a script, at an exact moment; loaded by Python itself, through PYTHONPATH.

    HOOK_OPENED=FILE    every path that is opened is written to FILE, one a line
    HOOK_VICTIM=NAME    a file name (the last component; a shell pattern): the file that something happens to
    HOOK_WHEN=open      ... each time it is about to be opened
              read      ... each time some of it has been read
    HOOK_AFTER=N        not before the N-th time has passed; 0 unless told
    HOOK_FULL=BYTES     the disk is full once so many bytes were written with pwrite
    HOOK_HURRY=FACTOR   each sleep is so much shorter
    HOOK_TIMES=N        at most so often; once unless told
    HOOK_DO=CODE        what happens: Python code, in which `path` is HOOK_PATH

Without these variables nothing happens. Only the operating system's answers are touched, never azbackup's code.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

_environ = {name: value for name, value in os.environ.items() if name.startswith("HOOK_")}
_victim = _environ.get("HOOK_VICTIM", "")
_when = _environ.get("HOOK_WHEN", "open")
_left = int(_environ.get("HOOK_TIMES", "1"))
_after = int(_environ.get("HOOK_AFTER", "0"))
_busy = False


def _happen() -> None:
    """Does it, unless it was done often enough; what it does itself does not count."""
    global _busy, _left, _after  # noqa: PLW0603 - a hook has no other place
    if _busy or _left <= 0:
        return
    if _after > 0:
        _after -= 1
        return
    _busy = True
    _left -= 1
    try:
        exec(_environ["HOOK_DO"], {"os": os, "path": _environ.get("HOOK_PATH", "")})  # noqa: S102 - the test's own
    finally:
        _busy = False


def _is_victim(path: Any) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and fnmatchcase(os.path.basename(os.fsdecode(path)), _victim)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and not _busy:
        if _log >= 0 and isinstance(arguments[0], str | bytes | os.PathLike):
            os.write(_log, os.fsencode(arguments[0]) + b"\n")
        if _victim and _when == "open" and _is_victim(arguments[0]):
            _happen()


def _watch_reads() -> None:
    """Lets `read` moments happen after the real read."""
    read: Any = os.read
    readv: Any = os.readv

    def after(descriptor: int) -> None:
        if not _busy and _is_victim(os.readlink(f"/proc/self/fd/{descriptor}")):
            _happen()

    def watched_read(descriptor: int, count: int) -> bytes:
        data: bytes = read(descriptor, count)
        after(descriptor)
        return data

    def watched_readv(descriptor: int, buffers: Sequence[Any]) -> int:
        count: int = readv(descriptor, buffers)
        after(descriptor)
        return count

    os.read, os.readv = watched_read, watched_readv  # type: ignore[assignment]


def _fill_disk(room: int) -> None:
    """Lets pwrite fail when there is no room left."""
    pwrite: Any = os.pwrite

    def watched_pwrite(descriptor: int, data: Any, offset: int) -> int:
        nonlocal room
        room -= len(data)
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count: int = pwrite(descriptor, data, offset)
        return count

    os.pwrite = watched_pwrite


def _hurry(factor: float) -> None:
    """Lets time.sleep take a part of the time."""
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(seconds / factor)


_log = -1
if "HOOK_OPENED" in _environ:
    _log = os.open(_environ["HOOK_OPENED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
if _when == "read" and _victim:
    _watch_reads()
if "HOOK_FULL" in _environ:
    _fill_disk(int(_environ["HOOK_FULL"]))
if "HOOK_HURRY" in _environ:
    _hurry(float(_environ["HOOK_HURRY"]))
if _log >= 0 or (_victim and _when == "open"):
    sys.addaudithook(_audit)
