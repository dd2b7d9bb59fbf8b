"""What is thawing: the state of the simulated archive, without any I/O.

A thaw is known by container and name, and holds only while the blob still has the ETag it had when
the thaw began: a blob that was deleted or replaced behind our back is not pending. A thaw ends when
its time is over, or when it is released; with a time of None only a release ends it. High priority
has a time of its own, and a thaw's priority can be raised but not lowered.

The clock is the monotonic clock plus what `advance` was told, so that tests need not sleep.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

Priority = Literal["Standard", "High"]


class BlobName(NamedTuple):
    """Where a blob is."""

    container: str
    name: str


@dataclass(frozen=True)
class ThawTimes:
    """How long a thaw takes, by priority; None: until it is released."""

    standard_seconds: float | None
    high_seconds: float | None

    def of(self, priority: Priority) -> float | None:
        """Return the time for a priority."""
        return self.high_seconds if priority == "High" else self.standard_seconds


@dataclass
class Thaw:
    """One blob on its way to an online tier."""

    etag: str  # without quotes
    target: str  # Hot, Cool or Cold
    is_copy: bool
    priority: Priority
    ready_at: float | None
    failed: bool = False

    @property
    def archive_status(self) -> str:
        """What Azure calls it in x-ms-archive-status."""
        return f"rehydrate-pending-to-{self.target.lower()}"


class Thaws:
    """All thaws of an account; safe to use from any thread."""

    def __init__(self, times: ThawTimes) -> None:
        """Start with nothing pending."""
        self.times = times
        self._pending: dict[BlobName, Thaw] = {}
        self._ahead_seconds = 0.0
        self._lock = threading.Lock()

    def begin(self, blob: BlobName, *, etag: str, target: str, priority: Priority, is_copy: bool) -> None:
        """Begin a thaw, in the place of any other of the same blob."""
        thaw = Thaw(_bare(etag), target, is_copy, priority, self._ready_at(priority))
        with self._lock:
            self._pending[blob] = thaw

    def pending(self, blob: BlobName, etag: str) -> Thaw | None:
        """Return the blob's thaw while it lasts."""
        with self._lock:
            thaw = self._pending.get(blob)
            if thaw is None:
                return None
            if thaw.etag != _bare(etag) or self._is_over(thaw):
                del self._pending[blob]
                return None
            return thaw

    def may_be_pending(self, blob: BlobName) -> bool:
        """Tell whether it is worth asking for the blob's ETag."""
        with self._lock:
            return blob in self._pending

    def any_in(self, container: str) -> bool:
        """Tell whether a listing of the container has to be looked through."""
        with self._lock:
            return any(blob.container == container for blob in self._pending)

    def raise_priority(self, blob: BlobName) -> None:
        """Make a pending thaw a High one; its time starts again unless it would end sooner."""
        sooner = self._ready_at("High")
        with self._lock:
            thaw = self._pending.get(blob)
            if thaw is None or thaw.priority == "High":
                return
            thaw.priority = "High"
            if thaw.ready_at is None or (sooner is not None and sooner < thaw.ready_at):
                thaw.ready_at = sooner

    def release(self, pattern: str = "*") -> int:
        """End the thaws whose blob name (without the container) matches; return how many."""
        with self._lock:
            done = [b for b, thaw in self._pending.items() if fnmatchcase(b.name, pattern) and not thaw.failed]
            for blob in done:
                del self._pending[blob]
        return len(done)

    def fail(self, pattern: str = "*") -> int:
        """Let the copies whose blob name matches fail, for good; return how many."""
        with self._lock:
            done = [t for blob, t in self._pending.items() if t.is_copy and fnmatchcase(blob.name, pattern)]
            for thaw in done:
                thaw.failed, thaw.ready_at = True, None
        return len(done)

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        with self._lock:
            self._ahead_seconds += seconds

    def _now(self) -> float:
        return time.monotonic() + self._ahead_seconds

    def _ready_at(self, priority: Priority) -> float | None:
        seconds = self.times.of(priority)
        return None if seconds is None else self._now() + seconds

    def _is_over(self, thaw: Thaw) -> bool:
        return thaw.ready_at is not None and self._now() >= thaw.ready_at


def _bare(etag: str) -> str:
    """Return an ETag without its quotes: headers have them, listings have not."""
    return etag.strip('"')
