"""What each top directory of a restore takes: the groups of files, as if each were restored alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from azbackup.commands.restore.fetcher import WantedFile


def by_directory(files: Iterable[WantedFile]) -> dict[bytes, list[WantedFile]]:
    """The files by the first directory in which their paths differ.

    Where all of them are below one directory, the groups are its directories, and itself for the files in it.
    """
    found = list(files)
    common = _common([file.entry.path.split(b"/")[:-1] for file in found])
    groups: dict[bytes, list[WantedFile]] = {}
    for file in found:
        parts = file.entry.path.split(b"/")
        top = b"/".join(parts[: min(common + 1, len(parts) - 1)])
        groups.setdefault(top, []).append(file)
    return groups


def _common(directories: Sequence[list[bytes]]) -> int:
    """How many first parts all the directories have in common: those of the least and the greatest one."""
    if not directories:
        return 0
    least, greatest = min(directories), max(directories)
    differs = (at for at, (one, other) in enumerate(zip(least, greatest, strict=False)) if one != other)
    return next(differs, min(len(least), len(greatest)))
