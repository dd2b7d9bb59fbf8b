"""A few lines at the end of a terminal's text that are drawn anew in place.

    the text so far
    >the first line of the block      the cursor rests here, at its beginning, and is never hidden
     the other lines

So whatever ends the process, the shell goes on where the block was; a terminal that is made narrower wraps the lines
below the cursor, and the next drawing clears them all; and a line of the run replaces the block, which follows it.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, TextIO

from azbackup.cli.output.figures import Figures, Speeds
from azbackup.cli.output.text import write

if TYPE_CHECKING:
    from azbackup.cli.output.drawing import Drawing

_CLEAR = "\r\x1b[J"
_FIRST_SECONDS = 1.5
_MOMENT_SECONDS = 0.5  # to wait for a terminal that takes nothing (Ctrl-S)


class Screen:
    """The block of one run, on a terminal."""

    draws = True

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._shown = False
        self._drawing: Drawing | None = None
        self._since: float | None = None  # the first time that there was something to show

    def show(self, figures: Figures, speeds: Speeds, now: float) -> None:
        """Draws anew, in as many columns as there are now; nothing while another program has the terminal.

        What draws is loaded once there is something to wait for: a short run neither flashes nor pays for it.
        """
        if self._since is None:
            self._since = now
        if now - self._since < _FIRST_SECONDS or not self._is_mine():
            return
        if self._drawing is None:
            from azbackup.cli.output.drawing import Drawing

            self._drawing = Drawing(self._out.encoding or "ascii")
        columns, rows = self._size()
        lines = self._drawing.lines(figures, speeds, columns - 1)[: max(1, rows - 1)]
        up = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
        with self._lock:
            write(self._out, f"{_CLEAR}{chr(10).join(lines)}{up}\r")
            self._shown = True

    def above(self, text: str) -> None:
        """Writes lines in the block's place; it is drawn below them within a moment."""
        with self._lock:
            write(self._out, (_CLEAR if self._shown else "") + text)
            self._shown = False

    def hide(self) -> None:
        """Clears the block."""
        if self._lock.acquire(timeout=_MOMENT_SECONDS):
            try:
                if self._shown:
                    write(self._out, _CLEAR)
                    self._shown = False
            finally:
                self._lock.release()

    def _is_mine(self) -> bool:
        """Whether this process is in the foreground."""
        try:
            return os.tcgetpgrp(self._out.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            return True  # not a terminal that has jobs

    def _size(self) -> tuple[int, int]:
        """Columns and rows; 80 and 24 where the terminal does not know."""
        try:
            columns, rows = os.get_terminal_size(self._out.fileno())
        except (OSError, ValueError):
            columns, rows = 0, 0
        return columns or 80, rows or 24
