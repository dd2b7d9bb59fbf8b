"""How a run ends before its time: the first signal interrupts it, the second one ends the process at once.

    SIGINT, SIGTERM, SIGHUP -> a thread that waits for them -> KeyboardInterrupt in the main thread -> status 130

The signals are blocked in every thread and taken by one that does nothing else. So they arrive whatever the others hang
in: a read from a dead file server keeps its thread in the kernel, where no handler runs. A run that has not ended some
seconds after it was interrupted is ended as a kill would end it, which every run must bear. A signal that was ignored
when the program started stays ignored (nohup).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from azbackup.errors import Status

_SECONDS = 3.0  # for the run to end by itself once it was interrupted
_AGAIN_SECONDS = 0.01  # until the main thread is out of what dropped an interrupt
_WORDS_SECONDS = 1.0  # for the message, which may go into a pipe that nobody reads
# What wakes the main thread: a signal with no meaning of its own. macOS has no real-time signals.
_WAKE = getattr(signal, "SIGRTMIN", signal.SIGUSR1)


def _taken() -> set[signal.Signals]:
    """The signals that end a run. SIGINT and SIGHUP are left alone where whoever started the program ignores them."""
    kept = {each for each in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN}
    return {signal.SIGTERM, *kept}


class Interrupts:
    """The signals of one process, from its start on. Made by the main thread, before any other thread."""

    def __init__(self) -> None:
        """Holds signals back until `watch`."""
        self._signals = _taken()
        self._armed = False
        self._unsaid = threading.Lock()
        self._main = threading.get_ident()
        self._say: Callable[[], None] = lambda: None
        self._leave: Callable[[], None] = lambda: os._exit(Status.INTERRUPTED)
        self._is_over = False
        for each in (*self._signals, _WAKE):
            signal.signal(each, self._raise)
        signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)

    def watch(self, say: Callable[[], None]) -> None:
        """From now on the first signal raises KeyboardInterrupt in the main thread, once. `say` tells the user."""
        self._say = say
        self._armed = True
        sys.unraisablehook = self._unraisable
        threading.Thread(target=self._wait, daemon=True).start()

    def disarm(self) -> None:
        """The run is over: a signal that comes now changes nothing, a second one still ends the process."""
        self._armed = False

    def over(self, leave: Callable[[], None]) -> None:
        """The run has ended, whichever way, and others are told of it: a signal that comes now has `leave` called.

        It is called by another thread than the main one, and ends the process.
        """
        self._leave = leave
        self._is_over = True
        self._armed = False

    def say(self) -> None:
        """Tells the user that the run was interrupted, once."""
        if self._unsaid.acquire(blocking=False):
            self._say()

    def _wait(self) -> None:
        signal.sigwait(self._signals)
        if not self._is_over:
            signal.pthread_kill(self._main, _WAKE)
            _later(_SECONDS, self._end)
            signal.sigwait(self._signals)
        self._leave()

    def _end(self) -> None:
        """Ends a run that did not end by itself."""
        if self._is_over:
            return
        words = threading.Thread(target=self.say, daemon=True)
        words.start()
        words.join(_WORDS_SECONDS)
        os._exit(Status.INTERRUPTED)

    def _raise(self, number: int, _frame: FrameType | None) -> None:
        if self._is_over and number != _WAKE:  # it came while this thread let signals through
            self._leave()
        elif self._armed and not self._is_over:
            self._armed = False
            raise KeyboardInterrupt

    def _unraisable(self, what: sys.UnraisableHookArgs) -> None:
        """Has an interrupt raised again that Python dropped, because it came while garbage was collected."""
        if what.exc_type is KeyboardInterrupt:
            _later(_AGAIN_SECONDS, self._again)
        else:
            sys.__unraisablehook__(what)

    def _again(self) -> None:
        self._armed = True
        signal.pthread_kill(self._main, _WAKE)


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


@contextmanager
def as_usual() -> Iterator[None]:
    """Lets signals do what they usually do while the block runs: a program that it starts inherits that."""
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def held() -> Iterator[None]:
    """Has an interrupt that comes while the block runs come after it: what the block started is known by then."""
    came: list[tuple[int, FrameType | None]] = []
    before: dict[int, Callable[[int, FrameType | None], object]] = {}
    for each in (*_taken(), _WAKE):
        handler = signal.getsignal(each)
        if callable(handler):
            before[each] = handler
            signal.signal(each, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    for number, frame in came:
        before[number](number, frame)
