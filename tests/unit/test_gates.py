"""Where stored bytes enter: every decoder gives a value within its bounds or Damaged, nothing else, and soon.

The class: a value that no honest writer could have stored, found where it was used and not where it entered. Whoever
knows the password, or had a bug, can seal anything; what was sealed is believed about its origin, not about its form.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from azbackup.errors import Damaged
from azbackup.format import labels
from azbackup.format.labels import CHUNK_ID_BYTES, check_stamp, is_snapshot, number_of
from azbackup.format.layers import Item, read_entries
from azbackup.format.model import Entry, Kind, Layer, PackRecord, Snapshot, Totals
from azbackup.format.paths import check_path, check_source, sort_keys
from azbackup.format.payloads import decode_pack, decode_snapshot, encode_pack, encode_snapshot

RUN = "20261122T210800Z-0123456789abcdef"
PACK = "pack-" + RUN
SNAPSHOT = Snapshot(b"/home", "host", RUN, 1, 2, [Layer(RUN, 1, 1)], Totals(), number=1)
LEVELS = 100_000
SECONDS = 5  # for what takes milliseconds: it tells quadratic work and a bomb from a busy machine


def packed(value: Any) -> bytes:
    """Return any value as msgpack."""
    return msgspec.msgpack.encode(value)


def snapshot_of(**fields: Any) -> bytes:
    """Return the payload of a snapshot with other values in some fields."""
    return packed({**msgspec.msgpack.decode(encode_snapshot(SNAPSHOT), strict=False), **fields})


def pack_of(**fields: Any) -> bytes:
    """Return the payload of an empty pack with other values in some fields."""
    return packed({"size": 8, "md5": bytes(16), "tier": "hot", "ids": b"", "sealed": [], "plain": [], **fields})


def item(*more: Any, path: bytes = b"a", kind: int = 1, **fields: Any) -> list[Any]:
    """Return an entry as it is stored, with these values whatever they are."""
    values = [getattr(Entry(path, kind), name) for name in Entry.__struct_fields__]
    for name, value in fields.items():
        values[Entry.__struct_fields__.index(name)] = value
    return [*values, *more]


@contextmanager
def soon() -> Iterator[None]:
    """Expect what is done within to take little of the processor's time, whatever else runs on the machine."""
    started = time.process_time()
    yield
    assert time.process_time() - started < SECONDS


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=40)
    | st.sampled_from([b"/../x", b"..", b"a\0", RUN, -1, 2**32, 2**40, 10**18])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=17) | st.dictionaries(st.text(max_size=8) | st.integers(0, 9), inner),
    max_leaves=40,
)
FIELDS = st.sampled_from(Entry.__struct_fields__)
# An honest entry with one or two fields that may hold anything: random bytes seldom get past the first field.
ITEMS = st.dictionaries(FIELDS, VALUES, max_size=2).map(
    lambda fields: [fields.get(name, value) for name, value in zip(Entry.__struct_fields__, item(), strict=True)]
)
SNAPSHOTS = st.dictionaries(st.sampled_from(Snapshot.__struct_fields__), VALUES, max_size=2).map(
    lambda fields: snapshot_of(**fields)
)
PACKS = st.dictionaries(st.sampled_from(PackRecord.__struct_fields__), VALUES, max_size=2).map(
    lambda fields: pack_of(**fields)
)


# --- anything at all


def known(items: Iterable[Item]) -> list[Entry]:
    """Return the entries without the holes."""
    return [item for item in items if isinstance(item, Entry)]


def in_bounds(entry: Entry) -> bool:
    """Whether an entry is one that a file system could have."""
    check_path(entry.path)
    owners = 0 <= entry.uid < 2**32 and 0 <= entry.gid < 2**32
    names = all(name and b"\0" not in name for name, _ in entry.xattrs) and b"\0" not in entry.target
    numbers = 0 <= entry.mode <= 0o7777 and entry.size >= 0 and entry.rdev >= 0
    return owners and names and numbers and entry.kind in set(Kind) and len(entry.chunks) % CHUNK_ID_BYTES == 0


