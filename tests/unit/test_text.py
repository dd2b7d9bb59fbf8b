"""What people read: names that cannot drive a terminal, sizes and durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.cli.output.text import clean, size_text, time_text

NASTY = "a\x1b[2Jb\rc\nd\x07\x9b31m\u202egpj.\u2028\udcff\x00\t\x7f"


def test_control_characters_are_escaped() -> None:
    """Escapes, carriage returns, bells, bidirectional overrides, undecodable bytes: each visible, on one line."""
    text = clean(NASTY)
    assert text.isprintable()
    assert text.startswith("a\\x1b[2Jb\\rc\\nd\\x07")
    assert "\\u202e" in text
    assert "\\udcff" in text


@given(st.text(st.characters(), max_size=50))
def test_clean_text_is_printable(text: str) -> None:
    """Whatever the text: printable, one line, encodable, and unchanged if it was so before."""
    shown = clean(text)
    assert shown.isprintable()
    shown.encode()
    assert clean(shown) == shown


@pytest.mark.parametrize("text", ["", "plain.txt", "Grüße, 東京 😀", "a b", "back\\slash", "-rf"])
def test_ordinary_names_are_shown_as_they_are(text: str) -> None:
    """Letters of any script and blanks."""
    assert clean(text) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (47_395_635, "45.2 MiB"),
        (2**40, "1.0 TiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    """As people read them."""
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (3.21, "3.2 s"), (60, "1 min"), (719, "12 min"), (7500, "2 h 05 min"), (3599, "1 h 00 min")],
)
def test_durations(seconds: float, text: str) -> None:
    """As people read them."""
    assert time_text(seconds) == text


# --- results
