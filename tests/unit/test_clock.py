"""The clock by which a run is shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from azbackup.cli.output.clock import Clock
from azbackup.cli.output.figures import Figures, Speeds
from azbackup.progress import Forecast, Traffic
from tests.conftest import until


class Slow:
    """A view that is ready when it is told to be, and counts how often it showed something."""

    draws = False

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.shown = 0

    def prepare(self) -> None:
        """Waits."""
        self.ready.wait()

    def show(self, *_: object) -> None:
        """Once more."""
        self.shown += 1

    def above(self, _: str) -> None:
        """Not used here."""

    def hide(self) -> None:
        """Nothing is to be hidden."""


@pytest.mark.parametrize("ended", [True, False])
def test_a_count_is_of_its_stage(ended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was to be counted is not, once its stage is over: it would say that nothing of all that is done."""
    monkeypatch.setattr("azbackup.cli.output.clock._SHORT_SECONDS", 0.0)
    monkeypatch.setattr("azbackup.cli.output.clock._TICK_SECONDS", 0.001)
    traffic, view = Traffic(time.monotonic), Slow()
    counted: list[Forecast] = []
    count: Callable[[Forecast], None] = counted.append
    clock = Clock(Figures(traffic), Speeds(traffic), view, counts=True)
    clock.begin()
    clock.count_ahead(count)
    if ended:
        clock.begin()
    view.ready.set()
    until(lambda: view.shown > 2 and (ended or counted))
    clock.end()
    assert len(counted) == (not ended)
    assert (clock.figures.forecast is None) == ended
