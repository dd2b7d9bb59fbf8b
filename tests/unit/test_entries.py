"""Streams of entries: what goes in comes out, out of order is refused, layers merge as dictionaries would."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.crypto.sealing import SEAL_BYTES
from azbackup.errors import AzbackupError, Damaged
from azbackup.format import entries
from azbackup.format.compression import decode_payload
from azbackup.format.entries import MORE_CHUNKS, EntryWriter
from azbackup.format.labels import RECORD_BYTES
from azbackup.format.layers import Item, merge, read_entries
from azbackup.format.model import Entry, Kind, order
from azbackup.records.record_store import compressed

NAMES = st.sampled_from([b"a", b"a.txt", b"a b", b"b", b"\x01", b"\xff", b"c", "ä".encode()])
PATHS = st.lists(NAMES, max_size=3).map(b"/".join)
KINDS = st.sampled_from([Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, Kind.FIFO])
TIMES = st.integers(-(2**62), 2**62)
TEXTS = st.binary(max_size=20).filter(lambda text: b"\0" not in text)  # what the kernel gives: C strings
ENTRIES = st.builds(
    Entry,
    path=PATHS,
    kind=KINDS.map(int),
    size=st.integers(0, 2**63),
    mtime_ns=TIMES,
    ctime_ns=TIMES,
    inode=st.integers(0, 2**64 - 1),
    mode=st.integers(0, 0o7777),
    sparse=st.booleans(),
    chunks=st.integers(0, 3).map(lambda count: b"\x05" * 32 * count),
    target=TEXTS,
    xattrs=st.lists(st.tuples(TEXTS.filter(bool), st.binary(max_size=9)), max_size=2),
)
LAYERS = st.lists(ENTRIES, max_size=12)
CHANGES = st.lists(st.one_of(ENTRIES, PATHS.map(lambda path: Entry(path, int(Kind.REMOVED)))), max_size=12)


def in_order(found: list[Entry]) -> list[Entry]:
    """Return the entries in path order, the last one of each path."""
    return sorted({entry.path: entry for entry in found}.values(), key=lambda entry: order(entry.path))


def write(found: list[Entry], compress: Callable[[bytes], bytes | None] = compressed) -> list[bytes]:
    """Return what a writer makes of some entries: payloads, compressed."""
    writer = EntryWriter(compress)
    payloads = [payload for entry in found for payload in writer.add(entry)]
    return [*payloads, *writer.finish()]


def opened(frames: list[bytes]) -> list[bytes]:
    """Return the payloads of what a writer made; each of them fits a record."""
    assert all(len(frame) + SEAL_BYTES <= RECORD_BYTES for frame in frames)
    return [decode_payload(frame) for frame in frames]


def raw(*items: Entry) -> bytes:
    """Return a payload as msgpack, whatever is in it."""
    return msgspec.msgpack.encode(list(items))


# --- round trip


@given(LAYERS, st.integers(100, 500))
def test_entries_come_back(found: list[Entry], limit: int) -> None:
    """What was written is read, in order, however small the records are."""
    expected = in_order(found)

    def compress(payload: bytes) -> bytes | None:
        return payload if len(payload) < limit or msgspec.msgpack.decode(payload)[1:] == [] else None

    assert list(read_entries(write(expected, compress))) == expected


def test_many_entries_make_several_records() -> None:
    """Each payload fits a record, and together they are everything."""
    found = [Entry(b"%08d" % number, int(Kind.FILE), chunks=bytes(range(32)) * 5) for number in range(30_000)]
    payloads = opened(write(found))
    assert len(payloads) > 1
    assert list(read_entries(payloads)) == found


@pytest.mark.parametrize("name", [b"%d", b"folder %d/a file.txt", b"a/rather/long/way/down/to/one/more/folder/%d.py"])
def test_records_of_small_files_are_compressed_once(name: bytes) -> None:
    """Ids that do not compress, times that differ: a payload fits as it is, and is not done again in halves."""
    payloads = []

    def compress(payload: bytes) -> bytes | None:
        payloads.append(payload)
        return compressed(payload)

    now = 1_795_000_000_000_000_000
    found = [
        Entry(name % at, int(Kind.FILE), at * 7 % 20_000, now + at**2, now + at**3, 10**6 + at, chunks=os.urandom(32))
        for at in sorted(range(40_000), key=str)
    ]
    assert len(write(found, compress)) == len(payloads) > 2


@pytest.mark.parametrize("count", [MORE_CHUNKS - 1, MORE_CHUNKS, MORE_CHUNKS + 1, 2 * MORE_CHUNKS, 30_000])
def test_huge_files_go_on_in_further_items(count: int) -> None:
    """No item holds more than MORE_CHUNKS chunks, each record fits, and the reader puts them together."""
    chunks = b"".join(number.to_bytes(4, "big") * 8 for number in range(count))
    found = [Entry(b"a", int(Kind.FILE)), Entry(b"b", int(Kind.FILE), chunks=chunks), Entry(b"c", int(Kind.FILE))]
    payloads = opened(write(found))
    items = [item for payload in payloads for item in msgspec.msgpack.decode(payload, type=list[Entry])]
    assert max(len(item.chunks) for item in items) <= MORE_CHUNKS * 32
    assert len(items) == 2 + -(-count // MORE_CHUNKS)
    assert list(read_entries(payloads)) == found


def test_the_count_is_that_of_the_items() -> None:
    """A layer's `entries` counts items, continuations included."""
    writer = EntryWriter(compressed)
    list(writer.add(Entry(b"a", int(Kind.FILE), chunks=bytes(32 * (MORE_CHUNKS + 1)))))
    assert writer.count == 2


