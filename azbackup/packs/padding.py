"""What a pack is padded with, and up to which size: sizes of packs are seen by whoever can list the container.

    pack = chunks of files || padding: a sealed chunk that no file has

Padding is a chunk as any other, with an id of its own, so that every reader of format 1 reads past it: 16 random bytes
and zeros, which nobody can tell from contents once they are sealed. Promises that the size of a pack takes one of few
values, so that it never says how long the chunks in it are. Pure, but for the random bytes.
"""

from __future__ import annotations

import os

from azbackup.crypto.sealing import SEAL_BYTES, Keys, chunk_id, seal_chunk
from azbackup.format.compression import plain_body
from azbackup.format.labels import CHUNK_MAX, PACK_BYTES, PACK_MAGIC
from azbackup.format.model import ChunkId

_OWN_BYTES = 16  # random: no two paddings have one id, and none has that of a file's chunk
_OVERHEAD = SEAL_BYTES + 1  # the codec
PADDING_MIN = _OVERHEAD + _OWN_BYTES  # sealed
PADDING_MAX = _OVERHEAD + CHUNK_MAX
STEP_BYTES = 64 * 1024  # the smallest pack, and the least difference between two
_OFTEN = 100  # full packs have this share of padding, or less
_NEARLY = 50  # a pack that has 98 % of what it may have takes all of it


def padded_size(size: int, limit: int) -> int:
    """The size that a pack of `size` bytes is padded to, at least PADDING_MIN more and at most `limit`.

    A pack that is nearly full gets `limit` bytes. Others get a multiple of 64 KiB, and from 4 MiB on of a 32nd to a
    64th of their size: Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
    PURBs", PETS 2019).
    """
    least = size + PADDING_MIN
    if limit - size <= limit // _NEARLY:
        return max(limit, least)
    exponent = least.bit_length() - 1
    step = max(STEP_BYTES, 1 << (exponent - exponent.bit_length()))
    return max(least, min(limit, -(-least // step) * step))


def forecast_size(size: int, chunks: int) -> int:
    """About how many bytes the packs of contents have that do not shrink, with their padding."""
    if not size:
        return 0
    full, rest = divmod(size + chunks * _OVERHEAD, PACK_BYTES - PACK_BYTES // _OFTEN)
    return full * PACK_BYTES + (padded_size(len(PACK_MAGIC) + rest, PACK_BYTES) if rest else 0)


def seal_padding(keys: Keys, room: memoryview) -> tuple[ChunkId, int]:
    """Fills `room`, PADDING_MIN to PADDING_MAX bytes, with a sealed chunk of its own; (its id, its plain length)."""
    plain = os.urandom(_OWN_BYTES) + bytes(len(room) - PADDING_MIN)
    name = chunk_id(keys.id_key.reveal(), plain)
    seal_chunk(keys.chunk_key.reveal(), name, plain_body(plain), room)
    return name, len(plain)
