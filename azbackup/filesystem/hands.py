"""Threads for steps at the file system, where these are slow: a server, a disk that is shared, a full directory.

A thread that comes back for every small call waits longer for the interpreter than the call takes, and so does the one
that it works for: where a step is fast the run's own thread does it. Whether one is slow is told by its parts, not by
seconds: most of it is waiting, or the making of a name, in which Python has no hand. (The making looks long at times
for another reason: a thread that waits for the interpreter is woken by it. So it has to be so twice.)

Promises that few jobs wait, and that no thread outlives `end`.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import Future

from azbackup.workers import Workers

_WAITING, _MAKING = 8, 3  # threads where a step waits, and where the kernel works: it has the processors to share
_DESCRIPTORS = 32  # for each thread that there is: a file, and the directories of its jobs
_WINDOW = 32  # steps that are looked at, one after the other
_BETWEEN = 256  # steps that are not, after these


class Pace:
    """Whether most steps of one kind are slow. Once they are, it stays at that."""

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, work: Callable[[], float] = time.thread_time
    ) -> None:
        """`clock` gives seconds, `work` those in which this thread had a processor."""
        self._clock = clock
        self._work = work
        self._steps = self._waiting = self._making = 0
        self._begun = self._worked = self._made = 0.0
        self._was_making = False  # when it was looked at last
        self.is_slow = self.waits = False

    def begin(self) -> bool:
        """A step begins; whether it is looked at: then `made` and `end` are to be called."""
        self._steps += 1
        if self.is_slow:
            return False
        if self._steps > _WINDOW:
            if self._steps > _WINDOW + _BETWEEN:
                self._steps = self._waiting = self._making = 0
            return False
        self._worked = self._work()
        self._begun = self._made = self._clock()
        return True

    def made(self) -> None:
        """What makes a name is over: that part of a step lets go of the interpreter."""
        self._made = self._clock()

    def end(self) -> None:
        """The step is over."""
        took = self._clock() - self._begun
        self._waiting += 2 * (took - self._work() + self._worked) > took
        self._making += 4 * (self._made - self._begun) > 3 * took
        if self._steps == _WINDOW:
            making = 2 * self._making > _WINDOW
            self.waits = 2 * self._waiting > _WINDOW
            self.is_slow = self.waits or (making and self._was_making)
            self._was_making = making


class Hands:
    """The threads of one run. None are there before the first job, nor after `end`."""

    def __init__(self) -> None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._width = min(_WAITING, descriptors // _DESCRIPTORS)
        self._workers: Workers[None] | None = None
        self.ended = False

    @property
    def any(self) -> bool:
        """Whether jobs can be given to them."""
        return self._width > 1 and not self.ended

    def do(self, job: Callable[[], None], pace: Pace) -> Future[None]:
        """Has a job done; waits while too many are. Raises what an earlier job raised.

        The first pace that asks says how many threads there are.
        """
        if self._workers is None:
            width = self._width if pace.waits else min(self._width, _MAKING)
            self._workers = Workers(width, 2 * width)
        return self._workers.submit(job)

    def join(self) -> None:
        """Waits for all jobs. Raises what one of them raised."""
        if self._workers is not None:
            self._workers.join()

    def end(self) -> None:
        """Waits for the threads, which do nothing more than the step that they are at if jobs look at `ended`."""
        self.ended = True
        if self._workers is not None:
            self._workers.end()
            self._workers = None
