"""Questions on a terminal, and whether one stands there: what comes next begins on a line of its own."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from azbackup.cli.output.text import write

_open: list[str] = []
_waits: list[tuple[float, float]] = []  # of each question: when it was asked, and for how long it stood there


@contextmanager
def question(text: str) -> Iterator[None]:
    """A question stands there while the block runs, and after an interrupt until somebody leaves it."""
    _open.append(text)
    asked = time.monotonic()
    yield
    _open.clear()
    _waits.append((asked, time.monotonic() - asked))


def waited_seconds(since: float) -> float:
    """How long questions waited for their answers that were asked after `since`, a time of time.monotonic()."""
    return sum(took for asked, took in _waits if asked >= since)


def is_attended(args: argparse.Namespace) -> bool:
    """Whether somebody sits there who can be asked, and answers."""
    streams = (sys.stdin, sys.stderr)
    return not args.json and all(stream is not None and stream.isatty() for stream in streams)


def agrees(text: str, *, unless_told: bool) -> bool:
    """Asks a question that ends with [y/N] or [Y/n]: an empty answer means what is `unless_told`; none at all is no."""
    with question(text):
        write(sys.stderr, text)
        answer = sys.stdin.readline()
    if not answer:
        write(sys.stderr, "\n")
        return False
    return answer.strip().lower() in ("y", "yes") or (unless_told and not answer.strip())


def leave_question() -> None:
    """Ends the line of a question that nobody has answered."""
    if _open:
        _open.clear()
        write(sys.stderr, "\n")
