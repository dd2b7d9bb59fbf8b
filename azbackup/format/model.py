"""The nouns: what an entry, a chunk table, a layer and a snapshot are, as they travel and as they are stored.

Entries are stored as msgpack arrays, so the order of their fields is format 1 and never changes; packs and snapshots
are msgpack maps, where a reader ignores names that it does not know. Each type says what its field may hold, and what
is decoded is held to that: no later step meets a mode, an owner or a count that no file system and no program could
have. Nothing here does anything.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, NewType

import msgspec
from msgspec import Meta

from azbackup.format.labels import (
    CHUNK_ID_BYTES,
    CHUNK_MAX,
    FILE_RECORDS,
    ITEM_CHUNKS,
    LAYERS,
    NAME_CHARACTERS,
    NAMED_OWNERS,
    NAMED_UNREADABLE,
    NOTE_CHARACTERS,
    PACK_BYTES,
    PACK_CHUNKS,
    PATH_BYTES,
    RULES,
    TAGS,
    XATTRS,
)

ChunkId = NewType("ChunkId", bytes)  # 32 bytes, keyed BLAKE3 of the plaintext
PackId = NewType("PackId", str)  # YYYYMMDDTHHMMSSZ-<16 hex>
RunId = NewType("RunId", str)  # the same form

# What a field may hold. Times, and what only serves to compare, may be any integer that msgpack has.
Natural = Annotated[int, Meta(ge=0)]  # up to 2**64 - 1
Size = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Owner = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Path = Annotated[bytes, Meta(max_length=PATH_BYTES)]
Name = Annotated[str, Meta(max_length=NAME_CHARACTERS)]
ChunkIds = Annotated[bytes, Meta(max_length=ITEM_CHUNKS * CHUNK_ID_BYTES)]
Lengths = Annotated[Sequence[Annotated[int, Meta(ge=1, le=PACK_BYTES)]], Meta(max_length=PACK_CHUNKS)]
PlainLengths = Annotated[Sequence[Annotated[int, Meta(ge=1, le=CHUNK_MAX)]], Meta(max_length=PACK_CHUNKS)]
Names = Annotated[dict[Owner, Name], Meta(max_length=NAMED_OWNERS)]


class Kind(enum.IntEnum):
    """What stands at a path. REMOVED, MORE, KEPT and PATCHED only occur inside file records."""

    REMOVED = 0
    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3
    FIFO = 4
    CHARACTER_DEVICE = 5
    BLOCK_DEVICE = 6
    MORE = 7
    KEPT = 8
    PATCHED = 9


class Entry(msgspec.Struct, array_like=True, gc=False):
    """What the scanner found at one path, and the chunks of its contents.

    `path` is relative to the source, as bytes, '' for the source itself. `mode` holds the permission bits (07777).
    `ctime_ns`, `inode` and `device` only serve to notice changes and hard links; a ctime of 0 matches nothing, so the
    file is read again next time. `chunks` is the concatenation of 32-byte chunk ids.
    """

    path: Path
    kind: Annotated[int, Meta(ge=0, le=9)]
    size: Natural = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    device: int = 0
    links: int = 1
    mode: Annotated[int, Meta(ge=0, le=0o7777)] = 0
    uid: Owner = 0
    gid: Owner = 0
    sparse: bool = False
    chunks: ChunkIds = b""
    target: Path = b""
    rdev: Natural = 0
    xattrs: Annotated[list[tuple[bytes, bytes]], Meta(max_length=XATTRS)] = []

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

    size: Annotated[int, Meta(ge=0, le=PACK_BYTES)]
    md5: Annotated[bytes, Meta(max_length=16)]
    tier: Annotated[str, Meta(max_length=32, pattern=r"\A[a-z0-9-]*\Z")]
    ids: Annotated[bytes, Meta(max_length=PACK_CHUNKS * CHUNK_ID_BYTES)]
    sealed: Lengths
    plain: PlainLengths
    padding: Annotated[int, Meta(ge=0, le=PACK_CHUNKS)] = 0  # the last so many chunks are no file's

    def chunk_ids(self) -> list[ChunkId]:
        """The chunk ids in the order of the pack."""
        return split_ids(self.ids)

    @property
    def content_ids(self) -> bytes:
        """The ids of its chunks but for the padding, one after the other: those that may matter to somebody."""
        return self.ids[: len(self.ids) - self.padding * CHUNK_ID_BYTES]

    @property
    def content_size(self) -> int:
        """Its bytes without the padding: only they can be needed."""
        return self.size - sum(self.sealed[len(self.sealed) - self.padding :])

    @property
    def content_lengths(self) -> Sequence[int]:
        """Their sealed lengths."""
        return self.sealed[: len(self.sealed) - self.padding]


class Layer(msgspec.Struct, array_like=True):
    """The file records of one run: `files-<run>-0001` to `-<records>`, holding `entries` items."""

    run: str
    records: Annotated[int, Meta(ge=1, le=FILE_RECORDS)]
    entries: Size


class Totals(msgspec.Struct, omit_defaults=True):
    """What a run met and moved. Bytes unless said otherwise; counts exclude directories except `directories`.

    `left_out` counts what rules left out, a directory once; `left_out_size` is that of the files among it.
    """

    files: Size = 0
    directories: Size = 0
    size: Size = 0
    new: Size = 0
    changed: Size = 0
    unchanged: Size = 0
    removed: Size = 0
    unreadable: Size = 0
    read: Size = 0
    stored: Size = 0
    packs: Size = 0
    left_out: Size = 0
    left_out_size: Size = 0


class Snapshot(msgspec.Struct, omit_defaults=True):
    """What a source looked like when a backup finished: the commit of a run.

    `layers`: a full one first, then changes in order; merged they are the state. `copies` counts the run's copies of
    its records, so that whoever finishes the commit finds all of them. Times are Unix nanoseconds. `unreadable` names
    up to 1,000 paths; `totals.unreadable` counts them all. `rules` are the options that left something out, one a line.
    `tags` and `note` are whoever made it's own words.
    """

    source: Path
    host: Name
    run: str
    started_ns: int
    finished_ns: int
    layers: Annotated[list[Layer], Meta(min_length=1, max_length=LAYERS)]
    totals: Totals
    parent: Size = 0
    copies: Size = 0
    users: Names = {}
    groups: Names = {}
    unreadable: Annotated[list[Path], Meta(max_length=NAMED_UNREADABLE)] = []
    rules: Annotated[list[Annotated[bytes, Meta(max_length=PATH_BYTES)]], Meta(max_length=RULES)] = []
    tags: Annotated[list[Name], Meta(max_length=TAGS)] = []
    note: Annotated[str, Meta(max_length=NOTE_CHARACTERS)] = ""
    number: int = 0  # from the record's name, not stored: set by the catalog


class SealedRecord(msgspec.Struct, frozen=True):
    """A record as it travels: its name (RowKey) and its sealed bytes, whatever number of properties held them.

    `version` changes whenever the service writes the row, '' where it is not known; rows are equal whatever it is.
    """

    name: str
    sealed: bytes
    version: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SealedRecord) and (self.name, self.sealed) == (other.name, other.sealed)

    def __hash__(self) -> int:
        return hash((self.name, self.sealed))
