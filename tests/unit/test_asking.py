"""Questions on a terminal: the time in which they wait for an answer is known."""

from __future__ import annotations

import pytest

from azbackup.cli import asking


def test_time_that_an_answer_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits of questions that were asked since then add up; what comes between them does not count."""
    clock = iter([100.0, 130.0, 200.0, 207.0])
    monkeypatch.setattr(asking, "_waits", [])
    monkeypatch.setattr(asking.time, "monotonic", lambda: next(clock))
    for _ in range(2):
        with asking.question("password"):
            pass
    assert [asking.waited_seconds(since) for since in (0, 100, 150, 201)] == [37, 37, 7, 0]
