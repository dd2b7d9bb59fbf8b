"""What happens to a tree in real life, by a seed: edits, renames, kinds that change, links, sparse files, odd names.

`mutate` changes a directory in place. A change that the file system or the user's rights do not allow is left out.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

_WORDS = [b"letters", b"photos", b"a", b"b", b"work", b"x.txt", b"notes.txt", b"report.odt", b"deep", b"z.bin"]
_ODD = [
    b"caf\xe9",
    b"\xff\xfe.txt",
    b"two\nlines.txt",
    b" blank ",
    b"-rf",
    b"*?[a]",
    b"\xe2\x98\x83",
    b"n" * 255,
    b"..a",
]
_SIZES = [0, 1, 100, 100, 5_000, 5_000, 70_000, 300_000, 3_000_000]

Change = Callable[["Tree"], None]


class Tree:
    """One directory, and where chance leads in it."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root = os.fsencode(root)
        self.rng = rng

    def paths(self, *types: int) -> list[bytes]:
        """All paths below the root whose file type is one of these (all types: none given), in order."""
        found = []
        for folder, folders, files in os.walk(self.root):
            folders.sort()
            for name in sorted(folders + files):
                path = os.path.join(folder, name)
                if not types or stat.S_IFMT(os.lstat(path).st_mode) in types:
                    found.append(path)
        return found

    def any(self, *types: int) -> bytes:
        """One of them. Raises IndexError if there is none."""
        return self.rng.choice(self.paths(*types))

    def folder(self) -> bytes:
        """A directory, the root included."""
        return self.rng.choice([self.root, *self.paths(stat.S_IFDIR)])

    def new(self) -> bytes:
        """A path where nothing is."""
        name = self.rng.choice(_ODD if self.rng.random() < 0.25 else _WORDS)
        path = os.path.join(self.folder(), name)
        while os.path.lexists(path):
            path = path[:-4] + b"%04x" % self.rng.getrandbits(16)
        return path

    def data(self) -> bytes:
        """Contents, that compress or do not."""
        size = self.rng.choice(_SIZES)
        if self.rng.random() < 0.5:
            return self.rng.randbytes(size)
        return (b"line %d\n" % self.rng.randrange(50) * (size // 7 + 1))[:size]


def _write(path: bytes, data: bytes, mode: str = "wb") -> None:
    with open(path, mode) as file:
        file.write(data)


def _create(tree: Tree) -> None:
    for _ in range(tree.rng.choice([1, 1, 3, 30])):
        _write(tree.new(), tree.data())


def _crowd(tree: Tree) -> None:
    folder = tree.new()
    os.mkdir(folder)
    for number in range(tree.rng.choice([50, 300])):
        _write(folder + b"/%d.txt" % number, b"small %d" % tree.rng.randrange(1000))


def _rewrite(tree: Tree) -> None:
    _write(tree.any(stat.S_IFREG), tree.data())


def _append(tree: Tree) -> None:
    _write(tree.any(stat.S_IFREG), tree.data(), "ab")


def _patch(tree: Tree) -> None:
    path = tree.any(stat.S_IFREG)
    with open(path, "r+b") as file:
        file.seek(tree.rng.randrange(os.path.getsize(path) + 1))
        file.write(tree.rng.randbytes(10))


def _same_size(tree: Tree) -> None:
    """New contents of the same size within the same second; of the very same time, now and then."""
    path = tree.any(stat.S_IFREG)
    before = os.lstat(path)
    _write(path, tree.rng.randbytes(before.st_size))
    move_ns = tree.rng.choice([0, 1, 1000])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + move_ns))


def _rename(tree: Tree) -> None:
    path, to = tree.any(), tree.new()
    if not to.startswith(path + b"/"):
        os.rename(path, to)


def _replace(tree: Tree) -> None:
    """As editors save: a new file takes the name."""
    path = tree.any(stat.S_IFREG)
    new = tree.new()
    _write(new, tree.data())
    os.rename(new, path)


def _remove(tree: Tree) -> None:
    path = tree.any()
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _copy(tree: Tree) -> None:
    shutil.copy2(tree.any(stat.S_IFREG), tree.new())


