"""The demo's comparison sees every kind of difference, and none where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.trees import count_files, differences, make_sample


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Give a sample and a faithful copy of it."""
    make_sample(tmp_path / "left")
    shutil.copytree(tmp_path / "left", tmp_path / "right", symlinks=True)
    return tmp_path / "left", tmp_path / "right"


def test_faithful_copy_is_the_same(pair: tuple[Path, Path]) -> None:
    """No difference is reported where there is none, and nothing was left out."""
    assert differences(*pair) == []
    assert count_files(pair[0]) == count_files(pair[1])
    assert count_files(pair[0])[0] == 17


def _change_content(root: Path) -> None:
    path = root / "photos" / "best.raw"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _retarget(root: Path) -> None:
    link = root / "newest photo"
    before = link.lstat()
    link.unlink()
    link.symlink_to("start.sh")
    os.utime(link, ns=(before.st_atime_ns, before.st_mtime_ns), follow_symlinks=False)
    _reset_time(root)


def _reset_time(root: Path) -> None:
    """Undo what changing a directory's content did to its time."""
    original = (root.parent / "left").stat()
    os.utime(root, ns=(original.st_atime_ns, original.st_mtime_ns))


def _remove(root: Path) -> None:
    (root / "private.txt").unlink()
    _reset_time(root)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_change_content, "photos/best.raw: content differs"),
        (_retarget, "newest photo: link target differs"),
        (_remove, "private.txt: only in "),
        (lambda root: (root / "start.sh").chmod(0o755), "start.sh: mode differs"),
        (lambda root: os.utime(root / "letters"), "letters: modification time differs"),
        (os.utime, ".: modification time differs"),
    ],
)
def test_difference_is_named(pair: tuple[Path, Path], change: Callable[[Path], None], said: str) -> None:
    """One change is one line, with the path and what about it differs."""
    change(pair[1])
    (found,) = differences(*pair)
    assert found.startswith(said)
