"""Streams of entries: into record payloads and back, and merged layer over layer. Pure, in path order throughout.

    payload = msgpack array of entries (each an array, fields in the order of model.Entry)

An entry with more than MORE_CHUNKS chunks goes on in items of kind MORE right behind it, in the same or the next
record. A removal is an entry of kind REMOVED. Refuses streams out of order: whoever stored them did not write this.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import msgspec

from azbackup.errors import AzbackupError, Damaged
from azbackup.format.labels import CHUNK_ID_BYTES
from azbackup.format.model import Entry, Kind, order

MORE_CHUNKS = 8192
_PAYLOAD_BYTES = 1024 * 1024  # of msgpack: some 10,000 small files, whose ids do not compress: 350-600 KB sealed

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])


class EntryWriter:
    """Collects entries, encoded one by one (a third of the memory), and hands over payloads of them, compressed.

    `compress` gives a payload as it is sealed, or None where a record could not hold it: then it is halved.
    """

    def __init__(self, compress: Callable[[bytes], bytes | None]) -> None:
        self._compress = compress
        self._items: list[bytes] = []
        self._size = 0
        self._last: bytes | None = None
        self.count = 0

    def add(self, entry: Entry) -> Iterator[bytes]:
        """Takes an entry; gives the payloads that are full. AzbackupError for one that no reader would take."""
        now = order(entry.path)
        if self._last is not None and now <= self._last:
            raise AzbackupError(
                f"{os.fsdecode(entry.path)} came twice, or out of order",
                "no snapshot was made, since nothing could read it; please report this",
            )
        self._last = now
        for item in _pieces(entry):
            encoded = _encoder.encode(item)
            self._items.append(encoded)
            self._size += len(encoded)
            self.count += 1
            if self._size >= _PAYLOAD_BYTES:
                yield from self.finish()

    def finish(self) -> Iterator[bytes]:
        """The payloads of what is in hand."""
        items, self._items, self._size = self._items, [], 0
        if items:
            yield from self._split(items)

    def _split(self, items: list[bytes]) -> Iterator[bytes]:
        payload = self._compress(_encoder.encode([msgspec.Raw(item) for item in items]))
        if payload is not None:
            yield payload
        else:
            assert len(items) > 1, "formats bounds what one entry takes"
            middle = len(items) // 2
            yield from self._split(items[:middle])
            yield from self._split(items[middle:])


def _pieces(entry: Entry) -> Iterator[Entry]:
    step = MORE_CHUNKS * CHUNK_ID_BYTES
    if len(entry.chunks) <= step:
        yield entry
        return
    yield msgspec.structs.replace(entry, chunks=entry.chunks[:step])
    for at in range(step, len(entry.chunks), step):
        yield Entry(entry.path, int(Kind.MORE), chunks=entry.chunks[at : at + step])


def read_entries(payloads: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of one run's payloads. Damaged where they are malformed or out of order."""
    last: Entry | None = None
    last_order = b""
    for payload in payloads:
        try:
            items = _decoder.decode(payload)
        except msgspec.DecodeError as error:
            raise Damaged(f"a file record is malformed: {error}") from None
        for item in items:
            if item.kind == Kind.MORE:
                if last is None or last.path != item.path:
                    raise Damaged("a file record holds chunks of no file")
                last.chunks += item.chunks
                continue
            now = order(item.path)
            if last is not None:
                if now <= last_order:
                    raise Damaged("the entries of a file record are out of order")
                yield last
            last, last_order = item, now
    if last is not None:
        yield last


def merge(below: Iterator[Entry], above: Iterator[Entry], *, final: bool) -> Iterator[Entry]:
    """Two layers as one: where both have a path, `above` wins. `final` drops removals: the result is a state."""
    upper = next(above, None)
    for lower in below:
        key = order(lower.path) if upper is not None else b""
        while upper is not None and order(upper.path) < key:
            if not (final and upper.kind == Kind.REMOVED):
                yield upper
            upper = next(above, None)
        if upper is not None and upper.path == lower.path:
            continue
        if not (final and lower.kind == Kind.REMOVED):
            yield lower
    while upper is not None:
        if not (final and upper.kind == Kind.REMOVED):
            yield upper
        upper = next(above, None)
