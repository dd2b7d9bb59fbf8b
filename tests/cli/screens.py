"""A terminal of a test's own, as wide as it likes: a script runs on it, and what it shows can be looked at."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte

from tests.conftest import REPOSITORY


class Screened:
    """One script on one terminal, which is read all the time. Ended at the latest by `stop`."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], columns: int = 80) -> None:
        self.screen = pyte.Screen(columns, 24)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(REPOSITORY)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nobody sits there who could be asked something
            os.execve(sys.executable, [sys.executable, *arguments], dict(environment))  # noqa: S606
        self.resize(columns)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._terminal, 65536)
            except OSError:
                return
            if not part:
                return
            with self._lock:
                self.raw += part
                self._stream.feed(part)

    @property
    def lines(self) -> list[str]:
        """What the terminal shows, without empty lines at the end."""
        with self._lock:
            shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def text(self) -> str:
        """The same in one."""
        return "\n".join(self.lines)

    def until(self, condition: Callable[[str], object], seconds: float = 60) -> str:
        """Return what is shown as soon as the condition holds for it; fail when it never does."""
        deadline = time.monotonic() + seconds
        while not condition(text := self.text):
            assert time.monotonic() < deadline, f"it shows:\n{text}"
            time.sleep(0.02)
        return text

    def resize(self, columns: int) -> None:
        """Give the terminal another width."""
        with self._lock:
            self.screen.resize(24, columns)
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._terminal, keys)

    def wait(self) -> int:
        """Return the exit status, after all was read."""
        _, status = os.waitpid(self.pid, 0)
        self._reader.join(10)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def stop(self) -> None:
        """End what still runs."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.kill(self.pid, signal.SIGCONT)
            self.wait()
        os.close(self._terminal)


def is_stopped(pid: int) -> bool:
    """Tell whether a process was stopped, by Ctrl-Z or the like."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
