"""Some thousand mutated inputs for every parser of stored bytes; `make torture` tries a million for each."""

from __future__ import annotations

import pytest

from azbackup.errors import Damaged
from azbackup.format.verdicts import Verified, encode_verdict
from tests.fuzz.loop import run
from tests.fuzz.parsers import parsers

NAMES = sorted(parsers())


@pytest.mark.parametrize("name", NAMES)
def test_no_input_does_harm(name: str) -> None:
    """Each is taken and written again as the same, or refused by an error of ours, within bounds."""
    tried = run(parsers()[name], 3000, seed=7)
    assert tried.inputs == 3000
    assert tried.taken


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["thaw_seconds", "read_seconds", "cost"])
def test_a_figure_that_is_no_number(name: str, figure: float) -> None:
    """A million inputs found that one was taken: it would be shown, and be JSON that nobody reads."""
    result = encode_verdict(Verified(1, 2, "host", **{name: figure}))
    with pytest.raises(Damaged, match="malformed"):
        parsers()["verification"].parse(result)