def test_the_largest_entry_fits_a_record() -> None:
    """A path, attributes and chunks at their limits, all incompressible, still fit."""
    noise = os.urandom
    entry = Entry(
        noise(128 * 1024),
        int(Kind.FILE),
        chunks=noise(32 * MORE_CHUNKS),
        xattrs=[(noise(255), noise(256 * 1024 - 255))],
    )
    assert compressed(entries._encoder.encode([entry])) is not None


def test_nothing_is_nothing() -> None:
    """No entries make no payload, and none come of none."""
    assert write([]) == []
    assert list(read_entries([])) == []
    assert list(read_entries([raw()])) == []


# --- malformed


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"garbage",
        msgspec.msgpack.encode({"path": b"a"}),
        msgspec.msgpack.encode([["text", 1]]),
        msgspec.msgpack.encode([[b"a", "1"]]),
        msgspec.msgpack.encode([[b"a"]]),
        msgspec.msgpack.encode([[b"a", 1, -1.5]]),
        msgspec.msgpack.encode([[b"a", 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, False, b"", b"", 0, [[b"x"]]]]),
        raw(Entry(b"a", 1))[:-1],
        raw(Entry(b"a", 1)) + b"\0",
    ],
)
def test_malformed_payloads_are_damaged(payload: bytes) -> None:
    """Whatever msgpack or types are wrong."""
    with pytest.raises(Damaged):
        list(read_entries([payload]))


@given(st.binary(max_size=60))
def test_garbage_is_damaged(payload: bytes) -> None:
    """Bytes that nobody wrote give entries or Damaged, nothing else."""
    try:
        assert all(isinstance(entry, Entry) for entry in read_entries([payload]))
    except Damaged:
        pass


@pytest.mark.parametrize(
    "payloads",
    [
        [raw(Entry(b"b", 1), Entry(b"a", 1))],
        [raw(Entry(b"a", 1), Entry(b"a", 1))],
        [raw(Entry(b"a.txt", 1), Entry(b"a/b", 1))],
        [raw(Entry(b"b", 1)), raw(Entry(b"a", 1))],
    ],
)
def test_entries_out_of_order_are_damaged(payloads: list[bytes]) -> None:
    """Twice the same path, or a path before an earlier one, within a record or across two."""
    with pytest.raises(Damaged, match="order"):
        list(read_entries(payloads))


@pytest.mark.parametrize(
    "items", [[Entry(b"a", 7, chunks=bytes(32))], [Entry(b"a", 1), Entry(b"b", 7, chunks=bytes(32))]]
)
def test_chunks_of_no_file_are_damaged(items: list[Entry]) -> None:
    """A continuation must follow the entry that it continues."""
    with pytest.raises(Damaged):
        list(read_entries([raw(*items)]))


# --- order and merge


@given(st.lists(PATHS, max_size=10))
def test_path_order_is_by_components(paths: list[bytes]) -> None:
    """Sorting by `order` is sorting by the lists of components."""
    assert sorted(paths, key=order) == sorted(paths, key=lambda path: path.split(b"/") if path else [])


def test_a_directory_is_followed_by_its_contents() -> None:
    """`a/b` comes before `a.txt`."""
    assert sorted([b"a.txt", b"a/b", b"a", b"a b"], key=order) == [b"a", b"a/b", b"a b", b"a.txt"]


@given(LAYERS, st.lists(CHANGES, max_size=4))
def test_layers_merge_as_dictionaries_would(full: list[Entry], changes: list[list[Entry]]) -> None:
    """A full layer under any number of changes, merged as the catalog does, is what a dictionary makes of them."""
    model = {entry.path: entry for entry in full}
    for layer in changes:
        for entry in layer:
            if entry.kind == Kind.REMOVED:
                model.pop(entry.path, None)
            else:
                model[entry.path] = entry
    # Of one path a layer holds the last word only.
    above: Iterator[Item] = iter(in_order(changes[0])) if changes else iter(())
    for layer in changes[1:]:
        above = merge(above, iter(in_order(layer)), None, final=False)
    assert list(merge(iter(in_order(full)), above, None, final=True)) == in_order(list(model.values()))


@given(LAYERS, CHANGES)
def test_a_merge_that_is_not_final_keeps_removals(below: list[Entry], above: list[Entry]) -> None:
    """Changes over changes: every path once, the upper one's where both have it, removals included."""
    model = {entry.path: entry for entry in [*below, *above]}
    merged = list(merge(iter(in_order(below)), iter(in_order(above)), None, final=False))
    assert merged == in_order(list(model.values()))


@pytest.mark.parametrize("second", [b"a", b"a.txt", b"a/b", b""])
def test_a_writer_refuses_what_no_reader_takes(second: bytes) -> None:
    """A path that comes twice or out of order ends the run: a snapshot that cannot be read must not be made."""
    writer = EntryWriter(compressed)
    list(writer.add(Entry(b"a/b" if second != b"a.txt" else b"b", int(Kind.FILE))))
    with pytest.raises(AzbackupError, match="came twice, or out of order"):
        list(writer.add(Entry(second, int(Kind.FILE))))
