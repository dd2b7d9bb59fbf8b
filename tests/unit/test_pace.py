"""How long it takes to send something, at a speed and with limits for hours of the day."""

from __future__ import annotations

import math

import pytest

from azbackup.cli.options.pace import limits_of, seconds_of


@pytest.mark.parametrize(
    ("limits", "size", "minute", "seconds"),
    [
        ("0", 0, 0, 0),
        ("0", 1_024_000, 0, 1),
        ("100", 1_024_000, 0, 10),
        ("100@08:00-20:00", 1_024_000, 7 * 60, 1),
        ("100@08:00-20:00", 1_024_000, 8 * 60, 10),
        ("100@08:00-20:00", 1_024_000 * (60 * 60 + 6), 7 * 60, 60 * 60 + 60),  # an hour as fast as it goes, then slowly
        ("100@22:00-06:00", 1_024_000, 1, 10),
        ("100", 102_400 * 86_400 * 3, 17, 86_400 * 3),
        ("100", 102_400 * 86_400 * 3 + 102_400, 17, 86_400 * 3 + 1),
    ],
)
def test_seconds(limits: str, size: int, minute: int, seconds: float) -> None:
    """At 1,000 KiB a second, from a minute of the day on."""
    assert seconds_of(limits_of(limits), size, 1_024_000, minute) == pytest.approx(seconds)


def test_what_takes_for_ever() -> None:
    """More than ten years is no number."""
    assert seconds_of(limits_of("0.001"), 10**12, 1e6, 0) == math.inf
