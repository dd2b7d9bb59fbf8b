"""Packs: what is in them, where, when they are full, and that neither their ends nor their sizes tell of a chunk."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.format import payloads
from azbackup.format.labels import PACK_MAGIC
from azbackup.format.model import ChunkId, PackId, PackRecord, split_ids
from azbackup.packs import packer
from azbackup.packs.layout import PackLayout
from azbackup.packs.packer import Pack, Packer
from azbackup.packs.padding import PADDING_MIN, forecast_size

STAMP = "20261122T210800Z-%016x"
MIB = 1024 * 1024
PADDING = ChunkId(b"\xff" * 32)


def numbered(stays: Callable[[], bool] = lambda: True) -> Packer:
    """Return a packer whose packs are numbered, and whose padding has one id."""
    numbers = iter(range(1000))

    def pad(room: memoryview) -> tuple[ChunkId, int]:
        room[:] = b"p" * len(room)
        return PADDING, len(room) - 29

    return Packer(lambda: PackId(STAMP % next(numbers)), pad, stays)


def add(packing: Packer, chunk_id: ChunkId, sealed: bytes, plain_size: int) -> None:
    """Put a sealed chunk into one of the packs in hand."""
    with packing.add(chunk_id, len(sealed), plain_size) as room:
        room[:] = sealed


def pack_all(chunks: list[bytes], stays: Callable[[], bool] = lambda: True) -> list[Pack]:
    """Return the packs that some sealed chunks make; each chunk's id begins with its number."""
    packing = numbered(stays)
    full: list[Pack] = []
    for number, sealed in enumerate(chunks):
        add(packing, ChunkId(number.to_bytes(32, "big")), sealed, len(sealed) + 7)
        while (pack := packing.full()) is not None:
            full.append(pack)
    return [*full, *packing.finish()]


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=40), st.integers())
def test_every_chunk_is_where_the_record_says(chunks: list[bytes], seed: int) -> None:
    """Each once, whatever chance decides, and the record agrees with the pack's bytes; the last one is the padding."""
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packer, "PACK_BYTES", 1000)
        patch.setattr(packer, "PACK_CHUNKS", 7)
        packs = pack_all(chunks, lambda: chance.random() < 0.5)
    found = []
    for pack in packs:
        needed = PackLayout(pack.pack_id, pack.record)
        assert pack.data.startswith(PACK_MAGIC)
        assert len(pack.data) == pack.record.size <= (500 if pack is packs[0] else 1000)
        assert 2 <= len(pack.record.sealed) <= 7
        for number, start in enumerate(needed.starts):
            sealed = pack.data[start : start + pack.record.sealed[number]]
            found.append((int.from_bytes(needed.chunk_id(number), "big"), sealed, pack.record.plain[number] - 7))
        assert found.pop()[1] == b"p" * pack.record.sealed[-1]
        assert pack.record.padding == 1
        assert pack.record.content_ids == pack.record.ids[:-32]
        # What was packed is what the catalog accepts.
        assert payloads.decode_pack("pack-" + pack.pack_id, payloads.encode_pack(pack.record)) == (
            pack.pack_id,
            pack.record,
        )
    assert sorted(found) == [(number, sealed, len(sealed)) for number, sealed in enumerate(chunks)]


def test_nothing_makes_no_pack() -> None:
    """A packer that got nothing has nothing, and after a pack it begins anew."""
    packing = numbered()
    assert packing.finish() == []
    add(packing, ChunkId(bytes(32)), b"sealed", 1)
    assert packing.full() is None
    assert len(packing.finish()) == 1
    assert packing.finish() == []


def test_a_pack_is_filled_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that leaves exactly what the least padding takes stays, the next one starts another pack."""
    monkeypatch.setattr(packer, "PACK_BYTES", 2 * (len(PACK_MAGIC) + 100 + PADDING_MIN))  # half of it in the first
    packs = pack_all([bytes(60), bytes(40), bytes(1)])
    assert [pack.record.sealed[:-1] for pack in packs] == [[60, 40], [1]]
    assert packs[0].record.size == len(PACK_MAGIC) + 100 + PADDING_MIN


def test_the_limits_are_those_of_the_format() -> None:
    """12,000 chunks are one pack, one more starts the next; 64 MiB are never passed, in the first pack 32."""
    packs = pack_all([b"x"] * 12_000)
    assert [len(pack.record.sealed) for pack in packs] == [11_978, 24]  # a 512th is not worth waiting for
    packs = pack_all([bytes(8 * MIB)] * 12)
    assert [len(pack.record.sealed) - 1 for pack in packs] == [3, 7, 2]
    assert all(pack.record.size <= 64 * MIB for pack in packs)


def test_packs_have_names_of_their_own() -> None:
    """Each finished pack asks for an id."""
    packs = pack_all([os.urandom(10)] * 24_001)
    assert [pack.pack_id for pack in packs] == [STAMP % number for number in range(3)]


def test_a_buffer_that_is_used_again_keeps_nothing() -> None:
    """A short pack after a long one has its own bytes only, and the long one's stay as they were."""
    packing = numbered()
    add(packing, ChunkId(bytes(32)), b"\xff" * 10_000_000, 1)
    [long] = packing.finish()
    kept, size = long.data, long.record.size
    packing.recycle(long.buffer)
    add(packing, ChunkId(bytes(32)), b"short", 1)
    [short] = packing.finish()
    assert short.data == PACK_MAGIC + b"short" + b"p" * (65_536 - 13)
    assert kept == PACK_MAGIC + b"\xff" * 10_000_000 + b"p" * (size - 10_000_008)


