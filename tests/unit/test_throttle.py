"""The bandwidth limit: by a clock of its own, so that no test waits."""

from __future__ import annotations

import pytest

from azbackup.cli.options.pace import kib_at, limits_of
from azbackup.storage.azure.throttle import PacedBody, Throttle


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("piece", [1, 1000, 16384, 1_000_000])
def test_bytes_pass_at_the_rate_whatever_their_pieces(piece: int) -> None:
    """A million bytes at 100,000 a second take ten seconds, less the burst at the beginning."""
    clock = Clock()
    pace = Throttle(lambda: 100_000, lambda: clock.now, clock.sleep)
    for _ in range(1_000_000 // piece):
        pace.take(piece)
    assert 9.5 <= clock.now - 100.0 <= 10.1


def test_a_pause_is_not_saved_up() -> None:
    """After a minute without traffic the rate is the same as before."""
    clock = Clock()
    pace = Throttle(lambda: 1000, lambda: clock.now, clock.sleep)
    clock.now += 60
    begun = clock.now
    pace.take(10_000)
    assert clock.now - begun >= 9.5


def test_a_paced_body_is_the_body() -> None:
    """Whole or in pieces, once, with its length known."""
    clock = Clock()
    pace = Throttle(lambda: 1e9, lambda: clock.now, clock.sleep)
    body = PacedBody(b"0123456789", pace)
    assert len(body) == 10
    assert [body.read(4), body.read(4), body.read(4), body.read(4)] == [b"0123", b"4567", b"89", b""]
    assert PacedBody(b"0123456789", pace).read() == b"0123456789"


def test_a_rate_that_changes() -> None:
    """A limit that begins or ends in the middle of a body holds from the next block on."""
    clock = Clock()
    pace = Throttle(lambda: 1000 if clock.now >= 110 else 0, lambda: clock.now, clock.sleep)
    body = PacedBody(bytes(4 << 20), pace)
    assert len(body.read(4 << 20)) == 1 << 20
    assert clock.now == 100
    clock.now = 110
    assert len(body.read(4 << 20)) == 1024
    pace.take(10_000)
    assert clock.now - 110 >= 9.5


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("2048", {0: 2048, 720: 2048}),
        ("0", {720: 0}),
        ("2048@08:00-20:00", {479: 0, 480: 2048, 1199: 2048, 1200: 0}),
        ("512@08:00-18:00,4096", {480: 512, 1080: 4096, 0: 4096}),
        ("100@22:00-6:00", {1319: 0, 1320: 100, 0: 100, 359: 100, 360: 0}),
        ("0@12:00-13:00,100", {720: 0, 780: 100}),
        ("100@20:00-24:00", {1199: 0, 1439: 100, 0: 0}),
    ],
)
def test_hours_of_the_day(text: str, rates: dict[int, float]) -> None:
    """Each limit holds in its hours, over midnight too; of several the first; outside of all there is none."""
    limits = limits_of(text)
    assert {minute: kib_at(limits, minute) for minute in rates} == rates


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "nan", "1@", "1@8-20", "1@08:00-25:00", "1@08:60-09:00", "1,,2", "1@08:00"]
)
def test_what_is_no_limit(text: str) -> None:
    """It is refused on the command line."""
    with pytest.raises(ValueError, match=r".*"):
        limits_of(text)
