"""The bandwidth limit: by a clock of its own, so that no test waits."""

from __future__ import annotations

import pytest

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
    pace = Throttle(100_000, lambda: clock.now, clock.sleep)
    for _ in range(1_000_000 // piece):
        pace.take(piece)
    assert 9.5 <= clock.now - 100.0 <= 10.1


def test_a_pause_is_not_saved_up() -> None:
    """After a minute without traffic the rate is the same as before."""
    clock = Clock()
    pace = Throttle(1000, lambda: clock.now, clock.sleep)
    clock.now += 60
    begun = clock.now
    pace.take(10_000)
    assert clock.now - begun >= 9.5


def test_a_paced_body_is_the_body() -> None:
    """Whole or in pieces, once, with its length known."""
    clock = Clock()
    pace = Throttle(1e9, lambda: clock.now, clock.sleep)
    body = PacedBody(b"0123456789", pace)
    assert len(body) == 10
    assert [body.read(4), body.read(4), body.read(4), body.read(4)] == [b"0123", b"4567", b"89", b""]
    assert PacedBody(b"0123456789", pace).read() == b"0123456789"
