"""A row that opens and is malformed is as good as one that does not open: its copy is used, and that is named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from emulator.trees import differences
from tests.faults.conftest import Story
from tests.faults.world import PARTITION, World
from tests.listener import Silent

NONSENSE = [
    b"",
    b"\xc1",
    msgspec.msgpack.encode({"a": 1}),
    msgspec.msgpack.encode([["x"] * 3]),
    msgspec.msgpack.encode(7),
]


def seal(world: World, name: str, payload: bytes) -> None:
    """Put a payload into a row, rightly sealed, as whoever has the password can."""
    _, partition = world.opened()
    world.table.rows[PARTITION, name] = partition.records.seal(name, payload).sealed


@pytest.mark.parametrize("payload", NONSENSE, ids=["empty", "no msgpack", "a map", "entries of text", "a number"])
@pytest.mark.parametrize("kind", ["snapshot-", "pack-", "files-"])
def test_its_copy_stands_in(story: Story, tmp_path: Path, kind: str, payload: bytes) -> None:
    """A restore has everything, a backup goes on from it, and both name the row."""
    world = story.world.clone()
    [name, *_] = sorted(name for _, name in world.table.rows if name.startswith(kind))
    seal(world, name, payload)
    show = Silent()
    restored = world.restore(tmp_path / "restored", show=show)
    assert restored.problems == 0
    assert any(f"row {name} was altered; its copy was used" in text for text in restored.damage)
    assert differences(story.first, tmp_path / "restored") == []
    made, damage = world.backup()
    assert made.parent == 1
    assert made.totals.unchanged > 0
    assert any(f"row {name} was altered; its copy was used" in text for text in damage)


def test_one_bad_entry_is_read_from_the_copy(story: Story, tmp_path: Path) -> None:
    """Where a single entry of a file record is malformed the others are not taken from the row either."""
    world = story.world.clone()
    [name, *_] = sorted(name for _, name in world.table.rows if name.startswith("files-"))
    _, partition = world.opened()
    row = next(row for row in partition.records.rows(name, name + "!"))
    items = msgspec.msgpack.decode(partition.records.open_sealed(row))
    items[-1][1] = 99  # its kind
    seal(world, name, msgspec.msgpack.encode(items))
    restored = world.restore(tmp_path / "restored")
    assert (restored.problems, len(restored.damage)) == (0, 1)
    assert differences(story.first, tmp_path / "restored") == []
