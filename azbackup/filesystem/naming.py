"""Complete files on their way to their names: given one after the other, or by hands where that is slow.

Promises that the names of one directory are given one after the other: a file system that takes two names for one shows
the first by the time of the second. Hands give a name where nothing stands; all else is left to whoever is told of the
path, and so is what went wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial

from azbackup.filesystem.directories import Directories, Unwritable
from azbackup.filesystem.hands import Hands, Pace
from azbackup.filesystem.temporaries import Temporaries, Temporary, rename_new


class Naming:
    """The names of one run's files."""

    def __init__(
        self, directories: Directories, temporaries: Temporaries, hands: Hands, is_plain: Callable[[bytes], bool]
    ) -> None:
        """`is_plain`: whether nothing has to make room at a path."""
        self._directories = directories
        self._temporaries = temporaries
        self._hands = hands
        self._is_plain = is_plain
        self.pace = Pace()
        self._begun: dict[bytes, None] = {}  # by hands
        self._jobs: list[Future[None]] = []

    def ready(self, paths: Iterable[bytes], *, wait: bool) -> Iterator[bytes]:
        """The paths that are to `appear` now, each once; with `wait` all of them, else it may be next time."""
        yield from self._ended()
        if self.pace.is_slow and self._hands.any:
            self._begun = dict.fromkeys(paths)
            self._begin()
            if wait:
                yield from self._ended()
        else:
            yield from paths

    def appear(self, path: bytes) -> tuple[int, int]:
        """The file at a path gets its name, or has got it; its device and inode. Raises OSError, Unwritable."""
        looks = self.pace.begin()
        identity = self._temporaries.appear(path)
        if looks:
            self.pace.end()
        return identity

    # --- with hands

    def _begin(self) -> None:
        by_directory: dict[bytes, list[Temporary]] = {}
        for path in filter(self._is_plain, self._begun):
            temporary = self._temporaries.all[path]
            by_directory.setdefault(temporary.parent, []).append(temporary)
        for parent, temporaries in by_directory.items():
            try:
                directory = os.dup(self._directories.at(parent))
            except (OSError, Unwritable):
                continue  # said where they appear
            self._jobs.append(self._hands.do(partial(self._work, temporaries, directory), self.pace))

    def _work(self, temporaries: list[Temporary], directory: int) -> None:
        try:
            for temporary in temporaries:
                if self._hands.ended:
                    break
                try:
                    rename_new(temporary, directory)
                except OSError:
                    pass  # it is met once more where the file appears
        finally:
            os.close(directory)

    def _ended(self) -> Iterator[bytes]:
        while self._jobs and not self._hands.ended:
            self._jobs[-1].result()
            self._jobs.pop()
        while self._begun:
            path = next(iter(self._begun))
            del self._begun[path]
            yield path