@given(st.lists(ITEMS, max_size=3).map(packed) | VALUES.map(packed) | st.binary(max_size=80), st.booleans())
def test_any_file_record_gives_entries_or_damage(payload: bytes, full: bool) -> None:
    """Arbitrary bytes, arbitrary msgpack, and honest entries with odd fields: in bounds, told, or Damaged."""
    told: list[str] = []
    with soon():
        try:
            items = list(read_entries([payload], full=full, report=told.append))
        except Damaged:
            return
    found = known(items)
    assert bool(told) or found == items
    assert all(in_bounds(entry) for entry in found)
    again = packed(found)
    assert packed(list(read_entries([again], full=full))) == again


@given(SNAPSHOTS | VALUES.map(packed) | st.binary(max_size=80))
@example(snapshot_of(host="x"))
def test_any_snapshot_record_gives_a_snapshot_or_damage(payload: bytes) -> None:
    """What is decoded can be used as it is, and is encoded to the same value again."""
    with soon():
        try:
            found = decode_snapshot("snapshot-00000001", payload)
        except Damaged:
            return
    check_source(found.source)
    assert 1 <= len(found.layers) <= labels.LAYERS
    assert sum(layer.records for layer in found.layers) <= labels.FILE_RECORDS
    assert decode_snapshot("snapshot-00000001", encode_snapshot(found)) == found


@given(PACKS | VALUES.map(packed) | st.binary(max_size=80))
@example(encode_pack(PackRecord(8 + 30, bytes(16), "hot", bytes(32), [30], [1])))
def test_any_pack_record_gives_a_pack_or_damage(payload: bytes) -> None:
    """The same of packs."""
    with soon():
        try:
            found = decode_pack(PACK, payload)
        except Damaged:
            return
    assert found[1].size <= labels.PACK_BYTES
    assert decode_pack(PACK, encode_pack(found[1])) == found


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}", fullmatch=True))
def test_any_id_is_of_a_moment_or_damaged(text: str) -> None:
    """An id that passes has a time that there is: estimates and names are made of it."""
    try:
        check_stamp(text)
    except Damaged:
        return
    time.strptime(text[:16], "%Y%m%dT%H%M%SZ")


# --- one by one: what was seen to end a run


HOSTILE_FIELDS: list[dict[str, Any]] = [
    *({"kind": kind} for kind in (9, -1, 8, 2**40)),
    *({"mode": mode} for mode in (-1, 0o10000, 2**40)),
    *({"uid": uid} for uid in (-1, -2, 2**32)),
    *({"gid": gid} for gid in (-2, 2**32, "root")),
    *({"kind": 5, "rdev": rdev} for rdev in (-5, -1)),
    *({"size": size} for size in (-1, 1.5, None)),
    *({"chunks": chunks} for chunks in (b"x", bytes(33), bytes(32 * 8193))),
    *({"kind": 3, "target": target} for target in (b"a\0b", b"x" * 131_073)),
    *({"xattrs": xattrs} for xattrs in ([[b"a\0b", b""]], [[b"", b"x"]], [[b"a", bytes(262_144)]])),
    {"xattrs": [[b"a", b""]] * 32_769},
    {"sparse": 1},
    *({"path": path} for path in (b"..", b"a/../b", b"/a", b"a/", b"a//b", b"a\0b", b"./a", b"x" * 131_073, "text")),
]


@pytest.mark.parametrize("fields", HOSTILE_FIELDS, ids=lambda fields: repr(fields)[:40])
def test_one_bad_entry_is_named_and_the_others_are_read(fields: dict[str, Any]) -> None:
    """Whatever field it is, and at whichever end: it is told once, and costs only itself."""
    bad = item(**{"path": b"m", **fields})
    payload = packed([item(path=b"a"), bad, item(path=b"z")])
    told: list[str] = []
    assert [entry.path for entry in known(read_entries([payload], full=True, report=told.append))] == [b"a", b"z"]
    assert len(told) == 1
    with pytest.raises(Damaged):
        list(read_entries([payload]))


def test_a_bad_entry_is_told_with_its_path_and_field() -> None:
    """Whoever reads the line knows what is lost, and what was wrong with it."""
    told: list[str] = []
    list(read_entries([packed([item(path=b"letters/a", mode=2**40)])], report=told.append))
    assert told == ["the entry of 'letters/a' is malformed: Expected `int` <= 4095 as mode"]


