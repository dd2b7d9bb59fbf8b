"""Tags, notes and moments as options have them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from azbackup.cli.options.words import moment, note, tag


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Play a machine in Berlin, where clocks go back an hour on 2026-10-25 at 3 in the morning."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("2026-03-01", "2026-03-01T22:59:59"),
        ("2026-03-01 14:30", "2026-03-01T13:30:59"),
        ("2026-03-01T14:30:05", "2026-03-01T13:30:05"),
        ("2026-03-01T14:30:05Z", "2026-03-01T14:30:05"),
        ("2026-03-01 14:30 +05:30", "2026-03-01T09:00:59"),
        ("2026-03-01 14:30 utc", "2026-03-01T14:30:59"),
        ("2026-10-25", "2026-10-25T22:59:59"),
        ("2026-10-25 02:30", "2026-10-25T01:30:59"),
    ],
)
def test_moments(text: str, last: str) -> None:
    """A day, a minute, a second mean their last moment; an hour that comes twice the second one."""
    expected = datetime.fromisoformat(last).replace(tzinfo=timezone.utc)
    assert moment(text) // 10**9 == int(expected.timestamp())
    assert moment(text) % 10**9 == 10**9 - 1


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-02-30", "2026-03-01 25:00", "01.03.2026"])
def test_no_moments(text: str) -> None:
    """What is no time is refused."""
    with pytest.raises(argparse.ArgumentTypeError):
        moment(text)


@pytest.mark.parametrize("text", ["", "a,b", "a\nb", " a", "x" * 101])
def test_no_tags(text: str) -> None:
    """A tag is a word on one line, without a comma."""
    with pytest.raises(argparse.ArgumentTypeError):
        tag(text)


def test_notes() -> None:
    """A note has room, and an end; bytes that are no text are spelled out."""
    assert note("before the upgrade\nof all") == "before the upgrade\nof all"
    assert note("\udcff") == "\\udcff"
    with pytest.raises(argparse.ArgumentTypeError):
        note("x" * 4097)
