"""Chunks compressed beside the run: all come out, once, with their own bytes, and memory stays bounded."""

from __future__ import annotations

import os
import random

import pytest

from azbackup.format import compression
from azbackup.format.model import ChunkId
from azbackup.packs import compressor
from azbackup.packs.compressor import Body, Compressor


def chunk_id(number: int) -> ChunkId:
    """Return an id that tells the number."""
    return ChunkId(number.to_bytes(32, "big"))


def plains(count: int) -> list[bytes]:
    """Return chunks of all sizes, text and noise."""
    chance = random.Random(count)
    sizes = [chance.choice((1, 100, 8_000, 20_000, 400_000)) for _ in range(count)]
    return [b"text " * (size // 5 + 1) if chance.random() < 0.7 else os.urandom(size) for size in sizes]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 900])
def test_every_chunk_comes_out_once(count: int) -> None:
    """With its id, its size, and a body that opens to it."""
    chunks = plains(count)
    ours = Compressor()
    found: list[Body] = []
    for number, plain in enumerate(chunks):
        found += ours.add(chunk_id(number), memoryview(plain))
    found += ours.finish()
    assert sorted(body.chunk_id for body in found) == [chunk_id(number) for number in range(count)]
    for body in found:
        plain = chunks[int.from_bytes(body.chunk_id, "big")]
        assert compression.decode_bodies([b"".join(body.parts)], [len(plain)]) == [plain]
        assert body.plain_size == len(plain)


def test_a_view_may_change_afterwards() -> None:
    """The hasher uses its window again: what was handed over is the chunk's own by then."""
    window = bytearray(b"first " * 10_000)
    ours = Compressor()
    found = list(ours.add(chunk_id(1), memoryview(window)))
    window[:] = bytes(len(window))
    found += ours.finish()
    assert compression.decode_bodies([b"".join(body.parts) for body in found], [60_000]) == [b"first " * 10_000]


def test_what_waits_is_bounded() -> None:
    """However fast chunks come, all but a few batches have come out again."""
    ours = Compressor()
    text = b"some text " * 50_000
    out = sum(len(list(ours.add(chunk_id(number), text))) for number in range(100))
    most = (compressor._BATCHES + 2) * (compressor._BATCH_BYTES // len(text) + 1)
    assert 100 - out <= most
    assert out + len(list(ours.finish())) == 100


def test_an_error_of_the_worker_comes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other thread met is raised here, at the latest at the end; nothing is lost in silence."""

    def fail(_: object) -> list[bytes]:
        raise MemoryError

    monkeypatch.setattr(compression, "encode_bodies", fail)
    ours = Compressor()
    list(ours.add(chunk_id(1), b"text"))
    with pytest.raises(MemoryError):
        list(ours.finish())
