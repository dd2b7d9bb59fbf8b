"""From a file's bytes to chunks: the content-defined cut and the keyed chunk id.

Files of up to CHUNK_MIN bytes are one chunk; larger ones are cut by FastCDC (Xia et al., USENIX ATC 2016; library
pyfastcdc) with the partition's secret seed. The cut depends on contents alone: equal contents give equal chunks
whatever the file's name, size hint or reading pattern. Reads as far as it is told and no further: a file may grow
faster than it is read, or have no end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from pyfastcdc import FastCDC

from azbackup.crypto.sealing import Keys, chunk_id
from azbackup.format.labels import CHUNK_MAX, CHUNK_MIN, CHUNK_NORMAL
from azbackup.format.model import ChunkId

_WINDOW = CHUNK_MAX + 2 * CHUNK_NORMAL


class Hasher:
    """Cuts and names chunks for one partition. Not for use by two threads: it has one buffer."""

    def __init__(self, keys: Keys) -> None:
        self._id_key = keys.id_key.reveal()
        self._cutter = FastCDC(CHUNK_NORMAL, min_size=CHUNK_MIN, max_size=CHUNK_MAX, seed=keys.cut_seed)
        self._window = bytearray()

    def name(self, plain: bytes) -> ChunkId:
        """The id of a chunk."""
        return chunk_id(self._id_key, plain)

    def split(
        self, descriptor: int, size_hint: int, limit: int | None = None
    ) -> Iterator[tuple[ChunkId, bytes | memoryview]]:
        """(chunk id, plaintext) of the file from the descriptor's position on; no chunk for an empty file.

        Reads to the end, but no more than `limit` bytes. A memoryview is valid until the next chunk is asked for.
        OSError when reading fails.
        """
        limit = sys.maxsize if limit is None else limit
        head = b""
        if size_hint <= CHUNK_MIN:
            self._window = bytearray()  # kept from one large file to the next, but not beside a tree of small ones
            wanted = min(limit, CHUNK_MIN + 1)
            head = os.read(descriptor, min(size_hint + 1, wanted))
            if len(head) != min(size_hint, wanted):  # it grows or shrinks, or the read was short: on to its end
                while len(head) < wanted and (more := os.read(descriptor, wanted - len(head))):
                    head += more
            if len(head) <= CHUNK_MIN:
                if head:
                    yield chunk_id(self._id_key, head), head
                return
        for piece in self._cut(descriptor, head, limit - len(head)):
            yield chunk_id(self._id_key, piece), piece

    def _cut(self, descriptor: int, head: bytes, limit: int) -> Iterator[memoryview]:
        """The chunks of head || the rest of the file, of which at most `limit` bytes are read.

        A cut depends on the bytes before it alone, so it is final unless it is only where the view ends.
        """
        if not self._window:
            self._window = bytearray(_WINDOW)
        view = memoryview(self._window)
        view[: len(head)] = head
        filled, ended = len(head), False
        while True:
            while not ended and filled < _WINDOW:
                count = os.readv(descriptor, [view[filled : filled + limit]])
                filled, limit, ended = filled + count, limit - count, count == 0
            start = 0
            for chunk in self._cutter.cut_buf(view[:filled]):
                if not ended and chunk.offset + chunk.length == filled:
                    break
                start += chunk.length
                yield chunk.data
            if ended:
                return
            rest = filled - start
            view[:rest] = view[start:filled]
            filled = rest
