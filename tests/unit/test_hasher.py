"""Cutting: a function of contents alone, within bounds, stable under insertions."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest
from pyfastcdc import FastCDC

from azbackup.crypto.sealing import Keys, chunk_id, derive
from azbackup.crypto.secret import Secret
from azbackup.format.labels import CHUNK_MAX, CHUNK_MIN, CHUNK_NORMAL
from azbackup.format.model import ChunkId
from azbackup.packs.hasher import Hasher

KEYS = derive(Secret(bytes(range(32))))
MIB = 1024 * 1024
NOISE = random.Random(1).randbytes(20 * MIB)
SIZES = [1, 2, 4096, CHUNK_MIN - 1, CHUNK_MIN, CHUNK_MIN + 1, CHUNK_MAX, 2 * CHUNK_MAX - 1, 2 * CHUNK_MAX, 20 * MIB]


def split(path: Path, data: bytes, hint: int | None = None, keys: Keys = KEYS) -> list[tuple[ChunkId, bytes]]:
    """Return the chunks of a file with this content."""
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        hasher = Hasher(keys)
        return [(each, bytes(plain)) for each, plain in hasher.split(descriptor, len(data) if hint is None else hint)]
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("size", SIZES)
def test_chunks_together_are_the_file(tmp_path: Path, size: int) -> None:
    """Concatenated they are the contents, each within the bounds, each named by its bytes."""
    chunks = split(tmp_path / "f", NOISE[:size])
    plains = [plain for _, plain in chunks]
    assert b"".join(plains) == NOISE[:size]
    assert all(CHUNK_MIN <= len(plain) <= CHUNK_MAX for plain in plains[:-1])
    assert 0 < len(plains[-1]) <= CHUNK_MAX
    assert [each for each, _ in chunks] == [chunk_id(KEYS.id_key.reveal(), plain) for plain in plains]


@pytest.mark.parametrize("hint", [0, 1, CHUNK_MIN, CHUNK_MIN + 1, MIB])
def test_an_empty_file_has_no_chunks(tmp_path: Path, hint: int) -> None:
    """Whatever its size was said to be."""
    assert split(tmp_path / "f", b"", hint) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hint", [0, 1, CHUNK_MIN - 1, CHUNK_MIN, CHUNK_MIN + 1, 30 * MIB])
def test_the_size_hint_does_not_matter(tmp_path: Path, size: int, hint: int) -> None:
    """A file that grew or shrank since the scan is cut like any other of its contents, and read to its end."""
    assert split(tmp_path / "f", NOISE[:size], hint) == split(tmp_path / "f", NOISE[:size])


def test_a_file_that_arrives_in_pieces_is_cut_the_same() -> None:
    """Short reads do not move a cut: here a pipe that gives 64 KiB at most."""
    for size, hint in ((3 * MIB, 3 * MIB), (4096, 4096), (CHUNK_MIN, CHUNK_MIN), (CHUNK_MIN + 1, 0)):
        whole = os.memfd_create("whole")
        os.write(whole, NOISE[:size])
        os.lseek(whole, 0, os.SEEK_SET)
        expected = [chunk_id for chunk_id, _ in Hasher(KEYS).split(whole, size)]
        os.close(whole)
        reading, writing = os.pipe()
        writer = threading.Thread(target=trickle, args=(writing, NOISE[:size]))
        writer.start()
        assert [chunk_id for chunk_id, _ in Hasher(KEYS).split(reading, hint)] == expected
        writer.join()
        os.close(reading)


def trickle(descriptor: int, data: bytes) -> None:
    """Write a little at a time, and close."""
    for at in range(0, len(data), 4000):
        os.write(descriptor, data[at : at + 4000])
    os.close(descriptor)


@pytest.mark.parametrize("size", [CHUNK_MAX + 2 * MIB - 1, CHUNK_MAX + 2 * MIB, CHUNK_MAX + 2 * MIB + 1, 60 * MIB])
@pytest.mark.parametrize("zeros", [0, 9 * MIB, 25 * MIB])
def test_cuts_do_not_depend_on_the_window(tmp_path: Path, size: int, zeros: int) -> None:
    """Read through a window or all at once, the cuts are the same; also beside chunks of the largest size."""
    data = (NOISE[: 3 * MIB + 1] + bytes(zeros) + NOISE * 3)[:size]
    at_once = FastCDC(CHUNK_NORMAL, min_size=CHUNK_MIN, max_size=CHUNK_MAX, seed=KEYS.cut_seed).cut_buf(data)
    lengths = [len(plain) for _, plain in split(tmp_path / "f", data)]
    assert lengths == [chunk.length for chunk in at_once]


def test_one_hasher_cuts_file_after_file(tmp_path: Path) -> None:
    """Nothing of one file is left in the buffer for the next."""
    hasher = Hasher(KEYS)
    for data in (NOISE[: 9 * MIB], b"", NOISE[MIB : 2 * MIB], b"small", NOISE[: 9 * MIB]):
        path = tmp_path / "f"
        path.write_bytes(data)
        descriptor = os.open(path, os.O_RDONLY)
        assert b"".join(bytes(plain) for _, plain in hasher.split(descriptor, len(data))) == data
        os.close(descriptor)


@pytest.mark.parametrize("at", [0, 3 * MIB, 10 * MIB + 12345])
def test_an_insertion_costs_a_chunk_or_two(tmp_path: Path, at: int) -> None:
    """After a byte was put in, all chunks but a few are the same."""
    before = {chunk_id for chunk_id, _ in split(tmp_path / "f", NOISE)}
    after = {chunk_id for chunk_id, _ in split(tmp_path / "f", NOISE[:at] + b"!" + NOISE[at:])}
    assert len(before) >= 10
    assert len(after - before) <= 3


def test_what_has_no_features_is_cut_at_the_maximum(tmp_path: Path) -> None:
    """Zeros are cut into equal chunks, all but the last of one id."""
    chunks = split(tmp_path / "f", bytes(20 * MIB))
    assert [len(plain) for _, plain in chunks] == [CHUNK_MAX, CHUNK_MAX, 4 * MIB]
    assert chunks[0][0] == chunks[1][0]


def test_ids_and_cuts_are_secret(tmp_path: Path) -> None:
    """Under another data key the same file has other ids, and is cut elsewhere."""
    other = derive(Secret(bytes(32)))
    ours, theirs = split(tmp_path / "f", NOISE), split(tmp_path / "f", NOISE, keys=other)
    assert not {chunk_id for chunk_id, _ in ours} & {chunk_id for chunk_id, _ in theirs}
    assert [len(plain) for _, plain in ours] != [len(plain) for _, plain in theirs]


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    """What cannot be read raises OSError."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(IsADirectoryError):
        list(Hasher(KEYS).split(descriptor, 0))
    os.close(descriptor)


@pytest.mark.parametrize("limit", [1, 1000, CHUNK_MIN - 1, CHUNK_MIN, CHUNK_MIN + 1, 3 * MIB, 12 * MIB + 1])
@pytest.mark.parametrize("hint", [0, 1000, CHUNK_MIN, 30 * MIB])
def test_no_more_is_read_than_the_limit(tmp_path: Path, limit: int, hint: int) -> None:
    """A file without end is cut as one of that length would be, and nothing behind it is read."""
    with open("/dev/zero", "rb", buffering=0) as endless:
        found = [each for each, _ in Hasher(KEYS).split(endless.fileno(), hint, limit)]
    assert found == [each for each, _ in split(tmp_path / "f", bytes(limit))]
    (tmp_path / "g").write_bytes(NOISE[:limit] + b"behind it")
    descriptor = os.open(tmp_path / "g", os.O_RDONLY)
    assert sum(len(plain) for _, plain in Hasher(KEYS).split(descriptor, hint, limit)) == limit
    assert os.read(descriptor, 100) == b"behind it"
    os.close(descriptor)
