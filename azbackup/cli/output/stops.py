"""Ctrl-Z: what is drawn is taken off the screen before the process stops, and drawn again when it goes on.

The signal is taken by a thread that does nothing else, for the reason that cli/interrupts has: the others may hang.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

_STOP = {signal.SIGTSTP}


def hide_before_stopping(hide: Callable[[], None]) -> None:
    """From now on `hide` is called first. Called by the main thread, before any other one is made."""
    if signal.getsignal(signal.SIGTSTP) is not signal.SIG_DFL:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    threading.Thread(target=_wait, args=(hide,), daemon=True).start()


def _wait(hide: Callable[[], None]) -> None:
    while True:
        signal.sigwait(_STOP)
        hide()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)  # the whole process stops here, and goes on
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
