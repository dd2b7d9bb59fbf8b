"""When a run makes no snapshot though nothing is wrong: its time is over, or nothing has changed since the last one.

Promises that a snapshot is whole or not there: a run whose time is over makes none. What it stored is recorded, so that
the next run finds it, from whatever machine. A run that is skipped had nothing to say that the last snapshot does not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from azbackup.commands.backup.tally import Tally
from azbackup.errors import OutOfTime
from azbackup.filesystem.scanner import ScannedPath
from azbackup.format.model import Snapshot
from azbackup.packs.chunk_store import ChunkStore, Tell
from azbackup.packs.run import Run
from azbackup.progress import Work
from azbackup.records.record_store import RecordStore

# However little changes, a snapshot a week shows that the machine still backs up: restore.py --partitions --max-age 8d.
LONGEST_SKIP_NS = 7 * 86400 * 10**9
_GO_ON = "run the same command again: it reads what it has read once more, and sends only what is left"
_TOO_SHORT = "reading what is stored already takes longer: give it more time, once, or back up its parts one by one"


class TimeLimit:
    """How long a run may read; `is_over` knows. None for as long as it takes."""

    def __init__(self, is_over: Callable[[], bool] | None) -> None:
        self._is_over = is_over

    def check(self) -> None:
        """Raises OutOfTime, without words, if it is over."""
        if self._is_over is not None and self._is_over():
            raise OutOfTime("")

    def scanned(self, paths: Iterable[ScannedPath]) -> Iterable[ScannedPath]:
        """The paths of a scan, as long as there is time."""
        return paths if self._is_over is None else self._checked(paths)

    def _checked(self, paths: Iterable[ScannedPath]) -> Iterator[ScannedPath]:
        for path in paths:
            self.check()
            yield path

    def telling(self, tell: Tell) -> Tell:
        """What hears of the bytes of a chunk store: it looks at the time after each chunk that was read."""
        if self._is_over is None:
            return tell

        def tell_in_time(work: Work, size: int) -> None:
            tell(work, size)
            if work == "read":
                self.check()

        return tell_in_time


def out_of_time(source: bytes, store: ChunkStore, run: Run, records: RecordStore) -> OutOfTime:
    """The error of a run that is over, once what is in hand is sent and all of it recorded: the next run finds it."""
    rows = store.finish()
    if rows:
        run.copies.put(rows)
        records.insert(rows)
    store.committed()
    shown = os.fsdecode(source)
    if store.packs:
        what = "no snapshot was made, what was read is stored, and the next run finds it"
        return OutOfTime(f"the time is over before all of {shown} was read: {what}", _GO_ON)
    return OutOfTime(f"the time is over before all of {shown} was read, and nothing new was stored", _TOO_SHORT)


def is_skipped(parent: Snapshot, tally: Tally, rules: list[bytes], now_ns: int) -> bool:
    """Whether a snapshot would say no more than the last one of its source, which is not too old to stand for it."""
    same_misses = tally.unreadable == parent.unreadable and tally.totals.unreadable == parent.totals.unreadable
    same = not tally.differs and same_misses and rules == parent.rules
    return same and 0 <= now_ns - parent.finished_ns < LONGEST_SKIP_NS