def test_a_bad_change_hides_what_was_there_before() -> None:
    """An older version under the path of a lost entry would be taken for the newest one: the path is removed."""
    payload = packed([item(path=b"a"), item(path=b"m", mode=-1)])
    found = list(read_entries([payload], report=lambda _: None))
    assert [(entry.path, entry.kind) for entry in known(found)] == [(b"a", Kind.FILE), (b"m", Kind.REMOVED)]


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("bad", ["file", "more"])
def test_a_file_is_lost_with_any_of_its_parts(bad: str, split: bool, full: bool) -> None:
    """A file with one part of its chunks missing is no file; its other parts belong to nothing else."""
    items = [
        item(path=b"a"),
        item(path=b"m", chunks=bytes(32), mode=-1 if bad == "file" else 0),
        item(path=b"m", kind=7, chunks=bytes(33 if bad == "more" else 32)),
        item(path=b"m", kind=7, chunks=bytes(32)),
        item(path=b"z"),
    ]
    payloads = [packed([each]) for each in items] if split else [packed(items)]
    told: list[str] = []
    found = [entry.path for entry in known(read_entries(payloads, full=full, report=told.append)) if entry.kind]
    assert (found, len(told)) == ([b"a", b"z"], 1)


def test_a_full_layer_removes_nothing() -> None:
    """There is nothing below it: a removal in it is no entry. In a layer of changes it is one."""
    payload = packed([item(path=b"a"), item(path=b"b", kind=0)])
    told: list[str] = []
    assert [entry.path for entry in known(read_entries([payload], full=True, report=told.append))] == [b"a"]
    assert len(told) == 1
    assert [entry.path for entry in known(read_entries([payload]))] == [b"a", b"b"]


def test_only_files_have_further_chunks() -> None:
    """A directory that goes on is out of order."""
    with pytest.raises(Damaged):
        list(read_entries([packed([item(kind=2), item(kind=7, chunks=bytes(32))])]))


@pytest.mark.parametrize(
    "payload",
    [
        b"\xdd\x01\x00\x00\x00" + b"\x92\xc4\x00\x01" * 2**24,
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * LEVELS,
    ],
    ids=["16 million items", "4 billion claimed", "nested"],
)
def test_bombs_are_damaged_before_they_go_off(payload: bytes) -> None:
    """Counts are compared before anything is built, and nesting ends the decoding, not the run."""
    with soon():
        with pytest.raises(Damaged):
            list(read_entries([payload]))
        (hole,) = read_entries([payload], report=lambda _: None)
    assert str(hole) == "all paths"


@pytest.mark.parametrize(
    "payload",
    [
        b"\x91\xdc\x00\x11" + packed(item())[3:] + b"\x91" * LEVELS + b"\x90",
        b"\x91\x92\xc4\x01a" + b"\x81\xa1x" * LEVELS + b"\x01",
    ],
    ids=["beyond the fields", "maps"],
)
def test_nesting_that_nobody_reads(payload: bytes) -> None:
    """Where a reader skips it, it is passed over or damage, as far as the Python at hand goes down: never the end."""
    with soon(), suppress(Damaged):
        list(read_entries([payload], report=lambda _: None))


def test_a_file_of_many_parts_takes_time_by_its_size() -> None:
    """60,000 further items onto 32 MiB of ids: joined once, not 60,000 times."""
    parts = [item(kind=7, chunks=bytes(32))] * 60_000
    payload = packed([item(chunks=bytes(32 * 8192)), *([item(kind=7, chunks=bytes(32 * 8192))] * 100), *parts])
    with soon():
        (entry,) = known(read_entries([payload]))
    assert len(entry.chunks) == 32 * (8192 * 101 + 60_000)


# --- snapshots and packs


HOSTILE_SNAPSHOTS: list[dict[str, Any]] = [
    *({"source": source} for source in (b"/../victim", b"/a/../b", b"a", b"", b"/a\0b", b"//a", b"/a/", b"/./a")),
    {"source": "/text"},
    *({"host": host} for host in ("x" * 1025, b"host", 5)),
    *({"users": users} for users in ({-1: "x"}, {2**32: "x"}, {1: "x" * 1025}, {1: b"x"}, {"1": "x"})),
    *({"groups": groups} for groups in ({-1: "x"}, {1: 1})),
    {"layers": []},
    {"layers": [[RUN, 1, 1]] * 2000},
    *({"layers": [[RUN, records, 1]]} for records in (0, -1, 10**9, 10**18)),
    {"layers": [[RUN, 900_000, 1]] * 2},
    {"layers": [["20261399T999999Z-0123456789abcdef", 1, 1]]},
    {"run": "20261399T999999Z-0123456789abcdef"},
    {"parent": -1},
    {"copies": -1},
    {"totals": {"files": -1}},
    {"unreadable": [b"x"] * 1001},
]


