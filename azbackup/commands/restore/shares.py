"""What each top directory of a restore takes: the groups of files, as if each were restored alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from azbackup.commands.restore.files import WantedFile
from azbackup.packs.index import Place, pairs


@dataclass(slots=True)
class Wants:
    """Some files: how many, their bytes, and their chunks, one byte for each chunk of their packs."""

    files: int = 0
    size: int = 0
    chunks: dict[int, bytearray] = field(default_factory=dict)

    def add(self, size: int, places: Iterable[Place]) -> None:
        """A file of these bytes, and where its chunks are."""
        self.files += 1
        self.size += size
        for pack, chunk in places:
            flags = self.chunks.get(pack)
            if flags is None:
                flags = self.chunks[pack] = bytearray()
            if len(flags) <= chunk:
                flags.extend(bytes(chunk + 1 - len(flags)))
            flags[chunk] = 1


def by_directory(files: Iterable[WantedFile]) -> dict[bytes, Wants]:
    """The files by the first directory in which their paths differ; they are gone through twice.

    Where all of them are below one directory, the groups are its directories, and itself for the files in it.
    """
    common = _common(file.entry.path.split(b"/")[:-1] for file in files)
    groups: dict[bytes, Wants] = {}
    for file in files:
        parts = file.entry.path.split(b"/")
        top = b"/".join(parts[: min(common + 1, len(parts) - 1)])
        groups.setdefault(top, Wants()).add(file.entry.size, pairs(file.places))
    return groups


def _common(directories: Iterable[list[bytes]]) -> int:
    """How many first parts all the directories have in common: those of the least and the greatest one."""
    least: list[bytes] | None = None
    greatest: list[bytes] = []
    for directory in directories:
        least = directory if least is None else min(least, directory)
        greatest = max(greatest, directory)
    if least is None:
        return 0
    differs = (at for at, (one, other) in enumerate(zip(least, greatest, strict=False)) if one != other)
    return next(differs, min(len(least), len(greatest)))
