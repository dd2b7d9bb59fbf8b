"""The results that --snapshots, --list and --find were asked for, on stdout: lines for people, or JSON."""

from __future__ import annotations

import io
import json
from typing import Any, TextIO

from azbackup.cli.output.names import Names
from azbackup.cli.output.text import silence
from azbackup.errors import AzbackupError

_CHARACTERS = 64 * 1024  # collected before they are written


class Results:
    """What was asked for, on stdout: lines that are collected, and written many at a time.

    `gone`: nobody takes them any more (a closed pipe, as of `| head`, or a closed stdout), so no more need be made.
    """

    def __init__(self, out: TextIO | None) -> None:
        self._out = out
        self._lines: list[str] = []
        self._size = 0
        self.gone = out is None
        utf8 = getattr(out, "encoding", None) in ("utf-8", "UTF-8")
        self.names = Names(for_terminal=out is not None and out.isatty(), in_ascii=not utf8)
        self._end = "\n"
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(errors="backslashreplace")  # names that the terminal's encoding does not have

    def add(self, line: str) -> None:
        """One line, whose names were cleaned. Raises AzbackupError if it cannot be written."""
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _CHARACTERS:
            self.flush()

    def name(self, name: bytes) -> None:
        """One name as it is, ended by a NUL byte. Raises AzbackupError if it cannot be written."""
        if self._end and isinstance(self._out, io.TextIOWrapper):
            self._out.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")
        self._end = ""
        self.add(name.decode("utf-8", "surrogateescape") + "\0")

    def event(self, event: str, **values: Any) -> None:
        """Adds one line of JSON."""
        self.add(json.dumps({"event": event, **values}))

    def flush(self) -> None:
        """Writes what is left.

        Raises AzbackupError if it cannot be written (a full disk): a result is not done then.
        """
        lines, self._lines, self._size = self._lines, [], 0
        if self._out is None or self.gone or not lines:
            return
        try:
            self._out.write("".join(line + self._end for line in lines))
            self._out.flush()
        except BrokenPipeError:
            self.gone = True
            silence(self._out)
        except OSError as error:
            self.gone = True
            silence(self._out)
            raise AzbackupError(
                f"the result cannot be written: {error.strerror}", "check the file or pipe that stdout goes to"
            ) from None
