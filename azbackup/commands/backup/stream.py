"""What a program prints, as a source with one file: read as it comes, never held whole, in memory or on disk.

A snapshot is only made of output that is whole: `finish` is asked after the last byte and before anything is committed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import msgspec

from azbackup.commands.backup.tally import Tally
from azbackup.errors import AzbackupError
from azbackup.format.model import Entry, Kind

STREAMS = b"/stdin/"  # sources of this kind are below it, by the file's name
_MODE = 0o600  # whoever made the output knows whom it is for; azbackup does not


class Stream(msgspec.Struct, frozen=True):
    """Where the bytes come from.

    `open` gives the descriptor they are read from. `finish`, at their end, raises AzbackupError if they are not all.
    `close` ends what still runs; it is called in any case.
    """

    name: bytes
    open: Callable[[], int]
    finish: Callable[[], None]
    close: Callable[[], None]

    @property
    def source(self) -> bytes:
        """The source's path, which no directory has."""
        return STREAMS + self.name


class StreamReading:
    """The entries of one stream, and their accounts. Pure, but for whose process it is."""

    def __init__(self, name: bytes, now_ns: int) -> None:
        self._name = name
        self._now_ns = now_ns
        self.tally = Tally()

    def entries(self, chunks: bytes, size: int, base: Sequence[Entry]) -> list[Entry]:
        """The directory and the file that a snapshot has of it. Raises AzbackupError if nothing came."""
        if not size:
            raise AzbackupError(
                "there was nothing to read: no snapshot was made; the earlier ones are as they were",
                "did the program that writes it fail? --stdin-command sees that, a pipe does not",
            )
        old = next((entry for entry in base if entry.path == self._name and entry.kind == Kind.FILE), None)
        uid, gid = os.geteuid(), os.getegid()
        root = Entry(b"", int(Kind.DIRECTORY), mtime_ns=self._now_ns, mode=0o700, uid=uid, gid=gid)
        file = Entry(*(self._name, int(Kind.FILE), size, self._now_ns), mode=_MODE, uid=uid, gid=gid, chunks=chunks)
        same = old is not None and old.chunks == chunks
        self.tally.count(root, None, same=same)
        self.tally.count(file, old, same=same)
        return [root, file]
