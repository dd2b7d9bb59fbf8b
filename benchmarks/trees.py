"""What is backed up: three trees, each with a change of 1 % and the way back.

    S   10,000 small files of text, 80 MB, one in five a duplicate
    L   three files of 512 MiB of noise, the third a copy of the first
    M   a real tree: the standard library, the packages of this environment, Azurite's, up to 26,000 files

S and L are the same bytes on every machine. A change, and what undoes it, leave the same contents every time; only
times differ, so that every round of a benchmark begins alike.
"""

from __future__ import annotations

import os
import random
import shutil
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

MIB = 1 << 20
_REPOSITORY = Path(__file__).resolve().parent.parent
_REAL_FILE_BYTES = 16 * MIB  # the few larger ones are programs, and would be most of what is measured


class Tree(ABC):
    """A directory that can be made, changed by 1 %, and put back."""

    name: str

    def __init__(self, root: Path) -> None:
        """`root` is made by make()."""
        self.root = root

    @abstractmethod
    def make(self) -> None:
        """Fill the directory."""

    @abstractmethod
    def change(self) -> None:
        """Change 1 % of it."""

    @abstractmethod
    def undo(self) -> None:
        """Put the contents back."""

    def read(self) -> None:
        """Read all files once: whoever comes next finds them in memory."""
        for path in files_of(self.root):
            with path.open("rb") as file:
                while file.read(MIB):
                    pass

    def describe(self) -> str:
        """How many files and bytes it has."""
        sizes = [path.stat().st_size for path in files_of(self.root)]
        return f"{len(sizes):,} files, {sum(sizes) / 1e6:,.0f} MB"


class _Edited(Tree):
    """A tree of which one file in a hundred gets a line in its middle."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._before: dict[Path, bytes] = {}

    def change(self) -> None:
        files = sorted(files_of(self.root))
        for number, path in enumerate(random.Random(7).sample(files, max(1, len(files) // 100))):
            data = path.read_bytes()
            self._before[path] = data
            middle = len(data) // 2
            path.write_bytes(data[:middle] + b"\nline %d is new\n" % number + data[middle:])

    def undo(self) -> None:
        for path, data in self._before.items():
            path.write_bytes(data)
        self._before.clear()


class Small(_Edited):
    """Many small files."""

    name = "S"

    def __init__(self, root: Path, count: int = 10_000) -> None:
        super().__init__(root)
        self._count = count

    def make(self) -> None:
        chance = random.Random(1)
        text = _text(chance)
        made: list[Path] = []
        for number in range(self._count):
            path = self.root / f"{number // 100:03}" / f"{number:05}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            if number % 5 == 4:
                shutil.copyfile(made[chance.randrange(len(made))], path)
                continue
            size = min(int(chance.lognormvariate(8.5, 1)), 200_000)
            start = chance.randrange(len(text) - size)
            path.write_bytes(text[start : start + size])
            made.append(path)


class Large(Tree):
    """Three large files, two of them equal."""

    name = "L"

    def __init__(self, root: Path, mib: int = 512) -> None:
        super().__init__(root)
        self._mib = mib

    def make(self) -> None:
        self.root.mkdir(parents=True)
        self._write("one.bin", 1)
        self._write("two.bin", 2)
        shutil.copyfile(self.root / "one.bin", self.root / "copy of one.bin")

    def _write(self, name: str, seed: int) -> None:
        chance = random.Random(seed)
        with (self.root / name).open("wb") as file:
            for _ in range(self._mib):
                file.write(chance.randbytes(MIB))

    def change(self) -> None:
        """Overwrite five MiB of one file, and insert 64 bytes into another."""
        chance = random.Random(7)
        with (self.root / "one.bin").open("r+b") as file:
            for part in range(5):
                file.seek((self._mib * MIB - MIB) * (2 * part + 1) // 10)
                file.write(chance.randbytes(MIB))
        with (self.root / "two.bin").open("r+b") as file:
            file.seek(self._mib * MIB // 2)
            rest = file.read()
            file.seek(self._mib * MIB // 2)
            file.write(chance.randbytes(64))
            file.write(rest)

    def undo(self) -> None:
        self._write("one.bin", 1)
        self._write("two.bin", 2)


class Real(_Edited):
    """A tree as software leaves it."""

    name = "M"

    def __init__(self, root: Path, count: int = 26_000) -> None:
        super().__init__(root)
        self._count = count

    def make(self) -> None:
        left = self._count
        for name, source in _installed():
            for path in sorted(files_of(source)):
                relative = path.relative_to(source)
                if name == "library" and relative.parts[0] in ("site-packages", "dist-packages"):
                    continue
                if left == 0:
                    return
                if path.stat().st_size <= _REAL_FILE_BYTES:
                    target = self.root / name / relative
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, target)
                    left -= 1


def _installed() -> list[tuple[str, Path]]:
    return [
        ("library", Path(sysconfig.get_path("stdlib"))),
        ("packages", Path(sysconfig.get_path("purelib"))),
        ("node", _REPOSITORY / "emulator" / "node_modules"),
    ]


def files_of(root: Path) -> Iterator[Path]:
    """The regular files below a directory, symlinks apart."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def let_go(root: Path) -> None:
    """Has the kernel keep none of the files in memory, if it can be told so: the next run would get worse pages."""
    if not hasattr(os, "posix_fadvise"):
        return
    os.sync()  # only what is on the disk can be let go of
    for path in files_of(root):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _text(chance: random.Random) -> bytes:
    """13 MB of words, the frequent ones as frequent as in a language (Zipf)."""
    letters = b"abcdefghijklmnopqrstuvwxyz"
    words = [bytes(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(5000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    return b" ".join(chance.choices(words, weights=weights, k=2_000_000))
