"""Packs: what is in them, where, and when they are full."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.format import payloads
from azbackup.format.labels import PACK_MAGIC
from azbackup.format.model import ChunkId, PackId
from azbackup.packs import packer
from azbackup.packs.layout import PackLayout
from azbackup.packs.packer import Pack, Packer

STAMP = "20261122T210800Z-%016x"


def numbered() -> Packer:
    """Return a packer whose packs are numbered."""
    numbers = iter(range(1000))
    return Packer(lambda: PackId(STAMP % next(numbers)))


def add(packing: Packer, chunk_id: ChunkId, sealed: bytes, plain_size: int) -> None:
    """Put a sealed chunk into the pack in hand."""
    with packing.add(chunk_id, len(sealed), plain_size) as room:
        room[:] = sealed


def pack_all(chunks: list[bytes]) -> list[Pack]:
    """Return the packs that some sealed chunks make; each chunk's id begins with its number."""
    packing = numbered()
    full = []
    for number, sealed in enumerate(chunks):
        if not packing.has_room(len(sealed)):
            full.append(packing.finish())
        add(packing, ChunkId(number.to_bytes(32, "big")), sealed, len(sealed) + 7)
    return [pack for pack in [*full, packing.finish()] if pack is not None]


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=40))
def test_every_chunk_is_where_the_record_says(chunks: list[bytes]) -> None:
    """In order, each once, and the record agrees with the pack's bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packer, "PACK_BYTES", 1000)
        patch.setattr(packer, "PACK_CHUNKS", 7)
        packs = pack_all(chunks)
    found = []
    for pack in packs:
        needed = PackLayout(pack.pack_id, pack.record)
        assert pack.data.startswith(PACK_MAGIC)
        assert len(pack.data) == pack.record.size <= (500 if pack is packs[0] else 1000)
        assert len(pack.record.sealed) <= 7
        for number, start in enumerate(needed.starts):
            sealed = pack.data[start : start + pack.record.sealed[number]]
            found.append((int.from_bytes(needed.chunk_id(number), "big"), sealed, pack.record.plain[number] - 7))
        # What was packed is what the catalog accepts.
        assert payloads.decode_pack("pack-" + pack.pack_id, payloads.encode_pack(pack.record)) == (
            pack.pack_id,
            pack.record,
        )
    assert found == [(number, sealed, len(sealed)) for number, sealed in enumerate(chunks)]


def test_nothing_makes_no_pack() -> None:
    """A packer that got nothing has nothing, and after a pack it begins anew."""
    packing = numbered()
    assert packing.finish() is None
    add(packing, ChunkId(bytes(32)), b"sealed", 1)
    assert packing.finish() is not None
    assert packing.finish() is None


def test_a_pack_is_filled_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that fits exactly stays, the next one starts another pack."""
    monkeypatch.setattr(packer, "PACK_BYTES", 2 * (len(PACK_MAGIC) + 100))  # half of it in the first
    packing = numbered()
    add(packing, ChunkId(bytes(32)), bytes(60), 60)
    assert packing.has_room(40)
    add(packing, ChunkId(bytes(32)), bytes(40), 40)
    assert not packing.has_room(1)
    full = packing.finish()
    assert full is not None
    assert full.record.sealed == [60, 40]


def test_the_limits_are_those_of_the_format() -> None:
    """12,000 small chunks are one pack, one more starts the next; 64 MiB are never passed, in the first pack 32."""
    packs = pack_all([b"x"] * 12_001)
    assert [len(pack.record.sealed) for pack in packs] == [12_000, 1]
    packs = pack_all([bytes(8 * 1024 * 1024)] * 12)
    assert [len(pack.record.sealed) for pack in packs] == [3, 7, 2]
    assert all(pack.record.size <= 64 * 1024 * 1024 for pack in packs)


def test_packs_have_names_of_their_own() -> None:
    """Each finished pack asks for an id."""
    packs = pack_all([os.urandom(10)] * 24_001)
    assert [pack.pack_id for pack in packs] == [STAMP % number for number in range(3)]


def test_a_buffer_that_is_used_again_keeps_nothing() -> None:
    """A short pack after a long one has its own bytes only, and the long one's stay as they were."""
    packing = numbered()
    add(packing, ChunkId(bytes(32)), b"\xff" * 10_000_000, 1)
    long = packing.finish()
    assert long is not None
    kept = long.data
    packing.recycle(long.buffer)
    add(packing, ChunkId(bytes(32)), b"short", 1)
    short = packing.finish()
    assert short is not None
    assert short.data == PACK_MAGIC + b"short"
    assert kept == PACK_MAGIC + b"\xff" * 10_000_000
