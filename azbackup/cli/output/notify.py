"""What systemd is told of a run (sd_notify(3)): that it runs, how far it is, and, where it wants one, a sign of life.

The watchdog is fed only while something moves: files, bytes, a request or a wait that ends by itself. A run that hangs
in a dead file server is not fed. Without NOTIFY_SOCKET nothing of this is loaded.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping

from azbackup.cli.output.clock import View
from azbackup.cli.output.figures import Figures, Speeds
from azbackup.cli.output.phrases import line_text
from azbackup.cli.output.text import clean, write
from azbackup.progress import WAITING

_STATUS_SECONDS = 5.0
_MOST_BYTES = 1000  # of a status


def notify(environ: Mapping[str, str], *lines: str) -> None:
    """Sends lines like READY=1; nobody there is nothing that a backup should fail for."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address.startswith("@"):
        address = "\0" + address[1:]
    message = "\n".join(lines).encode("utf-8", "replace")
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(message, address)


def status_line(text: str) -> str:
    """A text as the status that `systemctl status` shows."""
    return "STATUS=" + clean(text).encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore")


def watchdog_seconds(environ: Mapping[str, str]) -> float:
    """How often systemd wants a sign of life of this process at least, 0.0 where it wants none."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return int(environ.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return 0.0


class Notifying:
    """Shows the figures to systemd, and hands them on to another view, if there is one."""

    def __init__(self, environ: Mapping[str, str], view: View | None) -> None:
        self._environ = environ
        self._view = view
        self.draws = view is not None and view.draws
        self._feed_seconds = watchdog_seconds(environ) / 2
        self._told = self._fed = 0.0
        self._moved: tuple[object, ...] = ()

    def show(self, figures: Figures, speeds: Speeds, now: float) -> None:
        """Says how far it is every few seconds, and feeds the watchdog."""
        if self._view is not None:
            self._view.show(figures, speeds, now)
        if now - self._told >= _STATUS_SECONDS:
            self._told = now
            notify(self._environ, status_line(line_text(figures, speeds, time.time())))
        if self._feed_seconds and now - self._fed >= self._feed_seconds and self._is_alive(figures, speeds):
            self._fed = now
            notify(self._environ, "WATCHDOG=1")

    def _is_alive(self, figures: Figures, speeds: Speeds) -> bool:
        """Whether anything has moved since the last time, or the run waits for something that has its own end."""
        traffic = speeds.traffic
        before, self._moved = (
            self._moved,
            (figures.stage, figures.files, figures.read, figures.written, traffic.sent, traffic.received),
        )
        waits = figures.thawing is not None or figures.stage == WAITING or traffic.silence() > 0
        return waits or self._moved != before

    def above(self, text: str) -> None:
        """Writes lines where they belong."""
        if self._view is not None:
            self._view.above(text)
        else:
            write(sys.stderr, text)

    def hide(self) -> None:
        """What the other view does."""
        if self._view is not None:
            self._view.hide()
