"""How a run shows itself: names cannot drive a terminal, JSON is one object a line."""

from __future__ import annotations

import io
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.cli.output.terminal import BarProgress, JsonProgress, LineProgress, Results, clean, size_text, time_text
from azbackup.errors import AzbackupError

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


def test_lines_are_clean() -> None:
    """Problems and notes take one line each, whatever the path, and begin with the program's name."""
    out = io.StringIO()
    lines = LineProgress("backup.py", out, quiet=False)
    lines.problem(b"\x1b[2J\n\xff", "cannot be read:\nno")
    lines.note("some\x07thing")
    lines.problem(b"", "the source itself")
    shown = out.getvalue().splitlines()
    assert shown == [
        "backup.py: \\x1b[2J\\n\\udcff: cannot be read:\\nno",
        "backup.py: some\\x07thing",
        "backup.py: .: the source itself",
    ]


def test_quiet_leaves_notes_out_and_problems_in() -> None:
    """What cron should mail."""
    out = io.StringIO()
    lines = LineProgress("backup.py", out, quiet=True)
    lines.note("never mind")
    lines.problem(b"f", "cannot be read")
    assert out.getvalue() == "backup.py: f: cannot be read\n"


def test_json_is_one_object_a_line() -> None:
    """Any path and any text, undecodable bytes included."""
    out = io.StringIO()
    show = JsonProgress("backup.py", out, quiet=False)
    show.problem(b"\n\xff", "no\n")
    show.note(NASTY)
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["problem", "note"]
    assert events[0]["path"].encode("utf-8", "surrogateescape") == b"\n\xff"
    assert events[1]["message"] == NASTY
    out.getvalue().encode("ascii")


def test_the_bar_is_one_clean_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redrawn in place, never wider than the terminal, no path can break out of it."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("azbackup.cli.output.terminal._REDRAW_SECONDS", 0.0)
    out = io.StringIO()
    bar = BarProgress("backup.py", out)
    bar.stage("backing up", 10, 10_000_000)
    for number in range(20):
        bar.advance(NASTY.encode("utf-8", "surrogateescape") * number, 1, 1_000_000)
    bar.note("a note")
    bar.close()
    drawn = out.getvalue().split("\r\x1b[K")
    assert all(len(each.rstrip("\n")) <= 99 for each in drawn)
    assert all(each.rstrip("\n").isprintable() for each in drawn)
    assert "backup.py: a note\n" in drawn


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


class Counted(io.StringIO):
    """An output that counts how often it is written to and flushed."""

    writes = flushes = 0

    def write(self, text: str) -> int:
        """Counted."""
        self.writes += 1
        return super().write(text)

    def flush(self) -> None:
        """Counted."""
        self.flushes += 1


def test_results_are_written_many_at_a_time() -> None:
    """Nothing is held for long and nothing flushed line by line; what is left comes at the end, in order."""
    out = Counted()
    results = Results(out)
    lines = [f"line {number}" for number in range(20_000)]
    for line in lines:
        results.add(line)
    assert sum(map(len, lines)) - len(out.getvalue()) < 70_000
    results.flush()
    results.flush()
    assert out.getvalue().splitlines() == lines
    assert out.writes == out.flushes < 10


def test_results_as_json() -> None:
    """One object a line; bytes of a name that are no UTF-8 come as escaped surrogates."""
    out = io.StringIO()
    results = Results(out)
    results.event("entry", path="a\udcff\n")
    results.flush()
    assert out.getvalue() == '{"event": "entry", "path": "a\\udcff\\n"}\n'


def test_results_that_nobody_takes() -> None:
    """A closed pipe is said once, and no more is written to it; a closed stdout is known from the start."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        results = Results(out)
        assert not results.gone
        for _ in range(3):
            results.add("x" * 100_000)
            assert results.gone
    assert Results(None).gone
    Results(None).add("x" * 100_000)


def test_results_that_cannot_be_written() -> None:
    """A full disk is an error that names it."""
    with open("/dev/full", "w") as out:
        results = Results(out)
        results.add("x")
        with pytest.raises(AzbackupError, match="No space left"):
            results.flush()
        assert results.gone
