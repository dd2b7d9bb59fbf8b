"""Chunks compressed beside the run's own thread, which reads and hashes the next ones meanwhile.

    chunk -> (does not shrink? its body at once) -> batch of about a MiB -> compressed in one go -> bodies

Promises that every chunk that goes in comes out with its body, a few batches later at the latest, so that memory is
bounded; `finish` gives the rest. Chunks are compressed in batches: for one
small chunk (40 us of work) a thread would wait longer for the GIL than it works.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from azbackup.format import compression
from azbackup.format.model import ChunkId
from azbackup.workers import Workers

_BATCH_BYTES = 1024 * 1024
_BATCH_CHUNKS = 256
_BATCHES = 2  # being compressed, or waiting for it


class Body(NamedTuple):
    """A chunk's body in parts, ready to be sealed before the next chunk is asked for."""

    chunk_id: ChunkId
    plain_size: int
    parts: Sequence[bytes | memoryview]


class Compressor:
    """The chunks of one run on their way. Its methods are called from one thread."""

    def __init__(self) -> None:
        self._worker: Workers[list[bytes]] | None = None  # none for a run that stores nothing
        self._ids: list[ChunkId] = []
        self._plains: list[bytes] = []
        self._size = 0
        self._waiting: deque[tuple[list[ChunkId], list[bytes], Future[list[bytes]]]] = deque()

    def add(self, chunk_id: ChunkId, plain: bytes | memoryview) -> Iterator[Body]:
        """Takes a chunk; gives the bodies that are ready."""
        if not compression.worth_trying(plain):
            yield Body(chunk_id, len(plain), compression.plain_body(plain))
            return
        self._ids.append(chunk_id)
        self._plains.append(bytes(plain))
        self._size += len(plain)
        if self._size >= _BATCH_BYTES or len(self._ids) == _BATCH_CHUNKS:
            self._send()
            while self._waiting and self._waiting[0][2].done():
                yield from self._oldest()

    def finish(self) -> Iterator[Body]:
        """The bodies of all chunks that are still on their way."""
        self._send()
        while self._waiting:
            yield from self._oldest()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _send(self) -> None:
        if not self._ids:
            return
        if self._worker is None:
            self._worker = Workers(1, _BATCHES)
        plains = self._plains
        self._waiting.append((self._ids, plains, self._worker.submit(lambda: compression.encode_bodies(plains))))
        self._ids, self._plains, self._size = [], [], 0

    def _oldest(self) -> Iterator[Body]:
        ids, plains, future = self._waiting.popleft()
        for chunk_id, plain, body in zip(ids, plains, future.result(), strict=True):
            yield Body(chunk_id, len(plain), [body])
