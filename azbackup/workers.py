"""Work beside the run's own thread: uploads behind it, downloads ahead of it.

Promises: at most `slots` jobs run or wait, so memory is bounded; the first error comes up at the next call;
threads are daemons, so an interrupt never waits for a slow network. Jobs are whole steps that may be lost at any
moment, as a killed process would lose them.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Workers(Generic[T]):
    """A few daemon threads that work off a queue in order."""

    def __init__(self, width: int, slots: int) -> None:
        """`width` threads; `slots` bounds the jobs that are running or waiting."""
        self._jobs: queue.SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = queue.SimpleQueue()
        self._slots = threading.Semaphore(slots)
        self._pending: list[Future[T]] = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(width)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001  not swallowed: handed to the thread that waits
                del job, call
                self._slots.release()
                future.set_exception(error)
            else:
                del job, call  # neither a pack that was sent nor a span that was read lives on in an idle thread
                self._slots.release()
                future.set_result(result)
                del result
            del future

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Queues a job, waiting while all slots are taken. Raises what an earlier job raised."""
        self._raise_failed()
        self._slots.acquire()
        future: Future[T] = Future()
        self._pending.append(future)
        self._jobs.put((future, call))
        return future

    def _raise_failed(self) -> None:
        waiting = []
        for future in self._pending:
            if future.done():
                future.result()
            else:
                waiting.append(future)
        self._pending = waiting

    def join(self) -> None:
        """Waits for all jobs. Raises what one of them raised."""
        for future in self._pending:
            future.result()
        self._pending = []

    def stop(self) -> None:
        """Lets the threads end after the jobs that are queued; does not wait."""
        for _ in self._threads:
            self._jobs.put(None)

    def end(self) -> None:
        """Waits until the threads have ended, after the jobs that are queued; raises nothing that these raised."""
        self.stop()
        for thread in self._threads:
            thread.join()


def beside(call: Callable[[], T]) -> Future[T]:
    """The result of a call that is worked on from now on, by a thread of its own."""
    workers: Workers[T] = Workers(1, 1)
    future = workers.submit(call)
    workers.stop()
    return future


def ahead(calls: Iterable[Callable[[], T]], width: int) -> Iterator[T]:
    """The results of the calls in order, up to `width` of them worked on before they are asked for."""
    workers: Workers[T] = Workers(width, width)
    waiting: deque[Future[T]] = deque()
    try:
        for call in calls:
            waiting.append(workers.submit(call))
            if len(waiting) > width:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        workers.stop()
