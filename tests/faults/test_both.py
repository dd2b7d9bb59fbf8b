"""Two backups at once, of one partition, from two hosts: both commit, whichever does what when."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.faults.conftest import Story
from tests.faults.world import Fuse, World, assert_restores, keep, make_source

MOST = 60


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, story: Story) -> Path:
    """Give another source, which shares some contents with the first."""
    root = tmp_path_factory.mktemp("other") / "source"
    make_source(root)
    (root / "shared").write_bytes((story.second / "large").read_bytes())
    return keep(root, "other")


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("first", [True, False], ids=["new partition", "known partition"])
def test_one_backup_in_the_midst_of_another(story: Story, other: Path, tmp_path: Path, late: bool, first: bool) -> None:
    """At each operation of one, in turn, the whole of the other happens: two snapshots, each exact, no damage."""
    for at in range(1, MOST):
        world = World(story.second) if first else story.world.clone()
        happened: list[int] = []

        def meanwhile(world: World = world, happened: list[int] = happened) -> None:
            snapshot, damage = world.backup(source=other)
            assert damage == []
            happened.append(snapshot.number)

        snapshot, damage = world.backup(Fuse(at, late, meanwhile))
        if not happened:
            break
        assert damage == []
        before = 0 if first else 1
        assert sorted([snapshot.number, *happened]) == [before + 1, before + 2]
        assert world.numbers() == list(range(1, before + 3))
        assert_restores(world, story.second, tmp_path / "restored", snapshot.number)
        assert_restores(world, other, tmp_path / "restored", happened[0])
    assert 10 < at < MOST


def test_two_backups_of_the_same_source(story: Story, tmp_path: Path) -> None:
    """The same, of one source: both are whole, and a third one finds nothing to store."""
    for at in range(1, MOST, 2):
        world = story.world.clone()
        happened: list[int] = []

        def meanwhile(world: World = world, happened: list[int] = happened) -> None:
            happened.append(world.backup()[0].number)

        snapshot, _ = world.backup(Fuse(at, False, meanwhile))
        if not happened:
            break
        for number in (snapshot.number, *happened):
            assert_restores(world, story.second, tmp_path / "restored", number)
        third, _ = world.backup()
        assert third.totals.packs == 0


def test_two_threads_at_once(story: Story, other: Path, tmp_path: Path) -> None:
    """Side by side for real, a few times over: every snapshot is committed, numbered without a gap, and exact."""
    world = World(story.second)
    numbers: dict[int, Path] = {}
    failures: list[BaseException] = []
    together = threading.Barrier(2)

    def run(source: Path) -> None:
        try:
            for _ in range(3):
                together.wait(30)
                snapshot, damage = world.backup(source=source)
                assert damage == []
                numbers[snapshot.number] = source
        except BaseException as error:  # noqa: BLE001  shown by the test
            failures.append(error)
            together.abort()

    threads = [threading.Thread(target=run, args=(source,)) for source in (story.second, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert world.numbers() == sorted(numbers) == [1, 2, 3, 4, 5, 6]
    for number, source in numbers.items():
        assert_restores(world, source, tmp_path / "restored", number)
