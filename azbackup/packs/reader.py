"""The way back from a pack's bytes to chunks: opened, decompressed, and checked against their ids.

Promises that a plaintext which is given back is the one that was stored under its chunk id; whatever does not open,
does not decompress within its recorded length or has another id is given back as an error, and the others still come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from azbackup.crypto.sealing import Keys, chunk_id, open_chunk
from azbackup.errors import AzbackupError, Damaged
from azbackup.format import compression
from azbackup.format.batches import batches
from azbackup.packs.layout import PackLayout, Span
from azbackup.workers import ahead

_GROUP_BYTES = 1024 * 1024  # of plaintext that is opened at once, ...
_CHUNK_COST = 4 * 1024  # ... a small chunk counting as more than it holds
_GROUPS_AHEAD = 1
_SMALL_CHUNK = 256 * 1024  # larger ones, on average, are opened where they are written: that is where they are cached

Plain = bytes | memoryview


class PackReader:
    """Opens the chunks of one partition's packs. Not for use by two threads; decompresses in one of its own."""

    def __init__(self, keys: Keys) -> None:
        self._chunk_key = keys.chunk_key.reveal()
        self._id_key = keys.id_key.reveal()

    def chunks(self, pack: PackLayout, span: Span, data: bytes) -> Iterator[tuple[int, Plain | AzbackupError]]:
        """Each chunk of a span, in order, with its plaintext or with what is wrong with it.

        Small ones are decompressed while others are written, and nothing else is done beside: a thread that comes back
        for every small chunk would wait longer for the interpreter than it works, and so would the one that writes.
        """
        sealed = memoryview(data)
        large = sum(pack.record.plain[chunk] for chunk in span.chunks) >= len(span.chunks) * _SMALL_CHUNK
        groups = [[chunk] for chunk in span.chunks] if large else _groups(pack, span)
        calls = (self._decoding(pack, group, span, sealed) for group in groups)
        decoded = (call() for call in calls) if large else ahead(calls, _GROUPS_AHEAD)
        for group, plains in zip(groups, decoded, strict=True):
            for chunk, plain in zip(group, plains, strict=True):
                yield chunk, self._checked(pack, chunk, plain)

    def _decoding(
        self, pack: PackLayout, group: list[int], span: Span, sealed: memoryview
    ) -> Callable[[], list[Plain | AzbackupError]]:
        bodies = [self._body(pack, chunk, span, sealed) for chunk in group]
        return partial(compression.decode_bodies, bodies, [pack.record.plain[chunk] for chunk in group])

    def _body(self, pack: PackLayout, chunk: int, span: Span, sealed: memoryview) -> bytes | Damaged:
        start = pack.starts[chunk] - span.start
        try:
            return open_chunk(self._chunk_key, pack.chunk_id(chunk), sealed[start : start + pack.record.sealed[chunk]])
        except Damaged as error:
            return error

    def _checked(self, pack: PackLayout, chunk: int, plain: Plain | AzbackupError) -> Plain | AzbackupError:
        """The plaintext of a chunk, if it has the chunk's id."""
        if isinstance(plain, AzbackupError) or chunk_id(self._id_key, plain) == pack.chunk_id(chunk):
            return plain
        return Damaged("a chunk opens but is not what its id says")


def _groups(pack: PackLayout, span: Span) -> list[list[int]]:
    """The chunks of a span, as many at a time as are decompressed at once."""
    return list(batches(span.chunks, lambda chunk: pack.record.plain[chunk] + _CHUNK_COST, _GROUP_BYTES))
