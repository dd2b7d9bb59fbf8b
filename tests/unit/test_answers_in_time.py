"""How an answer has to get on. The class: a request that gets nowhere ends, however little it gets nowhere by."""

from __future__ import annotations

import pytest

from azbackup.storage.azure.connections import Progress


def test_a_byte_now_and_then_is_no_progress() -> None:
    """A byte every five seconds is given up after a minute."""
    progress = Progress()
    progress.add(0, 1)
    for _ in range(12):
        progress.add(5, 1)
    with pytest.raises(TimeoutError):
        progress.add(5, 1)


def test_a_slow_line_is_progress() -> None:
    """A hundred bytes a second get on, for hours."""
    progress = Progress()
    for _ in range(10_000):
        progress.add(1, 100)


def test_the_first_byte_may_take_its_time() -> None:
    """How long the service thinks before it answers is the connection's time limit, not this one."""
    progress = Progress()
    progress.add(290, 1)
    progress.add(0.1, 200)
