"""What goes bad on its way is no damage: where a chunk does not open its pack is read once more before that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.trees import differences
from tests.faults.conftest import Story
from tests.listener import Silent


@pytest.mark.parametrize("times", [1, 2])
def test_a_flipped_bit(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Once for each pack: everything comes back, and nothing is said. Each time: it is damage."""
    world, show = story.world.clone(), Silent()
    real, read = world.blobs.get_range, dict[str, int]()

    def flipped(name: str, offset: int, size: int) -> bytes:
        data = real(name, offset, size)
        read[name] = read.get(name, 0) + 1
        return bytes([data[0] ^ 1]) + data[1:] if "/packs/" in name and read[name] <= times else data

    with monkeypatch.context() as patch:
        patch.setattr(world.blobs, "get_range", flipped)
        restored = world.restore(tmp_path / "restored", show=show)
    if times == 1:
        assert (restored.problems, show.damaged) == (0, [])
        assert differences(story.first, tmp_path / "restored") == []
    else:
        assert restored.problems
        assert show.damaged
