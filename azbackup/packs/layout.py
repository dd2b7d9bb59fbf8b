"""A pack from inside: where its sealed chunks lie, and which ranges are read for the chunks that are wanted. Pure.

Promises that every wanted chunk is in exactly one span, whole, and that a span is no longer than its bound.
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import NamedTuple

import msgspec

from azbackup.format.labels import CHUNK_ID_BYTES, PACK_MAGIC
from azbackup.format.model import ChunkId, PackId, PackRecord
from azbackup.storage.protocols import BlobInfo

SPAN_BYTES = 6 * 1024 * 1024  # read at once, at most, unless a single chunk is larger once it is sealed; ...
LARGE_SPAN_BYTES = 24 * 1024 * 1024  # ... and of large chunks: few files, whose list takes little, and many requests
LARGE_CHUNK = 256 * 1024  # sealed, on average
_GAP = 256 * 1024  # reading this much too much costs less than another request
_WHOLE = 0.9  # of a pack wanted: it is read from end to end
_UINT32 = "I"


class Span(NamedTuple):
    """Bytes of a pack that are read in one request, [start, end), and the chunks in them that are wanted."""

    start: int
    end: int
    chunks: list[int]


class PackLayout(msgspec.Struct):
    """A pack, and the byte ranges of its sealed chunks: chunk n is sealed[starts[n] : starts[n] + record.sealed[n]].

    `others`: where else a wanted chunk of it is said to be, for the case that it does not open here.
    The lengths are held as numbers of four bytes, of which there may be millions: lists would take eight times as much.
    """

    pack_id: PackId
    record: PackRecord
    others: dict[int, list[tuple[PackLayout, int]]] = {}
    starts: array[int] = msgspec.field(default_factory=lambda: array(_UINT32))

    def __post_init__(self) -> None:
        record = self.record
        sealed, plain = array(_UINT32, record.sealed), array(_UINT32, record.plain)
        self.record = msgspec.structs.replace(record, sealed=sealed, plain=plain)
        self.starts = array(_UINT32, accumulate(sealed[:-1], initial=len(PACK_MAGIC)) if sealed else ())

    def chunk_id(self, chunk: int) -> ChunkId:
        """The id of chunk number `chunk`."""
        return ChunkId(self.record.ids[chunk * CHUNK_ID_BYTES : (chunk + 1) * CHUNK_ID_BYTES])


def fault_of(info: BlobInfo | None, size: int, md5: bytes) -> str:
    """What is wrong with a pack of this size and MD5 as the container lists it, '' for nothing; None: it is not there.

    Where the service keeps no MD5 of it, the size alone is compared.
    """
    if info is None:
        return "is missing"
    return "" if info.size == size and info.md5 in (b"", md5) else "does not have the size and MD5 of its record"


def spans(pack: PackLayout, chunks: list[int]) -> list[Span]:
    """The spans of a pack that hold some chunks (in ascending order): close ones joined, up to a bound.

    Where nearly all of a pack is wanted, all that lies between the chunks is read too.
    """
    wanted = sum(pack.record.sealed[chunk] for chunk in chunks)
    most = LARGE_SPAN_BYTES if pack.record.size >= LARGE_CHUNK * len(pack.record.sealed) else SPAN_BYTES
    gap = pack.record.size if wanted > _WHOLE * pack.record.size else _GAP
    found: list[Span] = []
    joined: list[int] = []
    start = end = 0
    for chunk in chunks:
        first = pack.starts[chunk]
        last = first + pack.record.sealed[chunk]
        if joined and not (first - end <= gap and last - start <= most):
            found.append(Span(start, end, joined))
            joined = []
        if not joined:
            start = first
        joined.append(chunk)
        end = last
    return [*found, Span(start, end, joined)] if joined else found
