"""Complete files on their way to the disk: one batch is synced beside the run, while the next one is filled.

Promises that a file is given back only after a sync that began when it was complete has ended well, in the order in
which files were completed; that few files wait, however slow the disk is; and that after a sync that failed nothing is
given back any more, since the kernel tells of a failure once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from azbackup.workers import beside

_FILES, _BYTES = 1000, 128 << 20  # of a batch
_MOST_BATCHES = 4  # that are filled while one is synced


class Batches:
    """The complete files of one run that have no names yet. For one thread; it syncs in another."""

    def __init__(self, sync: Callable[[], None]) -> None:
        """`sync` brings to the disk all that was written so far. It raises OSError, and is called in a thread."""
        self._sync = sync
        self._filling: dict[bytes, None] = {}
        self._bytes = 0
        self._underway: Future[None] | None = None
        self._synced: list[bytes] = []  # what is on the disk once that sync has ended
        self._landed: deque[bytes] = deque()
        self._failure: OSError | None = None

    def add(self, path: bytes, size: int) -> None:
        """A file is complete, under its temporary name."""
        self._filling[path] = None
        self._bytes += size

    def remove(self, path: bytes) -> None:
        """A file will not be finished."""
        self._filling.pop(path, None)

    @property
    def failed(self) -> bool:
        """Whether a sync has failed: what is read back then need not be what the disk has."""
        return self._failure is not None

    @property
    def is_due(self) -> bool:
        """Whether `landed` has something to do."""
        return self._is_full() if self._underway is None else self._underway.done() or self._is_full(_MOST_BATCHES)

    def landed(self, *, wait: bool) -> Iterator[bytes]:
        """The files that are on the disk now, each once; with `wait` all of them. The next sync begins.

        Raises OSError when they could not be brought there.
        """
        self._land(wait=wait)
        while self._landed:
            yield self._landed.popleft()

    def _land(self, *, wait: bool) -> None:
        if self._underway is not None and (wait or self.is_due):
            self._end()
        if self._underway is None and self._filling and (wait or self._is_full()):
            self._begin()
            if wait:
                self._end()

    def _begin(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._synced, self._filling, self._bytes = list(self._filling), {}, 0
        self._underway = beside(self._sync)

    def _end(self) -> None:
        assert self._underway is not None
        try:
            self._underway.result()
        except OSError as error:
            self._failure = error
            raise
        self._landed.extend(self._synced)
        self._underway, self._synced = None, []

    def _is_full(self, batches: int = 1) -> bool:
        return len(self._filling) >= batches * _FILES or self._bytes >= batches * _BYTES
