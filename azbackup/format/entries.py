"""Entries into the payloads of file records, and back. Pure, in path order throughout.

    payload = msgpack array of entries (each an array, fields in the order of model.Entry)

An entry with more than MORE_CHUNKS chunks goes on in items of kind MORE right behind it, in the same or the next
record. A Patch is an entry of kind PATCHED, its runs are items of kind KEPT behind it. A removal is an entry of kind
REMOVED. Promises that every entry that is read is one that a file system could
have: each field was checked, once, here. One that could not be is named and left out, with all that is known of its
path; the others stay. Refuses streams out of order: whoever stored them did not write this.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Iterator

import msgspec

from azbackup.errors import AzbackupError, Damaged
from azbackup.format.decoding import array_length, decoded
from azbackup.format.labels import CHUNK_ID_BYTES, ITEM_CHUNKS, ITEMS, XATTR_BYTES
from azbackup.format.model import Entry, Kind, Path, order
from azbackup.format.patches import LIST_DIGEST_BYTES, MOST_CHUNKS, Patch
from azbackup.format.paths import check_path, sort_keys

MORE_CHUNKS = ITEM_CHUNKS
_AT_ONCE_BYTES = 4 * 1024 * 1024  # a larger payload, which no writer made so far, is decoded one by one: less memory
_REMOVED, MORE, KEPT, PATCHED = int(Kind.REMOVED), int(Kind.MORE), int(Kind.KEPT), int(Kind.PATCHED)
# Kinds that are never stored: of what stands for an item that cannot be used, and for one whose path nobody knows.
LOST, HIDDEN = PATCHED + 1, PATCHED + 2
PARTS = frozenset((MORE, KEPT, LOST, HIDDEN))  # what is no entry by itself
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

    def add(self, entry: Entry | Patch) -> Iterator[bytes]:
        """Takes an entry; gives the payloads that are full. Raises AzbackupError for one that no reader would take."""
        now = order(entry.path)
        if self._last is not None and now <= self._last:
            raise AzbackupError(
                f"{os.fsdecode(entry.path)} came twice, or out of order",
                "no snapshot was made, since nothing could read it; please report this",
            )
        self._last = now
        for item in _pieces(entry) if isinstance(entry, Entry) else _runs(entry):
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


def _runs(patch: Patch) -> Iterator[Entry]:
    """The items of a patch: the number of a run's first chunk is its rdev, how many there are its size."""
    yield from _pieces(msgspec.structs.replace(patch.entry, kind=PATCHED, target=patch.digest))
    for run in patch.runs:
        yield from _pieces(Entry(patch.path, KEPT, size=run.length, chunks=run.more, rdev=run.start))


def _pieces(entry: Entry) -> Iterator[Entry]:
    step = MORE_CHUNKS * CHUNK_ID_BYTES
    if len(entry.chunks) <= step:
        yield entry
        return
    yield msgspec.structs.replace(entry, chunks=entry.chunks[:step])
    for at in range(step, len(entry.chunks), step):
        yield Entry(entry.path, int(Kind.MORE), chunks=entry.chunks[at : at + step])


def read_record(
    payload: bytes, what: str, before: bytes | None, *, full: bool, report: Report | None
) -> tuple[list[Entry], list[bytes]]:
    """The items of a payload, and their places in path order; `before` is the path of the entry before.

    Those of a `full` layer have no removals.

    Raises Damaged if they are out of order, or no items. An item that cannot be used is told to `report`, and one of
    kind LOST stands for it, behind a removal of its path; or one of kind HIDDEN where its path cannot be read, whose
    target says why, and which is told later. Without `report` it is Damaged.
    """
    if array_length(payload) > ITEMS:
        raise Damaged(f"{what} holds more than {ITEMS:,} items")
    if len(payload) <= _AT_ONCE_BYTES:
        try:
            items = decoded(_decoder, payload, what)
            keys = _checked(items, full=full)
        except Damaged:
            if report is None:
                raise
        else:
            if not all(map(operator.lt, keys, keys[1:])):
                _check_order(items, keys, what)
            return items, keys
    pairs = list(_one_by_one(payload, what, before, report, full=full))
    items, keys = [item for item, _ in pairs], [key for _, key in pairs]
    _check_order(items, keys, what)
    return items, keys


