"""What docs/faults.md and docs/threat-model.md call proven: each test that they name is there, each claim names one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_CLAIM = re.compile(r"\bcould\b")
_OF_NOBODY = "no test can show"  # a claim about mathematics or about Azure says so, and why


def paragraphs(name: str) -> list[str]:
    """The paragraphs of a page, without its headings."""
    text = (REPOSITORY / "docs" / name).read_text()
    return [part for part in text.split("\n\n") if not part.startswith("#")]


@pytest.mark.parametrize("name", ["faults.md", "threat-model.md"])
def test_each_test_that_is_named_is_there(name: str) -> None:
    """A test that was renamed or removed is missed here."""
    named = [found for part in paragraphs(name) for found in _TEST.findall(part)]
    assert len(named) > 20
    for path, function in named:
        assert (REPOSITORY / path).is_file(), path
        assert not function or f"def {function}(" in (REPOSITORY / path).read_text(), (path, function)


def test_each_claim_of_the_threat_model_names_its_test() -> None:
    """Each paragraph that says what somebody could, or could not, names a test that shows it, or why none can."""
    bare = [part for part in paragraphs("threat-model.md") if _CLAIM.search(part)]
    bare = [part for part in bare if not _TEST.search(part) and _OF_NOBODY not in part]
    assert bare == []


def test_each_kind_of_fault_names_its_test() -> None:
    """Each row of the tables names one."""
    rows = [row for part in paragraphs("faults.md") for row in part.splitlines() if row.startswith("| ")]
    bare = [row for row in rows if not _TEST.search(row) and not re.match(r"\| (what|---)", row)]
    assert len(rows) > 20
    assert bare == []
