"""Sealed chunks into packs: what fills up travels, and says what is in it.

    pack = "azbkpak1" || sealed chunk || sealed chunk || ... || padding      at most PACK_BYTES and PACK_CHUNKS

Neither where a pack ends nor its size may say where a file was cut. So the end of one pack and the beginning of the
next are filled together: each chunk goes to one of the two by chance, until the later one has an eighth. And each pack
is padded when it is finished (`padding`). A run's first pack has half the bytes: it is on its way sooner, and a run of
two packs never holds two large ones.

Takes bytes, gives packs; chance and padding are arguments.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable

import msgspec

from azbackup.format.labels import PACK_BYTES, PACK_CHUNKS, PACK_MAGIC
from azbackup.format.model import ChunkId, PackId, PackRecord
from azbackup.packs.padding import PADDING_MIN, padded_size

_GROWTH = 4 * 1024 * 1024  # by which a buffer grows at least
_SHARED = 8  # the last such part of a pack is filled together with the first of the next one
_FULL = 512  # less than such a part of a pack is left: nothing more is tried

Pad = Callable[[memoryview], tuple[ChunkId, int]]


def _by_chance() -> bool:
    """Whether a chunk that fits both packs goes to the older one: three times of four, since that is to be filled."""
    return secrets.randbits(2) > 0


class Pack(msgspec.Struct):
    """A finished pack: its id, its bytes, and the record to be, whose MD5 and tier the upload fills in."""

    pack_id: PackId
    data: bytes
    record: PackRecord
    buffer: io.BytesIO  # what holds `data`: to be recycled once that is no longer needed


class _OpenPack:
    """A pack that is being filled, in a buffer that grows with it."""

    def __init__(self, buffer: io.BytesIO, limit: int) -> None:
        buffer.write(PACK_MAGIC)
        self._data = buffer
        self._capacity = buffer.seek(0, io.SEEK_END)
        self._ids: list[ChunkId] = []
        self._sealed: list[int] = []
        self._plain: list[int] = []
        self.limit = limit
        self.size = len(PACK_MAGIC)

    @property
    def chunks(self) -> int:
        """How many it has."""
        return len(self._ids)

    def fits(self, sealed_size: int) -> bool:
        """Whether it takes a chunk of this size, and its padding: an empty one takes any."""
        return not self._ids or (self.size + sealed_size + PADDING_MIN <= self.limit and self.chunks + 1 < PACK_CHUNKS)

    def has_less_than(self, part: int) -> bool:
        """Whether less than such a part of it is left."""
        return self.limit - self.size < self.limit // part or PACK_CHUNKS - self.chunks <= PACK_CHUNKS // part

    def has(self, part: int, of: _OpenPack) -> bool:
        """Whether it has such a part of what another one may have."""
        return self.size >= of.limit // part or self.chunks >= PACK_CHUNKS // part

    def grows(self, sealed_size: int) -> bool:
        """Whether its buffer has to grow for a chunk of this size."""
        return self.size + sealed_size > self._capacity

    def move(self, buffer: io.BytesIO) -> None:
        """Goes on in another buffer, which is larger."""
        with self._data.getbuffer() as data:
            buffer.write(data[: self.size])
        self._data = buffer
        self._capacity = buffer.seek(0, io.SEEK_END)

    def add(self, chunk_id: ChunkId, sealed_size: int, plain_size: int) -> memoryview:
        """The place of a chunk."""
        self._ids.append(chunk_id)
        self._sealed.append(sealed_size)
        self._plain.append(plain_size)
        return self._more(sealed_size)

    def _more(self, count: int) -> memoryview:
        start, self.size = self.size, self.size + count
        if self.size > self._capacity:
            self._capacity = max(self.size, min(self.size + _GROWTH, PACK_BYTES))
            self._data.seek(self._capacity - 1)
            self._data.write(b"\0")
        return self._data.getbuffer()[start : self.size]

    def take(self, other: _OpenPack) -> None:
        """Takes all chunks of another one: what is sealed does not depend on its place."""
        with self._more(other.size - len(PACK_MAGIC)) as room, other._data.getbuffer() as data:
            room[:] = data[len(PACK_MAGIC) : other.size]
        self._ids += other._ids
        self._sealed += other._sealed
        self._plain += other._plain

    def finish(self, pack_id: PackId, pad: Pad) -> Pack:
        """The pack, padded."""
        count = padded_size(self.size, self.limit) - self.size
        with self._more(count) as room:
            padding, plain_size = pad(room)
        self._data.truncate(self.size)
        data = self._data.getvalue()
        record = PackRecord(
            size=len(data),
            md5=b"",
            tier="",
            ids=b"".join([*self._ids, padding]),
            sealed=[*self._sealed, count],
            plain=[*self._plain, plain_size],
            padding=1,
        )
        return Pack(pack_id, data, record, self._data)


class Packer:
    """Collects sealed chunks; `new_id` names each pack when it is finished."""

    def __init__(self, new_id: Callable[[], PackId], pad: Pad, stays: Callable[[], bool] = _by_chance) -> None:
        """`pad` fills the end of a pack; `stays` says whether a chunk that fits two packs goes to the older one."""
        self._new_id = new_id
        self._pad = pad
        self._stays = stays
        self._spare: list[io.BytesIO] = []
        self._open: list[_OpenPack] = []  # two at most, the older one first
        self._limit = PACK_BYTES // 2

    def add(self, chunk_id: ChunkId, sealed_size: int, plain_size: int) -> memoryview:
        """The place of a sealed chunk: to be filled and released before anything else."""
        pack = self._place(sealed_size)
        if self._spare and pack.grows(sealed_size):  # it was begun before this one was given back
            pack.move(self._spare.pop())
        return pack.add(chunk_id, sealed_size, plain_size)

    def _place(self, sealed_size: int) -> _OpenPack:
        if not self._open:
            self._begin()
        older = self._open[0]
        fits, is_ending = older.fits(sealed_size), older.has_less_than(_SHARED)
        if len(self._open) == 1 and (is_ending or not fits):
            self._begin()
        if fits and (not is_ending or self._stays()):
            return older
        return self._open[-1]

    def _begin(self) -> None:
        """Another pack, in the buffer of one that was uploaded, if there is one."""
        self._open.append(_OpenPack(self._spare.pop() if self._spare else io.BytesIO(), self._limit))
        self._limit = PACK_BYTES

    def full(self) -> Pack | None:
        """The older pack, once it has what it is going to have; to be asked for after each chunk."""
        if len(self._open) == 2:
            older, later = self._open
            if older.has_less_than(_FULL) or later.has(_SHARED, older):
                return self._finish(self._open.pop(0))
        return None

    def finish(self) -> list[Pack]:
        """The packs in hand, none when there was no chunk; the next chunk starts a new one."""
        if len(self._open) == 2:
            older, later = self._open
            if older.fits(later.size - len(PACK_MAGIC)) and older.chunks + later.chunks < PACK_CHUNKS:
                older.take(later)
                self._open.pop()
        packs = [self._finish(each) for each in self._open]
        self._open = []
        return packs

    def _finish(self, pack: _OpenPack) -> Pack:
        return pack.finish(self._new_id(), self._pad)

    def recycle(self, buffer: io.BytesIO) -> None:
        """Takes back the buffer of a pack that has been uploaded; may be called from another thread.

        The pages of 64 fresh MiB cost as much as sealing what goes into them. Safe whatever the caller still holds:
        BytesIO writes in place only when nobody else has its bytes, and copies otherwise.
        """
        buffer.seek(0)
        self._spare.append(buffer)