def _check_order(items: list[Entry], keys: list[bytes], what: str) -> None:
    """Damaged unless paths rise. Further chunks have the path of their file, which may be in the record before."""
    last: bytes | None = None
    for item, key in zip(items, keys, strict=True):
        if item.kind == HIDDEN:
            continue
        further = item.kind in PARTS
        if further and last not in (None, key):
            raise Damaged(f"{what} holds chunks of no file")
        if not further and last is not None and key <= last:
            raise Damaged(f"the entries of {what} are out of order")
        last = key


def _one_by_one(
    payload: bytes, what: str, before: bytes | None, report: Report | None, *, full: bool
) -> Iterator[tuple[Entry, bytes]]:
    """The same, each item by itself: one that cannot be used is told, and stands there as one of kind LOST."""
    for raw in decoded(_raw_decoder, payload, what):
        try:
            entry = decoded(_entry_decoder, raw, "it")
            (key,) = _checked([entry], full=full)
        except Damaged as error:
            path = _path_of(raw)
            reason = _NUMBERED.sub(_field, error.message.removeprefix("it is malformed: "))
            message = f"the entry of {'some path' if path is None else repr(os.fsdecode(path))} is malformed: {reason}"
            if report is None:
                raise Damaged(message) from None
            if path is None:
                yield Entry(b"", HIDDEN, target=os.fsencode(message)), b""
                continue
            report(message)
            if path != before:  # else it was to be a part of that
                yield Entry(path, _REMOVED), order(path)
            yield Entry(path, LOST), order(path)
            before = path
            continue
        yield entry, key
        before = entry.path


def _field(found: re.Match[str]) -> str:
    """The name of the field that msgspec numbers."""
    return f" as {Entry.__struct_fields__[int(found.group(1))]}"


def first_path(payload: bytes) -> bytes | None:
    """The path of a payload's first item, which alone is looked at. None where there is none to be seen."""
    try:
        at = {0xDC: 3, 0xDD: 5}.get(payload[0], 1)
        at += {0xDC: 3, 0xDD: 5}.get(payload[at], 1)
        size = {0xC4: 1, 0xC5: 2, 0xC6: 4}[payload[at]]
    except (IndexError, KeyError):
        return None
    start = at + 1 + size
    return payload[start : start + int.from_bytes(payload[at + 1 : start], "big")]


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
        if item.target or item.xattrs or item.kind > MORE or len(item.chunks) % CHUNK_ID_BYTES:
            _check_values(item)
    if full:
        kinds = [item.kind for item in items]
        if _REMOVED in kinds:
            raise Damaged("nothing can be removed by the first layer")
        if PATCHED in kinds:
            raise Damaged("nothing can be kept by the first layer")
    return sort_keys([item.path for item in items])


def _check_values(item: Entry) -> None:
    if len(item.chunks) % CHUNK_ID_BYTES:
        raise Damaged("its chunks are no whole ids")
    if item.kind == KEPT and not 0 < item.size <= MOST_CHUNKS - item.rdev:
        raise Damaged("it keeps a run that no list has")
    if item.kind == PATCHED:
        if len(item.target) != LIST_DIGEST_BYTES:
            raise Damaged("the digest of its chunks has another length")
    elif b"\0" in item.target:
        raise Damaged("its target holds a zero byte")
    if any(not name or b"\0" in name for name, _ in item.xattrs):
        raise Damaged("an extended attribute has no name that there can be")
    if sum(len(name) + len(value) for name, value in item.xattrs) > XATTR_BYTES:
        raise Damaged(f"it has more than {XATTR_BYTES:,} bytes of extended attributes")
