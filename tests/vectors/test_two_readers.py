"""A restore and docs/reader.py make the same trees of histories that are drawn; `make torture` draws more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vectors.two_readers import Life, load_reader, make_tiny


@pytest.mark.parametrize("seed", range(4))
def test_both_readers_make_the_same_of_every_snapshot(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contents, kinds, modes, owners, times, links, attributes and holes are the same, snapshot by snapshot."""
    make_tiny(monkeypatch)
    life = Life(tmp_path, seed)
    life.play(12)
    life.compare(load_reader())
    assert life.compared >= 2
