"""Two directory trees: make a small one that has a bit of everything, and compare any two.

The comparison promises to name every path whose kind, content, mode, modification time or link
target differs. It passes over sockets, which no backup keeps, and leaves owners to whoever is root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_BLOCK_BYTES = 1 << 20
_TEXT = "Content is cold, knowledge is hot: this line is in the sample, and nowhere in Azure.\n"


def make_sample(root: Path) -> None:
    """Fill a new directory with files of several kinds; their times and modes are unusual."""
    photos = root / "photos" / "Ærø 2024"
    for directory in (root / "letters", photos, root / "empty directory"):
        directory.mkdir(parents=True)
    (root / "letters" / "to a friend.txt").write_text(_TEXT * 200)
    (root / "letters" / "empty.txt").touch()
    for number in range(1, 6):
        (photos / f"{number:03}.raw").write_bytes(os.urandom(1_000_000 * number))
    (root / "photos" / "best.raw").write_bytes((photos / "005.raw").read_bytes())
    (root / "start.sh").write_text("#!/bin/sh\necho hello\n")
    (root / "start.sh").chmod(0o750)
    (root / "private.txt").write_text("for my eyes only\n")
    (root / "private.txt").chmod(0o600)
    (root / "newest photo").symlink_to("photos/Ærø 2024/005.raw")
    with (root / "sparse.img").open("wb") as image:
        image.truncate(8 << 20)
    _age(root)


def differences(left: Path, right: Path) -> list[str]:
    """Return a line for each path at which the trees differ; none when they are the same."""
    ours, theirs = dict(_walk(left)), dict(_walk(right))
    found = [f"{name}: only in {left}" for name in sorted(ours.keys() - theirs.keys())]
    found += [f"{name}: only in {right}" for name in sorted(theirs.keys() - ours.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        found += [f"{name}: {what} differs" for what in _compare(ours[name], theirs[name])]
    return found


def count_files(root: Path) -> tuple[int, int]:
    """Return how many paths a tree has, and how many bytes are in its files."""
    sizes = [p.lstat().st_size for _, p in _walk(root) if p.is_file() and not p.is_symlink()]
    return sum(1 for _ in _walk(root)), sum(sizes)


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    yield ".", root
    for folder, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = Path(folder, name)
            if not stat.S_ISSOCK(path.lstat().st_mode):
                yield str(path.relative_to(root)), path


def _compare(left: Path, right: Path) -> Iterator[str]:
    ours, theirs = left.lstat(), right.lstat()
    if stat.S_IFMT(ours.st_mode) != stat.S_IFMT(theirs.st_mode):
        yield "kind"
        return
    if stat.S_IMODE(ours.st_mode) != stat.S_IMODE(theirs.st_mode):
        yield "mode"
    if ours.st_mtime_ns != theirs.st_mtime_ns:
        yield "modification time"
    if stat.S_ISLNK(ours.st_mode) and os.readlink(left) != os.readlink(right):
        yield "link target"
    if stat.S_ISREG(ours.st_mode) and not _same_bytes(left, right):
        yield "content"


def _same_bytes(left: Path, right: Path) -> bool:
    with left.open("rb") as ours, right.open("rb") as theirs:
        while True:
            block = ours.read(_BLOCK_BYTES)
            if block != theirs.read(_BLOCK_BYTES):
                return False
            if not block:
                return True


def _age(root: Path) -> None:
    """Give every path a time of its own, long ago and with odd nanoseconds; deepest first."""
    for number, (_, path) in enumerate(reversed(list(_walk(root)))):
        changed_ns = 1_600_000_000_123_456_789 + number * 86_400_000_000_001
        os.utime(path, ns=(changed_ns, changed_ns), follow_symlinks=False)