def test_a_buffer_that_is_given_back_late_is_used_all_the_same() -> None:
    """A pack that was begun before goes on in it, so that none lies idle; its bytes are what they were."""
    packing = numbered()
    add(packing, ChunkId(bytes(32)), b"\xff" * (20 * MIB), 1)
    [uploaded] = packing.finish()
    add(packing, ChunkId(bytes(32)), b"1" * MIB, 1)
    packing.recycle(uploaded.buffer)
    add(packing, ChunkId(bytes(32)), b"2" * (5 * MIB), 1)
    [pack] = packing.finish()
    assert pack.buffer is uploaded.buffer
    assert pack.data.startswith(PACK_MAGIC + b"1" * MIB + b"2" * (5 * MIB) + b"p")
    assert len(pack.data) == pack.record.size


def pack_noise(count: int, length_seed: int, chance_seed: int) -> list[PackRecord]:
    """Return the records of packs of chunks that are as long as those of noise; their bytes are let go."""
    lengths, chance = random.Random(length_seed), random.Random(chance_seed)
    packing = numbered(lambda: chance.random() < 0.75)
    packs: list[PackRecord] = []
    for number in range(count):
        size = min(8 * MIB, MIB // 2 + int(lengths.expovariate(1 / 0.81) * MIB))
        packing.add(ChunkId(number.to_bytes(32, "big")), size, size).release()
        while (pack := packing.full()) is not None:
            packs.append(pack.record)
            packing.recycle(pack.buffer)
    return [*packs, *(pack.record for pack in packing.finish())]


def test_two_packs_are_filled_together_where_one_ends() -> None:
    """So a pack has not the first chunks of what is left, and the same chunks end in other places each time."""
    ends = set()
    for seed in range(3):
        packs = pack_noise(300, 1, seed)
        numbers = [[int.from_bytes(each, "big") for each in split_ids(pack.content_ids)] for pack in packs]
        assert sorted(number for each in numbers for number in each) == list(range(300))
        mixed = [max(older) > min(later) for older, later in itertools.pairwise(numbers)]
        assert sum(mixed) >= len(mixed) - 2
        ends.add(tuple(len(each) for each in numbers))
    assert len(ends) == 3


def test_full_packs_have_one_size_and_padding_costs_little() -> None:
    """Eight of ten full packs are 64 MiB to the byte; all of the padding together is under 1.5 % of what is stored."""
    packs = pack_noise(1500, 7, 7)
    sizes = [pack.size for pack in packs[1:-1]]
    assert sizes.count(64 * MIB) >= 0.8 * len(sizes)
    assert all(size % (MIB // 2) == 0 for size in sizes)
    padding = sum(pack.sealed[-1] for pack in packs)
    assert padding < 0.015 * sum(pack.size for pack in packs)
    contents = sum(sum(pack.plain[:-1]) for pack in packs)
    assert abs(forecast_size(contents, 1500) / sum(pack.size for pack in packs) - 1) < 0.01


def test_what_is_stored_is_foreseen_with_its_padding() -> None:
    """A dry run says what a small backup takes: one size of few; of nothing there is nothing."""
    assert forecast_size(0, 0) == 0
    assert forecast_size(1, 1) == forecast_size(60_000, 3) == 64 * 1024
    assert forecast_size(100_000, 12) == 128 * 1024
    assert forecast_size(65 * MIB, 65) > 65 * MIB


def test_what_two_packs_hold_at_the_end_is_one_if_it_can_be() -> None:
    """A run's last chunks make no pack of their own where the one before has room for them."""
    turns = iter([False, True, True])
    packs = pack_all([bytes(7 * MIB)] * 4 + [b"later", b"older"], lambda: next(turns))
    assert len(packs) == 1
    assert packs[0].data.count(b"later") == packs[0].data.count(b"older") == 1
