"""One backup of a source at a time on this host: an advisory lock on a small local file.

Only keeps two cron runs from doing the same work twice; correctness never depends on it, so a host without a place
for the file runs without it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from azbackup.errors import AlreadyRunning
from azbackup.storage.local.cache_file import open_own


@contextmanager
def only_one(path: Path, source: str, wait: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Holds the lock file while the block runs. AlreadyRunning, naming the source, when another process holds it.

    `wait` is called while one does, and returns whether to look again.
    """
    try:
        descriptor = open_own(path)
    except OSError:
        yield
        return
    try:
        while not _locked(descriptor):
            if not wait():
                raise AlreadyRunning(
                    f"another backup of {source} is running on this host",
                    "wait for it (--lock-wait 1h does), or stop it",
                )
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Takes the lock, if no other process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True