@pytest.mark.parametrize("fields", HOSTILE_SNAPSHOTS, ids=lambda fields: repr(fields)[:40])
def test_absurd_snapshots_are_damaged(fields: dict[str, Any]) -> None:
    """A source that leads elsewhere, counts beyond all there is, owners that nobody is."""
    with soon(), pytest.raises(Damaged):
        decode_snapshot("snapshot-00000001", snapshot_of(**fields))


@pytest.mark.parametrize("decode", [decode_snapshot, decode_pack])
@pytest.mark.parametrize(
    "value",
    [b"\xa2\xff\xfe", b"\x91" * LEVELS + b"\x90", b"\xdf\xff\xff\xff\xff"],
    ids=["no UTF-8", "nested", "huge"],
)
@pytest.mark.parametrize("key", [b"\xa4host", b"\xa4tier", b"\xa4more", b"\xa5users", b"\xa3ids"])
def test_bad_text_and_nesting_are_damaged(decode: Callable[[str, bytes], Any], value: bytes, key: bytes) -> None:
    """In fields that are known and in those that are passed over."""
    with soon(), pytest.raises(Damaged):
        decode(PACK if decode is decode_pack else "snapshot-00000001", b"\x81" + key + value)


@pytest.mark.parametrize(
    "fields",
    [
        {"md5": bytes(17)},
        {"tier": "x" * 100},
        {"sealed": [30] * 12_001, "plain": [1] * 12_001, "ids": bytes(32 * 12_001), "size": 8 + 30 * 12_001},
        {"sealed": [30], "plain": [8 * 1024 * 1024 + 1], "ids": bytes(32), "size": 38},
        {"sealed": [2**63, -(2**63)], "plain": [1, 1], "ids": bytes(64), "size": 8},
    ],
    ids=lambda fields: repr(fields)[:40],
)
def test_absurd_packs_are_damaged(fields: dict[str, Any]) -> None:
    """More chunks, or larger ones, than a pack can have; no MD5; a tier of any length."""
    with pytest.raises(Damaged):
        decode_pack(
            PACK, packed({"size": 8, "md5": bytes(16), "tier": "hot", "ids": b"", "sealed": [], "plain": [], **fields})
        )


@pytest.mark.parametrize(
    "stamp",
    [
        "20261399T999999Z",
        "20260230T000000Z",
        "20261100T000000Z",
        "20261101T240000Z",
        "20261101T000060Z",
        "00000101T000000Z",
    ],
)
def test_ids_of_no_moment_are_damaged(stamp: str) -> None:
    """The form alone is not enough: month 13, 30 February, hour 24, year 0."""
    with pytest.raises(Damaged):
        check_stamp(stamp + "-0123456789abcdef")


@pytest.mark.parametrize("digits", ["00000000", "000000001", "1" + "0" * 10, "9" * 30, "9" * 5000, "1e000000"])
def test_numbers_out_of_range_are_damaged(digits: str) -> None:
    """Numbers start at 1, have one spelling, and no more digits than there will ever be backups."""
    with pytest.raises(Damaged):
        number_of("snapshot-" + digits, "snapshot-")
    assert not is_snapshot("snapshot-" + digits)


# --- paths


@given(st.lists(st.binary(max_size=12), max_size=6))
@example([b"", b"a", b".a", b"..a", b"a..", b"a/.b"])
@example([b"a", b""])
def test_paths_are_checked_together_as_they_would_be_alone(paths: list[bytes]) -> None:
    """Looking through them as one text refuses the same ones, and gives the same order."""

    def refused(path: bytes) -> bool:
        return (bool(path) and any(part in (b"", b".", b"..") for part in path.split(b"/"))) or b"\0" in path

    bad = any(refused(path) for path in paths)
    try:
        keys = sort_keys(paths)
    except Damaged:
        assert bad
        return
    assert not bad
    assert keys == [path.replace(b"/", b"\0") for path in paths]
