"""Many histories, each of whose snapshots restore and docs/reader.py have to make the same of (`make torture`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.vectors.two_readers import Life, load_reader, make_tiny

FIRST = int(os.environ.get("SEED", "1000"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + 60))
def test_both_readers_make_the_same_of_every_snapshot(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as in tests/vectors, with longer histories; SEED=N begins at another one."""
    make_tiny(monkeypatch)
    life = Life(tmp_path, seed)
    life.play(25)
    life.compare(load_reader())
    assert life.compared >= 2
