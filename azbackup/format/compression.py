"""Compression, bounded on the way back: chunk bodies and record payloads.

    body = codec(1) || payload      codec 0: as is, 1: one zstd frame (RFC 8878)

Promises that nothing is allocated on the word of stored data: the frame's own size is checked first. A body's codec
byte is under the seal, so an unknown one means a newer version, and is refused as such.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence

import zstandard

from azbackup.errors import AzbackupError, Damaged
from azbackup.format.labels import CHUNK_MAX, CODEC_PLAIN, CODEC_ZSTD, RECORD_PLAIN_BYTES

_LEVEL = 3
_SMALL_BYTES = 16 * 1024
# Between levels 4 and 6, on matches of 5 bytes from on: text of up to 16 KiB is 1-3 % smaller than at level 3.
_SMALL = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_GREEDY,
    window_log=14,
    hash_log=15,
    chain_log=15,
    search_log=3,
    min_match=5,
    write_content_size=True,
)
# As small as at level 9, in half of its time and a quarter of its memory: ids do not compress, the rest repeats.
_RECORD = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_LAZY2,
    window_log=20,
    hash_log=18,
    chain_log=18,
    search_log=2,
    min_match=4,
    write_content_size=True,
)
_WORTH = 0.97  # of the plaintext: what saves less is stored as it is
_NEWER = "this version does not know: use a newer azbackup"
_SAMPLED = 256 * 1024  # chunks from this size on are tried in samples first
_SAMPLE = 8 * 1024
_SAMPLES = 6


class _Mine(threading.local):
    """A thread's own: neither may be used by two at once, and making them anew costs 5 us a chunk."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.small = zstandard.ZstdCompressor(compression_params=_SMALL)
        self.decompressor = zstandard.ZstdDecompressor()


_mine = _Mine()


def shrunk(data: bytes) -> bytes:
    """What is held in memory for a while, smaller; in a block of its size, not at the start of a larger one."""
    return bytes(memoryview(_mine.compressor.compress(data)))


def expanded(data: bytes) -> bytes:
    """The same again. Nothing that was stored: its size is believed."""
    return _mine.decompressor.decompress(data)


def encode_bodies(plains: Sequence[bytes]) -> list[bytes]:
    """The bodies of some chunks, none of them empty. The GIL is let go once for all of a size, not for each."""
    bodies = [b""] * len(plains)
    for compressor, small in ((_mine.small, True), (_mine.compressor, False)):
        numbers = [number for number, plain in enumerate(plains) if (len(plain) <= _SMALL_BYTES) is small]
        if numbers:
            packed = compressor.multi_compress_to_buffer([plains[number] for number in numbers], threads=1)
            for at, number in enumerate(numbers):
                frame = packed[at]
                shorter = len(frame) < len(plains[number]) * _WORTH
                bodies[number] = b"\x01" + frame.tobytes() if shorter else b"".join(plain_body(plains[number]))
    return bodies


def plain_body(plain: bytes | memoryview) -> tuple[bytes, bytes | memoryview]:
    """The body of a chunk that is stored as it is, in its two parts."""
    return b"\x00", plain


def worth_trying(plain: bytes | memoryview) -> bool:
    """Whether a chunk may shrink. Large ones are tried in a few samples: noise and media need no full attempt."""
    if len(plain) < _SAMPLED:
        return True
    starts = range(0, len(plain) - _SAMPLE, (len(plain) - _SAMPLE) // (_SAMPLES - 1))
    compress = _mine.compressor.compress
    return any(len(compress(plain[at : at + _SAMPLE])) < _SAMPLE * _WORTH for at in starts)


def decode_bodies(bodies: Sequence[bytes | Damaged], sizes: Sequence[int]) -> list[bytes | memoryview | AzbackupError]:
    """The plaintexts of chunks that have these sizes, at most CHUNK_MAX bytes each; an error in place of any other.

    The error is Damaged, but for a codec of a later version. A body that is Damaged already stays that. The GIL is let
    go once for all of them.
    """
    found: list[bytes | memoryview | AzbackupError] = []
    places: list[int] = []
    frames: list[bytes | bytearray | memoryview] = []
    for number, (body, size) in enumerate(zip(bodies, sizes, strict=True)):
        if isinstance(body, Damaged):
            found.append(body)
            continue
        codec = body[0] if body else -1
        if codec not in (CODEC_PLAIN, CODEC_ZSTD):
            found.append(AzbackupError(f"a chunk uses codec {codec}, which {_NEWER}", "use a newer azbackup"))
            continue
        payload = memoryview(body)[1:]
        try:
            claimed = len(payload) if codec == CODEC_PLAIN else _claimed(payload, CHUNK_MAX, "a chunk")
            if claimed != size or size > CHUNK_MAX:
                raise Damaged(f"a chunk claims {claimed} bytes, its record {size}")
        except Damaged as error:
            found.append(error)
            continue
        found.append(payload)
        if codec == CODEC_ZSTD:
            places.append(number)
            frames.append(payload)
    plains = _decompressed(frames, [sizes[number] for number in places])
    for number, plain in zip(places, plains, strict=True):
        found[number] = plain
    return found


def _decompressed(
    frames: list[bytes | bytearray | memoryview], sizes: list[int]
) -> Sequence[bytes | memoryview | Damaged]:
    """The contents of frames that claim these sizes; Damaged in place of what is none."""
    if not frames:
        return []
    lengths = struct.pack(f"={len(sizes)}Q", *sizes)
    try:
        packed = _mine.decompressor.multi_decompress_to_buffer(frames, decompressed_sizes=lengths, threads=1)
    except zstandard.ZstdError:  # which of them?
        return [_alone(frame) for frame in frames]
    # A segment is a buffer; only its stub does not say so.
    return [memoryview(packed[number]) for number in range(len(frames))]  # type: ignore[arg-type]


def _alone(frame: bytes | bytearray | memoryview) -> bytes | Damaged:
    try:
        return _bounded(frame, CHUNK_MAX, "a chunk")
    except Damaged as error:
        return error


def encode_payload(plain: bytes) -> bytes:
    """A record's payload: one zstd frame. Its 3 MiB of working memory are let go: a run has few records."""
    return zstandard.ZstdCompressor(compression_params=_RECORD).compress(plain)


def decode_payload(payload: bytes) -> bytes:
    """A record's plaintext, at most RECORD_PLAIN_BYTES. Raises Damaged for anything else."""
    return _bounded(payload, RECORD_PLAIN_BYTES, "a record")


def _bounded(frame: bytes | bytearray | memoryview, limit: int, what: str) -> bytes:
    _claimed(frame, limit, what)
    try:
        return _mine.decompressor.decompress(frame, max_output_size=limit)
    except zstandard.ZstdError as error:
        raise Damaged(f"{what} does not decompress: {error}") from None


def _claimed(frame: bytes | bytearray | memoryview, limit: int, what: str) -> int:
    """How many bytes a frame says it holds. Raises Damaged if it says nothing, more than the limit, or is no frame."""
    try:
        size = zstandard.frame_content_size(frame)
    except zstandard.ZstdError as error:
        raise Damaged(f"{what} does not decompress: {error}") from None
    if not 0 <= size <= limit:
        raise Damaged(f"{what} claims {size} bytes, more than the {limit} it may have")
    return size
