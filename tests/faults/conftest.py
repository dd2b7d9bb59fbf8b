"""Sources and partitions to be struck: made once for each file of tests, cloned by each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.world import World, change_source, keep, make_small, make_source


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Make packs, file records and the KDF small for the whole module."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        yield


@dataclass
class Story:
    """A source that was backed up and then changed: the world after the first backup, and both states of the tree."""

    world: World
    first: Path
    second: Path


def tell(folder: Path, unit: int = 100_000) -> Story:
    """Return a world with one snapshot, and its source changed since; files are of some `unit` bytes."""
    source = folder / "source"
    make_source(source, unit)
    world = World(source)
    world.backup()
    first = keep(source, "first")
    change_source(source, unit)
    return Story(world, first, source)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, small: None) -> Story:  # noqa: ARG001  it must come first
    """Give a world with one snapshot, and a source that has changed since."""
    return tell(tmp_path_factory.mktemp("story"))
