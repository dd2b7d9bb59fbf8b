"""Whether a question stands on the terminal, so that what comes next begins on a line of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from azbackup.cli.output.text import write

_open: list[str] = []


@contextmanager
def question(text: str) -> Iterator[None]:
    """A question stands there while the block runs, and after an interrupt until somebody leaves it."""
    _open.append(text)
    yield
    _open.clear()


def leave_question() -> None:
    """Ends the line of a question that nobody has answered."""
    if _open:
        _open.clear()
        write(sys.stderr, "\n")
