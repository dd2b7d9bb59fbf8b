"""The nouns: what an entry, a chunk table, a layer and a snapshot are, as they travel and as they are stored.

Entries are stored as msgpack arrays, so the order of their fields is format 1 and never changes; packs and snapshots
are msgpack maps, where a reader ignores names that it does not know. Nothing here does anything.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NewType

import msgspec

from azbackup.format.labels import CHUNK_ID_BYTES

ChunkId = NewType("ChunkId", bytes)  # 32 bytes, keyed BLAKE3 of the plaintext
PackId = NewType("PackId", str)  # YYYYMMDDTHHMMSSZ-<16 hex>
RunId = NewType("RunId", str)  # the same form


class Kind(enum.IntEnum):
    """What stands at a path. REMOVED and MORE only occur inside file records."""

    REMOVED = 0
    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3
    FIFO = 4
    CHARACTER_DEVICE = 5
    BLOCK_DEVICE = 6
    MORE = 7


class Entry(msgspec.Struct, array_like=True, gc=False):
    """What the scanner found at one path, and the chunks of its contents.

    `path` is relative to the source, as bytes, '' for the source itself. `mode` holds the permission bits (07777).
    `ctime_ns`, `inode` and `device` only serve to notice changes and hard links; a ctime of 0 matches nothing, so the
    file is read again next time. `chunks` is the concatenation of 32-byte chunk ids.
    """

    path: bytes
    kind: int
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    device: int = 0
    links: int = 1
    mode: int = 0
    uid: int = 0
    gid: int = 0
    sparse: bool = False
    chunks: bytes = b""
    target: bytes = b""
    rdev: int = 0
    xattrs: list[tuple[bytes, bytes]] = []

    def chunk_ids(self) -> list[ChunkId]:
        """The chunk ids in file order."""
        return split_ids(self.chunks)


def split_ids(ids: bytes) -> list[ChunkId]:
    """The chunk ids of a concatenation."""
    if len(ids) == CHUNK_ID_BYTES:  # most files
        return [ChunkId(ids)]
    return [ChunkId(ids[at : at + CHUNK_ID_BYTES]) for at in range(0, len(ids), CHUNK_ID_BYTES)]


def order(path: bytes) -> bytes:
    """The sort key of path order: by components as bytes, so that a directory's contents follow it at once."""
    return path.replace(b"/", b"\0")


class PackRecord(msgspec.Struct, omit_defaults=True):
    """One pack: what Azure lists about it (size, md5), where it was sent, and its chunk table in three columns.

    The first sealed chunk starts after the 8 magic bytes, each next one where the last one ends.
    """

    size: int
    md5: bytes
    tier: str
    ids: bytes
    sealed: list[int]
    plain: list[int]

    def chunk_ids(self) -> list[ChunkId]:
        """The chunk ids in the order of the pack."""
        return split_ids(self.ids)


class Layer(msgspec.Struct, array_like=True):
    """The file records of one run: `files-<run>-0001` to `-<records>`, holding `entries` items."""

    run: str
    records: int
    entries: int


class Totals(msgspec.Struct, omit_defaults=True):
    """What a run met and moved. Bytes unless said otherwise; counts exclude directories except `directories`."""

    files: int = 0
    directories: int = 0
    size: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    unreadable: int = 0
    read: int = 0
    stored: int = 0
    packs: int = 0


class Snapshot(msgspec.Struct, omit_defaults=True):
    """What a source looked like when a backup finished: the commit of a run.

    `layers`: a full one first, then changes in order; merged they are the state. `copies` counts the run's copies of
    its records, so that whoever finishes the commit finds all of them. Times are Unix nanoseconds. `unreadable` names
    up to 1,000 paths; `totals.unreadable` counts them all.
    """

    source: bytes
    host: str
    run: str
    started_ns: int
    finished_ns: int
    layers: list[Layer]
    totals: Totals
    parent: int = 0
    copies: int = 0
    users: dict[int, str] = {}
    groups: dict[int, str] = {}
    unreadable: list[bytes] = []
    number: int = 0  # from the record's name, not stored: set by the catalog


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A record as it travels: its name (RowKey) and its sealed bytes, whatever number of properties held them.

    `version` changes whenever the service writes the row, '' where it is not known; rows are equal whatever it is.
    """

    name: str
    sealed: bytes
    version: str = field(default="", compare=False)
