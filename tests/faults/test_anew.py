"""A last snapshot that turns out damaged when half of the tree has been compared with it: the pass is made anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.world import PARTITION, World, assert_restores, make_small
from tests.listener import Silent


class Watch(Silent):
    """Keeps the stages as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: list[str] = []

    def stage(self, name: str, files: int = 0, size: int = 0) -> None:  # noqa: ARG002  # the protocol names them
        """Keep it."""
        self.stages.append(name)


def lose_last_file_record(world: World) -> None:
    """Remove the last file record that there is, and every copy that may hold it."""
    name = max(row for row in world.table.rows if row[1].startswith("files-"))
    del world.table.rows[name]
    for blob in [each for each in world.blobs.blobs if each.startswith(f"{PARTITION}/records/")]:
        if "/snapshot-" not in blob:
            del world.blobs.blobs[blob]


def test_a_pass_made_anew_is_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each path is named once, everything that was read counts, and the listener is told that it starts anew."""
    make_small(monkeypatch)
    source = tmp_path / "source"
    source.mkdir()
    for number in range(100):
        (source / f"f{number:03}").write_bytes(os.urandom(100))
    world = World(source)
    world.backup()
    lose_last_file_record(world)
    os.mkfifo(source / "a fifo")
    (source / ".azbackup-0123456789abcdef.part").touch()
    (source / "a new file").write_bytes(os.urandom(5000))
    show = Watch()

    snapshot, damage = world.backup(show=show)

    assert len(damage) == 1
    assert show.notes == [".azbackup-0123456789abcdef.part: skipped: an unfinished file of a restore"]
    assert show.stages[:2] == ["backing up"] * 2
    # Two files are new, and the lost record held two.
    assert (snapshot.totals.new, snapshot.totals.read) == (4, 2 * 5000 + 200)
    (source / ".azbackup-0123456789abcdef.part").unlink()
    os.utime(source, ns=(0, 0))
    world.backup()
    assert_restores(world, source, tmp_path / "restored")
