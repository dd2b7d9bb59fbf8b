"""Compression, bounded on the way back: chunk bodies and record payloads.

    body = codec(1) || payload      codec 0: as is, 1: one zstd frame (RFC 8878)

Promises that nothing is allocated on the word of stored data: the frame's own size is checked first. A body's codec
byte is under the seal, so an unknown one means a newer version, and is refused as such.
"""

from __future__ import annotations

import threading

import zstandard

from azbackup.errors import AzbackupError, Damaged
from azbackup.formats import CHUNK_MAX, CODEC_PLAIN, CODEC_ZSTD, RECORD_PLAIN_BYTES

_LEVEL = 3
_WORTH = 0.97  # of the plaintext: what saves less is stored as it is
_SAMPLED = 256 * 1024  # chunks from this size on are tried in samples first
_SAMPLE = 8 * 1024
_SAMPLES = 6


class _Mine(threading.local):
    """A thread's own: neither may be used by two at once, and making them anew costs 5 us a chunk."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_mine = _Mine()


def encode_body(plain: bytes | memoryview) -> bytes:
    """The body of a chunk: compressed, unless that saves under 3 %."""
    if len(plain) < _SAMPLED or _shrinks_in_samples(plain):
        packed = _mine.compressor.compress(plain)
        if len(packed) < len(plain) * _WORTH:
            return b"\x01" + packed
    return b"\x00" + plain


def _shrinks_in_samples(plain: bytes | memoryview) -> bool:
    """Whether any of a few samples of a large chunk shrinks: noise and media do not, and need no full attempt."""
    starts = range(0, len(plain) - _SAMPLE, (len(plain) - _SAMPLE) // (_SAMPLES - 1))
    compress = _mine.compressor.compress
    return any(len(compress(plain[at : at + _SAMPLE])) < _SAMPLE * _WORTH for at in starts)


def decode_body(body: bytes) -> bytes:
    """The plaintext of a chunk; at most CHUNK_MAX bytes. Damaged on anything else."""
    codec = body[0] if body else -1
    if codec == CODEC_PLAIN:
        return body[1:]
    if codec == CODEC_ZSTD:
        return _bounded(memoryview(body)[1:], CHUNK_MAX, "a chunk")
    raise AzbackupError(f"a chunk uses codec {codec}, which this version does not know", "use a newer azbackup")


def encode_payload(plain: bytes) -> bytes:
    """A record's payload: one zstd frame."""
    return _mine.compressor.compress(plain)


def decode_payload(payload: bytes) -> bytes:
    """A record's plaintext, at most RECORD_PLAIN_BYTES. Damaged on anything else."""
    return _bounded(payload, RECORD_PLAIN_BYTES, "a record")


def _bounded(frame: bytes | memoryview, limit: int, what: str) -> bytes:
    try:
        size = zstandard.frame_content_size(frame)
        if not 0 <= size <= limit:
            raise Damaged(f"{what} claims {size} bytes, more than the {limit} it may have")
        return _mine.decompressor.decompress(frame, max_output_size=limit)
    except zstandard.ZstdError as error:
        raise Damaged(f"{what} does not decompress: {error}") from None
