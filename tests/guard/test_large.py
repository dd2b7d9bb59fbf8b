"""What large files cost, counted: 150 MiB of noise and a copy of some of it, in several packs; and an archived file."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.guard.conftest import Guard, Life, live

_MIB = 1 << 20
_PACK = 64 * _MIB
_ONE, _TWO = 90 * _MIB, 60 * _MIB


def make(root: Path) -> None:
    """Two files, and a third like the second."""
    chance = random.Random(5)
    root.mkdir()
    two = chance.randbytes(_TWO)
    (root / "guarded-one").write_bytes(chance.randbytes(_ONE))
    (root / "guarded-two").write_bytes(two)
    (root / "guarded-two again").write_bytes(two)


def edit(root: Path) -> None:
    """Overwrites a MiB of one file, and inserts 64 bytes into another."""
    chance = random.Random(6)
    with (root / "guarded-one").open("r+b") as file:
        file.seek(_ONE // 3)
        file.write(chance.randbytes(_MIB))
    two = (root / "guarded-two").read_bytes()
    (root / "guarded-two").write_bytes(two[: _TWO // 2] + chance.randbytes(64) + two[_TWO // 2 :])


@pytest.fixture(scope="module")
def life(guard: Guard, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Give the four runs, made once."""
    source = tmp_path_factory.mktemp("large") / "source"
    make(source)
    return live(guard, source, edit)


def test_packs_of_a_first_run(life: Life) -> None:
    """As many packs as the bytes need; the copy of a file adds none, and sealing next to nothing."""
    sizes = life.first.added.packs.values()
    assert len(sizes) == math.ceil((_ONE + _TWO) / _PACK)
    assert _ONE + _TWO < sum(sizes) < 1.03 * (_ONE + _TWO)  # padded
    # All but the last are full, as far as the next chunk leaves them: the first has half the room, which is the least.
    first, _, full = sorted(sizes)
    assert _PACK // 2 - 9 * _MIB < first <= _PACK // 2
    assert full > _PACK - 9 * _MIB


def test_requests_of_a_first_run(life: Life) -> None:
    """One for each 64 MiB, and at most 9: one of two listings says which partitions there are beside the new one."""
    assert len(life.first.requests) <= math.ceil((_ONE + _TWO) / _PACK) + 9, life.first.told
    assert life.first.billed["write"] <= len(life.first.added.packs) + 3, life.first.told
    assert (life.first.billed["read"], life.first.billed["list"]) <= (0, 2), life.first.told


def test_rows_of_a_first_run(life: Life) -> None:
    """A row for each pack, for the files, the snapshot, its two heads and the key; three copies hold all of it."""
    added = life.first.added
    assert (len(added.rows), len(added.copies)) == (len(added.packs) + 5, 3), added
    assert sum(added.rows.values()) < 20_000


def test_unchanged_run(life: Life) -> None:
    """At most 7 requests, one of them a listing of the packs, no file opened, a row and its two heads."""
    assert len(life.unchanged.requests) <= 7, life.unchanged.told
    assert life.unchanged.files == []
    assert (len(life.unchanged.added.packs), len(life.unchanged.added.rows)) == (0, 3)


def test_changed_run(life: Life) -> None:
    """At most 9 requests; only the chunks around the two changes are stored, and only the two files are opened."""
    assert len(life.changed.requests) <= 9, life.changed.told
    assert Counter(life.changed.files) == Counter(["guarded-one", "guarded-two"])
    assert sum(life.changed.added.packs.values()) < 16 * _MIB


def test_restore(life: Life) -> None:
    """A pack is read in spans of 24 MiB, as far as the next chunk leaves them, and hardly a byte that is not needed."""
    packs = len(life.first.added.packs) + len(life.changed.added.packs)
    reads = [each for each in life.restore.requests if each.billing == "read"]
    assert len(reads) <= (_ONE + _TWO) / (16 * _MIB) + packs, life.restore.told
    assert len(life.restore.requests) - len(reads) <= 6, life.restore.told
    assert sum(each.answered_bytes for each in reads) < 1.15 * (_ONE + _TWO)


def test_archive_tier(guard: Guard, tmp_path: Path) -> None:
    """From the archive tier: one request thaws a pack, one reads it, and what is pending is seen by listing.

    The first thaw ever also makes the container of thawed copies: a refusal, its creation, and the same again.
    """
    source = tmp_path / "source"
    source.mkdir()
    (source / "guarded-cold").write_bytes(random.Random(8).randbytes(100_000))
    assert len(guard.run("backup.py", source).requests) <= 9
    where = ("--source", source, tmp_path / "restored")
    asked = guard.run("restore.py", *where, expect=75)
    assert asked.billed <= Counter(table=4, list=4, write=3), asked.told
    guard.archive.release()
    done = guard.run("restore.py", *where)
    assert done.billed <= Counter(table=4, list=3, write=1, read=1, delete=2), done.told
    assert (tmp_path / "restored" / "guarded-cold").read_bytes() == (source / "guarded-cold").read_bytes()
