"""Chunk ids, however many: the same answers as a set, in memory and in files, whatever the disk does."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from azbackup.errors import AzbackupError
from azbackup.format.model import ChunkId
from azbackup.packs import ids as module
from azbackup.packs.ids import ChunkIds
from azbackup.storage.local.cache_file import open_nameless

FEW = 50  # ids in memory


def new(number: int) -> ChunkId:
    """An id; every fifth has the first eight bytes of the one before it."""
    source = random.Random(number - (number % 5 == 4))
    first = source.randbytes(8)
    return ChunkId(first + random.Random(f"rest {number}").randbytes(24))


def scratch(directory: Path) -> Callable[[], int]:
    """Files in a directory."""
    return lambda: open_nameless(directory)


@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1, 64, 65, 500, 3000])
def test_as_a_set(tmp_path: Path, count: int) -> None:
    """Added one by one and many at once, some twice, looked for in between: found is what was added, nothing else."""
    found, model = ChunkIds(scratch(tmp_path), FEW), set[ChunkId]()
    for number in range(0, count, 10):
        some = [new(each) for each in range(number, min(number + 10, count))]
        found.update(some[:5])
        for each in some[3:]:
            found.add(each)
        model.update(some)
        if number % 200 == 0:
            assert found.issuperset(some)
            assert new(number + 10) not in found
    assert found.issuperset(model)
    assert not any(new(number) in found for number in range(count, count + 100))
    assert sorted(found) == sorted(model)
    assert os.listdir(tmp_path) == []
    found.clear()
    assert list(found) == []
    assert new(0) not in found


def test_alike_across_blocks(tmp_path: Path) -> None:
    """Hundreds of ids with the same first bytes fill several blocks, the last of one and the first of the next."""
    ids = [ChunkId(b"same" * 2 + number.to_bytes(24, "big")) for number in range(700)]
    found = ChunkIds(scratch(tmp_path), FEW)
    found.update(ids[::2])
    assert [each in found for each in ids] == [number % 2 == 0 for number in range(700)]


def test_bytes_between_two_ids_are_none(tmp_path: Path) -> None:
    """Nor are a part of one, and two of them."""
    ids = sorted(new(number) for number in range(200))
    found = ChunkIds(scratch(tmp_path), FEW)
    found.update(ids)
    for one, other in itertools.pairwise(ids):
        joined = one + other
        assert not any(joined[at : at + 32] in found for at in range(1, 32))
    assert ids[0][:31] not in found
    assert ids[0] + ids[1] not in found


@pytest.mark.parametrize("files", [0, 1, 2, 3])
def test_a_disk_that_is_full(tmp_path: Path, files: int) -> None:
    """Where no file can be made, or not another one, all is held in memory."""
    left = [files]

    def make() -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError("no space left on device")
        return open_nameless(tmp_path)

    found, model = ChunkIds(make, FEW), [new(number) for number in range(1000)]
    for each in model:
        found.add(each)
        assert each in found
    assert found.issuperset(model)
    assert sorted(found) == sorted(model)


@pytest.mark.parametrize("after", range(0, 600, 40))
def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Half a run in the file, or half a merge: what was there before still counts."""
    written, write = [0], os.pwrite

    def fill(descriptor: int, data: memoryview, at: int) -> int:
        if written[0] >= after:
            raise OSError("no space left on device")
        written[0] += 1
        return write(descriptor, data[:1000], at)

    monkeypatch.setattr(module.os, "pwrite", fill)
    found, model = ChunkIds(scratch(tmp_path), FEW), [new(number) for number in range(300)]
    found.update(model[:100])
    assert model[0] in found
    found.update(model[100:])
    assert found.issuperset(model)
    assert new(301) not in found


def test_a_disk_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told of; nothing is said to be stored or not."""
    found = ChunkIds(scratch(tmp_path), FEW)
    found.update(new(number) for number in range(100))
    assert new(0) in found

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "pread", fail)
    with pytest.raises(AzbackupError, match="Input/output error"):
        _ = new(0) in found
    monkeypatch.setattr(module.os, "pread", lambda *_: b"")
    with pytest.raises(AzbackupError, match="ends early"):
        _ = new(0) in found


def test_a_bad_byte_makes_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It loses an id, which is stored again; each of the others is found, or the read is of that block."""
    found, ids = ChunkIds(scratch(tmp_path), FEW), [new(number) for number in range(1000)]
    found.update(ids)
    assert found.issuperset(ids)
    read = os.pread

    def flip(descriptor: int, size: int, at: int) -> bytes:
        data = bytearray(read(descriptor, size, at))
        data[40] ^= 1
        return bytes(data)

    monkeypatch.setattr(module.os, "pread", flip)
    assert sum(each not in found for each in ids) == 1000 // 64 + 1
    assert not any(new(number) in found for number in range(1000, 2000))


def test_without_files_that_have_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that cannot make one it has a name for a moment, and nothing is left of it."""
    really = os.open

    def refuse(path: str, flags: int, *arguments: int, **how: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return really(path, flags, *arguments, **how)

    monkeypatch.setattr(os, "open", refuse)
    descriptor = open_nameless(tmp_path / "cache")
    assert os.fstat(descriptor).st_nlink == 0
    assert os.fstat(descriptor).st_mode & 0o777 == 0o600
    os.close(descriptor)
    assert os.listdir(tmp_path / "cache") == []
