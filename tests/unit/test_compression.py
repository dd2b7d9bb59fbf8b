"""Compression: round trips, and what must not be allocated or believed on the way back."""

from __future__ import annotations

import os
import random
import threading
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import AzbackupError, Damaged
from azbackup.format import compression
from azbackup.format.labels import CHUNK_MAX, RECORD_PLAIN_BYTES


def decode_body(body: bytes) -> bytes | memoryview:
    """Return the plaintext of one chunk whose record has the size that it claims; raise what is wrong with it."""
    try:
        size = zstandard.frame_content_size(body[1:]) if body[:1] == b"\x01" else len(body) - 1
    except zstandard.ZstdError:
        size = 0
    (found,) = compression.decode_bodies([body], [size])
    if isinstance(found, AzbackupError):
        raise found
    return found


DECODERS = [compression.decode_payload, lambda payload: decode_body(b"\x01" + payload)]


def encode_body(plain: bytes) -> bytes:
    """Return the body of one chunk."""
    (body,) = compression.encode_bodies([plain])
    return body


@given(st.binary(min_size=1, max_size=2000), st.integers(1, 50))
def test_bodies_come_back(data: bytes, times: int) -> None:
    """Whatever the bytes, compressed or not, the body opens to them."""
    assert decode_body(encode_body(data * times)) == data * times


@given(st.binary(max_size=2000))
def test_payloads_come_back(data: bytes) -> None:
    """Whatever the bytes, the payload opens to them."""
    assert compression.decode_payload(compression.encode_payload(data)) == data


def test_a_view_is_stored_as_its_bytes() -> None:
    """The hasher hands over memoryviews: what is stored as it is is stored as their bytes are."""
    noise = os.urandom(300_000)
    assert b"".join(compression.plain_body(memoryview(noise))) == b"\x00" + noise
    assert b"".join(compression.plain_body(noise)) == b"\x00" + noise
    assert compression.worth_trying(memoryview(noise)) == compression.worth_trying(noise)


