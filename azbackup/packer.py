"""Sealed chunks into packs: what fills up travels, and says what is in it.

    pack = "azbkpak1" || sealed chunk || sealed chunk || ...      at most PACK_BYTES and PACK_CHUNKS

Pure: takes bytes, gives packs. A chunk that would pass either limit starts the next pack.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

from azbackup.formats import PACK_BYTES, PACK_CHUNKS, PACK_MAGIC
from azbackup.model import ChunkId, PackId, PackRecord


@dataclass(slots=True)
class Pack:
    """A finished pack: its id, its bytes, and the record to be (whose tier the caller fills in)."""

    pack_id: PackId
    data: bytes
    record: PackRecord


class Packer:
    """Collects sealed chunks; `new_id` names each pack when it is finished."""

    def __init__(self, new_id: Callable[[], PackId]) -> None:
        self._new_id = new_id
        self._begin()

    def _begin(self) -> None:
        self._data = io.BytesIO()
        self._data.write(PACK_MAGIC)
        self._size = len(PACK_MAGIC)
        self._ids: list[ChunkId] = []
        self._sealed: list[int] = []
        self._plain: list[int] = []

    def add(self, chunk_id: ChunkId, sealed: bytes, plain_size: int) -> Pack | None:
        """Takes a sealed chunk; gives the pack that had no room for it, if any."""
        full = self._size + len(sealed) > PACK_BYTES or len(self._ids) >= PACK_CHUNKS
        done = self.finish() if full else None
        self._data.write(sealed)
        self._size += len(sealed)
        self._ids.append(chunk_id)
        self._sealed.append(len(sealed))
        self._plain.append(plain_size)
        return done

    def finish(self) -> Pack | None:
        """The pack in hand, None when it has no chunk; the next chunk starts a new one."""
        if not self._ids:
            return None
        data = self._data.getvalue()
        record = PackRecord(
            size=len(data),
            md5=hashlib.md5(data, usedforsecurity=False).digest(),  # what Azure lists; not a protection, the tags are
            tier="",
            ids=b"".join(self._ids),
            sealed=self._sealed,
            plain=self._plain,
        )
        pack = Pack(self._new_id(), data, record)
        self._begin()
        return pack
