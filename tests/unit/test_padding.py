"""Padding: sizes of packs take few values, and what fills them is a chunk as any other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.crypto.sealing import chunk_id, derive, open_chunk
from azbackup.crypto.secret import Secret
from azbackup.format.compression import decode_bodies
from azbackup.format.labels import CHUNK_MAX, PACK_BYTES
from azbackup.packs.padding import PADDING_MAX, PADDING_MIN, STEP_BYTES, padded_size, seal_padding

KEYS = derive(Secret(bytes(range(32))))


@given(st.integers(min_value=30, max_value=PACK_BYTES - PADDING_MIN))
def test_a_padded_pack_has_room_for_its_padding_and_is_not_much_larger(size: int) -> None:
    """A 32nd at most, or 64 KiB; and what fills it is one chunk."""
    padded = padded_size(size, PACK_BYTES)
    assert size + PADDING_MIN <= padded <= PACK_BYTES
    assert padded - size <= max(STEP_BYTES, size // 31) + PADDING_MIN
    assert padded - size <= PADDING_MAX


def test_packs_have_one_of_few_sizes() -> None:
    """Of all that a pack can hold, no more than 200 sizes are seen; small ones are all alike."""
    sizes = {padded_size(size, PACK_BYTES) for size in range(30, PACK_BYTES - PADDING_MIN, 4099)}
    assert len(sizes) < 200
    assert {padded_size(size, PACK_BYTES) for size in (30, 51, 4096, 60_000)} == {STEP_BYTES}


@pytest.mark.parametrize("size", [PADDING_MIN, PADDING_MIN + 1, 65_536, 1_000_000, PADDING_MAX])
def test_padding_is_a_chunk_that_every_reader_opens(size: int) -> None:
    """Its id is that of its bytes, it opens under it, and two of them differ."""
    names = set()
    for _ in range(2):
        room = bytearray(size)
        name, plain_size = seal_padding(KEYS, memoryview(room))
        [plain] = decode_bodies([open_chunk(KEYS.chunk_key.reveal(), name, bytes(room))], [plain_size])
        assert 1 <= len(plain) == plain_size <= CHUNK_MAX
        assert chunk_id(KEYS.id_key.reveal(), plain) == name
        names.add(name)
    assert len(names) == 2