def test_bodies_are_in_the_order_of_their_chunks() -> None:
    """Small and large ones, text and noise, mixed: each body opens to the chunk at its place."""
    sizes = [16 * 1024, 16 * 1024 + 1, 1, 300_000, 5, 70_000, 16 * 1024]
    plains = [b"text " * (size // 5) if number % 2 else os.urandom(size) for number, size in enumerate(sizes)]
    assert [decode_body(body) for body in compression.encode_bodies(plains)] == plains
    assert compression.encode_bodies([]) == []


def test_large_noise_is_not_tried() -> None:
    """Samples of a large chunk tell; what is small, or has text somewhere in its samples, is tried."""
    noise = os.urandom(1_000_000)
    assert not compression.worth_trying(noise)
    assert compression.worth_trying(noise[:100_000])
    assert compression.worth_trying(noise[:500_000] + b"text " * 100_000)


def test_small_text_is_no_larger_than_at_level_3() -> None:
    """What the settings for small chunks and records are for: they are worth their time."""
    chance = random.Random(3)
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(3000)]
    texts = [b" ".join(chance.choices(words, k=2000))[:8000] for _ in range(50)]
    level3 = sum(len(zstandard.ZstdCompressor(level=3).compress(text)) + 1 for text in texts)
    assert sum(map(len, compression.encode_bodies(texts))) < level3
    record = b"".join(b"%05d/name" % number + chance.randbytes(32) + b"root" for number in range(10_000))
    assert len(compression.encode_payload(record)) < len(zstandard.ZstdCompressor(level=3).compress(record))


def test_the_largest_chunk_comes_back() -> None:
    """CHUNK_MAX bytes, compressed and as they are."""
    for data in (bytes(CHUNK_MAX), os.urandom(CHUNK_MAX)):
        assert decode_body(encode_body(data)) == data


def test_what_compresses_is_compressed() -> None:
    """Text becomes codec 1 and shorter, noise stays as it is behind codec 0."""
    noise = os.urandom(10_000)
    assert encode_body(b"text " * 2000)[0] == 1
    assert encode_body(noise) == b"\x00" + noise


def test_under_three_percent_are_not_worth_it() -> None:
    """Noise with ever longer tails of zeros is stored as is while zstd saves under 3 %, compressed after."""
    noise = os.urandom(10_000)
    for zeros in range(0, 1000, 50):
        data = noise + bytes(zeros)
        body = encode_body(data)
        assert body[0] == (len(compression._mine.small.compress(data)) < 0.97 * len(data))
        assert len(body) <= len(data) + 1


def test_an_empty_body_has_no_codec() -> None:
    """A body without its first byte is refused."""
    with pytest.raises(AzbackupError):
        decode_body(b"")


@pytest.mark.parametrize("number", [2, 3, 128, 255])
def test_an_unknown_codec_is_refused_as_such(number: int) -> None:
    """It is under the seal, so it is no damage: the hint asks for a newer version."""
    with pytest.raises(AzbackupError, match=str(number)) as caught:
        decode_body(bytes([number]) + b"whatever")
    assert not isinstance(caught.value, Damaged)
    assert "newer" in caught.value.hint


@pytest.mark.parametrize("decode", DECODERS, ids=["record", "chunk"])
@given(data=st.binary(max_size=100))
def test_garbage_is_damaged(decode: Callable[[bytes], bytes], data: bytes) -> None:
    """Bytes that are no zstd frame raise Damaged, never anything else."""
    try:
        decode(data)
    except Damaged:
        return
    assert zstandard.decompress(data, max_output_size=CHUNK_MAX) is not None


@pytest.mark.parametrize("decode", DECODERS, ids=["record", "chunk"])
def test_a_cut_frame_is_damaged(decode: Callable[[bytes], bytes]) -> None:
    """Every prefix of a frame is refused."""
    frame = compression.encode_payload(b"some text that is compressed, " * 20)
    for end in range(len(frame)):
        with pytest.raises(Damaged):
            decode(frame[:end])


@pytest.mark.parametrize(
    ("decode", "limit"), [(DECODERS[0], RECORD_PLAIN_BYTES), (DECODERS[1], CHUNK_MAX)], ids=["record", "chunk"]
)
def test_a_bomb_is_not_set_off(decode: Callable[[bytes], bytes], limit: int) -> None:
    """A frame that says, truly, that it grows past the limit is refused before memory is taken for it."""
    bomb = zstandard.compress(bytes(limit + 1))
    tracemalloc.start()
    try:
        with pytest.raises(Damaged, match="more than"):
            decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("decode", DECODERS, ids=["record", "chunk"])
def test_a_frame_that_hides_its_size_is_refused(decode: Callable[[bytes], bytes]) -> None:
    """Nobody here writes frames without their size; one that grows without saying so is no way around the limit."""
    writer = zstandard.ZstdCompressor(write_content_size=False)
    with pytest.raises(Damaged):
        decode(writer.compress(bytes(CHUNK_MAX * 2)))


@pytest.mark.parametrize("decode", DECODERS, ids=["record", "chunk"])
def test_a_frame_that_lies_about_its_size_is_damaged(decode: Callable[[bytes], bytes]) -> None:
    """A claim of fewer bytes than there are is noticed."""
    honest = zstandard.compress(b"x" * 200)
    size = zstandard.frame_content_size(honest)
    at = honest.index(bytes([size]), 4)
    with pytest.raises(Damaged):
        decode(honest[:at] + b"\x05" + honest[at + 1 :])


def test_one_of_many_that_is_wrong_takes_no_other_with_it() -> None:
    """Cut, lying, too large, or not of its record's size: each is Damaged in its place, those around it come back."""
    plains = [b"text %d " % number * 500 for number in range(6)] + [os.urandom(900)]
    bodies = compression.encode_bodies(plains)
    sizes = [len(plain) for plain in plains]
    assert compression.decode_bodies(bodies, sizes) == plains
    for wrong, (body, size) in {
        0: (bodies[0][:-5], sizes[0]),
        2: (bodies[2][:12] + bytes(len(bodies[2]) - 12), sizes[2]),
        3: (bodies[3], sizes[3] + 1),
        4: (b"\x01" + zstandard.compress(bytes(CHUNK_MAX + 1)), CHUNK_MAX + 1),
        5: (b"\x01", sizes[5]),
        6: (bodies[6], sizes[6] - 1),
    }.items():
        found = compression.decode_bodies(
            [*bodies[:wrong], body, *bodies[wrong + 1 :]], [*sizes[:wrong], size, *sizes[wrong + 1 :]]
        )
        assert isinstance(found[wrong], Damaged), wrong
        assert found[:wrong] + found[wrong + 1 :] == plains[:wrong] + plains[wrong + 1 :]


def test_what_is_damaged_already_stays_that() -> None:
    """A chunk that did not open has its place among those that did."""
    damaged = Damaged("it does not open")
    plains = [b"text " * 100, b"more text " * 100]
    one, two = compression.encode_bodies(plains)
    found = compression.decode_bodies([one, damaged, two], [len(plains[0]), 7, len(plains[1])])
    assert found == [plains[0], damaged, plains[1]]
    assert found[1] is damaged


def test_threads_do_not_share_a_compressor() -> None:
    """Bodies that are made at the same time in several threads are those that one thread makes."""
    texts = [b"%d " % number * 100_000 for number in range(4)]
    expected = [encode_body(text) for text in texts]
    found: dict[int, list[bytes]] = {}

    def encode(number: int) -> None:
        found[number] = [encode_body(texts[number]) for _ in range(20)]

    threads = [threading.Thread(target=encode, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(4)] == [[body] * 20 for body in expected]
