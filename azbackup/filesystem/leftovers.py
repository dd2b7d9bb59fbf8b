"""What a run that was broken off left of large files: known by its name, and taken over by the next run.

Promises nothing about contents: they are looked at chunk by chunk before any of them counts (destination). A large
file's temporary has a name that its path and its chunks give, so that what was left of other contents is not expected
by anybody, and is removed like all other leftovers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from azbackup.format.model import Entry

RESUMED_BYTES = 32 << 20  # smaller files begin anew: that costs less than what there is to tell


def is_resumed(entry: Entry) -> bool:
    """Whether a file is so large that what was written of it is gone on with."""
    return entry.size >= RESUMED_BYTES


class Leftovers:
    """The large files of one run, and what was found of them."""

    def __init__(self) -> None:
        self._names: dict[bytes, bytes] = {}  # temporary names, by path
        self.expected: set[bytes] = set()
        self.found: set[bytes] = set()  # those of them that lay there while no other run was in this destination

    def expect(self, entries: Iterable[Entry]) -> None:
        """These files are going to be written."""
        self._names = {entry.path: _name_of(entry) for entry in entries if is_resumed(entry)}
        self.expected = set(self._names.values())

    def name(self, path: bytes) -> bytes | None:
        """The temporary name of a large file, None for any other."""
        return self._names.get(path)

    def take(self, path: bytes) -> bytes | None:
        """The name under which something was left of a file; once."""
        name = self._names.get(path)
        if name not in self.found:
            return None
        self.found.discard(name)
        return name


def _name_of(entry: Entry) -> bytes:
    digest = hashlib.blake2b(entry.path + b"\0" + entry.chunks, digest_size=8)
    return b".azbackup-%s.part" % digest.hexdigest().encode()
