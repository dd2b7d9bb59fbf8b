"""Sealed chunks into packs: what fills up travels, and says what is in it.

    pack = "azbkpak1" || sealed chunk || sealed chunk || ...      at most PACK_BYTES and PACK_CHUNKS

Pure: takes bytes, gives packs. A chunk that would pass either limit starts the next pack. A run's first pack has half
the bytes: it is on its way sooner, and a run of two packs never holds two large ones.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from azbackup.format.labels import PACK_BYTES, PACK_CHUNKS, PACK_MAGIC
from azbackup.format.model import ChunkId, PackId, PackRecord

_GROWTH = 4 * 1024 * 1024  # by which a buffer grows at least


@dataclass(slots=True)
class Pack:
    """A finished pack: its id, its bytes, and the record to be, whose MD5 and tier the upload fills in."""

    pack_id: PackId
    data: bytes
    record: PackRecord
    buffer: io.BytesIO  # what holds `data`: to be recycled once that is no longer needed


class Packer:
    """Collects sealed chunks; `new_id` names each pack when it is finished."""

    def __init__(self, new_id: Callable[[], PackId]) -> None:
        self._new_id = new_id
        self._spare: list[io.BytesIO] = []
        self._data: io.BytesIO | None = None
        self._capacity = 0
        self._limit = PACK_BYTES // 2
        self._begin()

    def _begin(self) -> None:
        self._size = len(PACK_MAGIC)
        self._ids: list[ChunkId] = []
        self._sealed: list[int] = []
        self._plain: list[int] = []

    def has_room(self, sealed_size: int) -> bool:
        """Whether the pack in hand takes another sealed chunk of this size; if not, it is to be finished first."""
        return not self._ids or (self._size + sealed_size <= self._limit and len(self._ids) < PACK_CHUNKS)

    def add(self, chunk_id: ChunkId, sealed_size: int, plain_size: int) -> memoryview:
        """The place of a sealed chunk, for which there is room: to be filled and released before anything else."""
        if self._data is None:  # only now: the buffer of a pack that was uploaded meanwhile may be back
            self._data = self._spare.pop() if self._spare else io.BytesIO()
            self._data.write(PACK_MAGIC)
            self._capacity = self._data.seek(0, io.SEEK_END)
        start, self._size = self._size, self._size + sealed_size
        if self._size > self._capacity:
            self._capacity = max(self._size, min(self._size + _GROWTH, PACK_BYTES))
            self._data.seek(self._capacity - 1)
            self._data.write(b"\0")
        self._ids.append(chunk_id)
        self._sealed.append(sealed_size)
        self._plain.append(plain_size)
        return self._data.getbuffer()[start : self._size]

    def finish(self) -> Pack | None:
        """The pack in hand, None when it has no chunk; the next chunk starts a new one."""
        if self._data is None:
            return None
        self._data.truncate(self._size)
        data = self._data.getvalue()
        record = PackRecord(
            size=len(data), md5=b"", tier="", ids=b"".join(self._ids), sealed=self._sealed, plain=self._plain
        )
        pack = Pack(self._new_id(), data, record, self._data)
        self._data = None
        self._limit = PACK_BYTES
        self._begin()
        return pack

    def recycle(self, buffer: io.BytesIO) -> None:
        """Takes back the buffer of a pack that has been uploaded; may be called from another thread.

        The pages of 64 fresh MiB cost as much as sealing what goes into them. Safe whatever the caller still holds:
        BytesIO writes in place only when nobody else has its bytes, and copies otherwise.
        """
        buffer.seek(0)
        self._spare.append(buffer)
