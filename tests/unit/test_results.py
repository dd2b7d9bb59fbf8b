"""Results on stdout: written many at a time, and never lost in silence."""

from __future__ import annotations

import io
import os

import pytest

from azbackup.cli.output.results import Results
from azbackup.errors import AzbackupError


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
