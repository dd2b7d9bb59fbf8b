"""Some thousand mutated inputs for every parser of stored bytes; `make torture` tries a million for each."""

from __future__ import annotations

import pytest

from tests.fuzz.loop import run
from tests.fuzz.parsers import parsers

NAMES = sorted(parsers())


@pytest.mark.parametrize("name", NAMES)
def test_no_input_does_harm(name: str) -> None:
    """Each is taken and written again as the same, or refused by an error of ours, within bounds."""
    tried = run(parsers()[name], 3000, seed=7)
    assert tried.inputs == 3000
    assert tried.taken
