"""Streams of entries: into record payloads and back, and merged layer over layer. Pure, in path order throughout.

    payload = msgpack array of entries (each an array, fields in the order of model.Entry)

An entry with more than MORE_CHUNKS chunks goes on in items of kind MORE right behind it, in the same or the next
record. A removal is an entry of kind REMOVED. Promises that every entry that is read is one that a file system could
have: each field was checked, once, here. One that could not be is named and left out, with all that is known of its
path; the others stay. Refuses streams out of order: whoever stored them did not write this.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from azbackup.errors import AzbackupError, Damaged
from azbackup.format.decoding import array_length, decoded
from azbackup.format.labels import CHUNK_ID_BYTES, ITEM_CHUNKS, ITEMS, XATTR_BYTES
from azbackup.format.model import Entry, Kind, Path, order
from azbackup.format.paths import check_path, sort_keys

MORE_CHUNKS = ITEM_CHUNKS
_AT_ONCE_BYTES = 4 * 1024 * 1024  # a larger payload, which no writer made so far, is decoded one by one: less memory
_REMOVED, _MORE = int(Kind.REMOVED), int(Kind.MORE)
_LOST = _MORE + 1  # the kind of what stands for an entry that cannot be used; never stored
_NUMBERED = re.compile(r" - at `\$\[(\d+)\][][.\d]*`")
_PAYLOAD_BYTES = 1024 * 1024  # of msgpack: some 10,000 small files, whose ids do not compress: 350-600 KB sealed


class _Named(msgspec.Struct, array_like=True, gc=False):
    """The first field of an entry."""

    path: Path


Report = Callable[[str], None]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])
_raw_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])
_entry_decoder = msgspec.msgpack.Decoder(Entry)
_path_decoder = msgspec.msgpack.Decoder(_Named)


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
        """Takes an entry; gives the payloads that are full. Raises AzbackupError for one that no reader would take."""
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


def read_entries(payloads: Iterable[bytes], *, full: bool = False, report: Report | None = None) -> Iterator[Entry]:
    """The entries of one run's payloads; those of a `full` layer have no removals.

    Raises Damaged if they are out of order.

    An entry that cannot be used is told to `report`, and its path is one that is removed: what an older layer has
    there is not what was. Without `report` it is Damaged.
    """
    last: Entry | None = None
    last_key = b""
    parts: list[Entry] = []  # what follows the last entry and belongs to it
    for payload in payloads:
        for item, key in _items(payload, last, report, full=full):
            if item.kind >= _MORE:
                if last is None or last.path != item.path:
                    raise Damaged("a file record holds chunks of no file")
                parts.append(item)
                continue
            if last is not None:
                if key <= last_key:
                    raise Damaged("the entries of a file record are out of order")
                if not parts:
                    yield last
                else:
                    yield from _joined(last, parts, full=full)
                    parts = []
            last, last_key = item, key
    if last is not None:
        yield from _joined(last, parts, full=full)


def _joined(entry: Entry, parts: list[Entry], *, full: bool) -> Iterator[Entry]:
    """An entry with the chunks that came after it, put together once: they may be millions. A lost one is removed."""
    if any(part.kind == _LOST for part in parts):
        if not full:
            yield Entry(entry.path, _REMOVED)
        return
    if parts:
        if entry.kind != Kind.FILE:
            raise Damaged("a file record holds chunks of no file")
        entry.chunks = b"".join((entry.chunks, *(part.chunks for part in parts)))
    yield entry


def _items(payload: bytes, last: Entry | None, report: Report | None, *, full: bool) -> Iterable[tuple[Entry, bytes]]:
    """The items of a payload, which comes after the `last` entry; each with its place in path order."""
    if array_length(payload) > ITEMS:
        raise Damaged(f"a file record holds more than {ITEMS:,} items")
    if len(payload) <= _AT_ONCE_BYTES:
        try:
            items = decoded(_decoder, payload, "a file record")
            return zip(items, _checked(items, full=full), strict=True)
        except Damaged:
            if report is None:
                raise
    return _one_by_one(payload, last.path if last is not None else None, report, full=full)


def _one_by_one(
    payload: bytes, before: bytes | None, report: Report | None, *, full: bool
) -> Iterator[tuple[Entry, bytes]]:
    """The same, each item by itself: one that cannot be used is told, and stands there as one of kind _LOST."""
    for raw in decoded(_raw_decoder, payload, "a file record"):
        try:
            entry = decoded(_entry_decoder, raw, "it")
            (key,) = _checked([entry], full=full)
        except Damaged as error:
            path = _path_of(raw)
            reason = _NUMBERED.sub(_field, error.message.removeprefix("it is malformed: "))
            message = f"the entry of {'some path' if path is None else repr(os.fsdecode(path))} is malformed: {reason}"
            if report is None:
                raise Damaged(message) from None
            report(message)
            if path is not None:
                if path != before:  # else it was to be a part of that
                    yield Entry(path, _REMOVED), order(path)
                yield Entry(path, _LOST), order(path)
                before = path
            continue
        yield entry, key
        before = entry.path


def _field(found: re.Match[str]) -> str:
    """The name of the field that msgspec numbers."""
    return f" as {Entry.__struct_fields__[int(found.group(1))]}"


def _path_of(raw: msgspec.Raw) -> bytes | None:
    """The path of an entry that cannot be used, None where not even that can be read."""
    try:
        path = decoded(_path_decoder, raw, "it").path
        check_path(path)
    except Damaged:
        return None
    return path


def _checked(items: list[Entry], *, full: bool) -> list[bytes]:
    """The places of some items in path order.

    Raises Damaged if values do not fit each other, or hold what they cannot.
    """
    for item in items:
        if item.target or item.xattrs or len(item.chunks) % CHUNK_ID_BYTES:
            _check_values(item)
    if full and _REMOVED in [item.kind for item in items]:
        raise Damaged("nothing can be removed by the first layer")
    return sort_keys([item.path for item in items])


def _check_values(item: Entry) -> None:
    if len(item.chunks) % CHUNK_ID_BYTES:
        raise Damaged("its chunks are no whole ids")
    if b"\0" in item.target:
        raise Damaged("its target holds a zero byte")
    if any(not name or b"\0" in name for name, _ in item.xattrs):
        raise Damaged("an extended attribute has no name that there can be")
    if sum(len(name) + len(value) for name, value in item.xattrs) > XATTR_BYTES:
        raise Damaged(f"it has more than {XATTR_BYTES:,} bytes of extended attributes")


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
