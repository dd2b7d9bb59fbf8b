"""A million mutated inputs for every parser of stored bytes (`make torture`)."""

from __future__ import annotations

import pytest

from tests.fuzz.loop import run
from tests.fuzz.parsers import parsers


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", sorted(parsers()))
def test_no_input_does_harm(name: str) -> None:
    """The same as in tests/fuzz, with another seed."""
    assert run(parsers()[name], 1_000_000, seed=1).taken