def _directory(tree: Tree) -> None:
    os.mkdir(tree.new())


def _deep(tree: Tree) -> None:
    path = tree.new()
    for _ in range(tree.rng.randrange(3, 25)):
        os.mkdir(path)
        path += b"/d"
    _write(path, b"at the bottom")


def _symlink(tree: Tree) -> None:
    os.symlink(tree.rng.choice([b"nowhere", b"..", b"/etc/hostname", b"\xff", tree.folder()]), tree.new())


def _fifo(tree: Tree) -> None:
    os.mkfifo(tree.new())


def _device(tree: Tree) -> None:
    os.mknod(tree.new(), stat.S_IFCHR | 0o600, os.makedev(1, tree.rng.choice([3, 5])))


def _link(tree: Tree) -> None:
    os.link(tree.any(stat.S_IFREG), tree.new())


def _split(tree: Tree) -> None:
    """One name of several gets a file of its own with the same contents."""
    path = tree.rng.choice([each for each in tree.paths(stat.S_IFREG) if os.lstat(each).st_nlink > 1])
    new = tree.new()
    shutil.copy2(path, new)
    os.rename(new, path)


def _kind(tree: Tree) -> None:
    """What is at a path becomes something else."""
    path = tree.any()
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
    make = [lambda: os.mkdir(path), lambda: _write(path, tree.data()), lambda: os.symlink(b"x", path)]
    tree.rng.choice(make)()


def _sparse(tree: Tree) -> None:
    with open(tree.new(), "wb") as file:
        file.seek(tree.rng.choice([1 << 20, 5 << 20]))
        file.write(b"end")
        if tree.rng.random() < 0.5:
            file.truncate(8 << 20)


def _mode(tree: Tree) -> None:
    os.chmod(tree.any(stat.S_IFREG), tree.rng.choice([0o600, 0o644, 0o755, 0o4755, 0o400]))


def _folder_mode(tree: Tree) -> None:
    os.chmod(tree.any(stat.S_IFDIR), tree.rng.choice([0o700, 0o755, 0o1777, 0o2750]))


def _owner(tree: Tree) -> None:
    os.lchown(tree.any(), tree.rng.choice([0, 1000, 65534]), tree.rng.choice([0, 100]))


def _time(tree: Tree) -> None:
    moment = tree.rng.choice([0, 1, 10**18 + 7, 1_700_000_000 * 10**9, -(10**9)])
    os.utime(tree.any(stat.S_IFREG, stat.S_IFDIR), ns=(moment, moment))


def _attribute(tree: Tree) -> None:
    path = tree.any(stat.S_IFREG, stat.S_IFDIR)
    os.setxattr(path, tree.rng.choice([b"user.one", b"user.two"]), tree.rng.randbytes(tree.rng.choice([0, 5, 500])))


_CHANGES: list[tuple[Change, int]] = [
    *((_create, 8), (_crowd, 1), (_rewrite, 5), (_append, 4), (_patch, 4), (_same_size, 3), (_rename, 5)),
    *((_replace, 3), (_remove, 4), (_copy, 2), (_directory, 2), (_deep, 1), (_symlink, 2), (_fifo, 1), (_device, 1)),
    *((_link, 3), (_split, 1), (_kind, 3), (_sparse, 1), (_mode, 2), (_folder_mode, 2), (_owner, 1), (_time, 2)),
    (_attribute, 2),
]


def mutate(root: Path, rng: random.Random, count: int, *, growing: bool = False) -> list[str]:
    """Makes so many changes below a directory; their names. `growing`: none that takes away."""
    tree = Tree(root, rng)
    done = []
    changes, weights = zip(*_CHANGES, strict=True)
    for change in rng.choices(changes, weights, k=count):
        if growing and change in (_remove, _kind):
            change = _create
        try:
            change(tree)
            done.append(change.__name__.strip("_"))
        except (IndexError, OSError):  # there is nothing to do it to, or it is not allowed here
            done.append(f"({change.__name__.strip('_')})")
    return done
