"""What planning a restore holds: little for an entry, and little for a chunk, however many there are."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from azbackup.commands.restore.outcome import Recorder, RestoreRequest
from azbackup.commands.restore.planner import Planner
from azbackup.commands.restore.standing import Standing
from azbackup.commands.restore.tree import target_entries
from azbackup.format.layers import State
from azbackup.format.model import Entry, Kind, PackId, PackRecord, Snapshot
from azbackup.packs.thaw.policy import State as PackState
from azbackup.packs.thaw.policy import ThawOptions
from azbackup.records.bounds import Bounds
from azbackup.records.selection import Selection
from azbackup.storage.prices import load_prices
from tests.listener import Silent

FEW, MANY = 10_000, 40_000
IN_PACK = 5_000
SNAPSHOT = Snapshot(b"/srv", "host", "20261122T210800Z-0000000000000001", 1, 2, [], cast(Any, None), number=1)


def chunk_id(number: int) -> bytes:
    """Return the id of a numbered chunk."""
    return hashlib.blake2b(b"%d" % number, digest_size=32).digest()


class Vast:
    """A catalog with so many chunks, so many in a file; and the states of their packs, which are all online."""

    newest = 1

    def __init__(self, chunks: int, in_file: int) -> None:
        self._chunks = chunks
        self._in_file = in_file
        self.records = SimpleNamespace(report=None, bounds=Bounds())
        self.retired = SimpleNamespace(condemned={}, has=lambda _: False)
        self.standing = [SNAPSHOT]

    def entries(self, _: Snapshot) -> State:
        """The source, and files of 100 bytes a chunk in directories of 200."""
        return State(iter(self._entries()))

    def _entries(self) -> Iterator[Entry]:
        yield Entry(b"", int(Kind.DIRECTORY), mode=0o755)
        for number in range(self._chunks // self._in_file):
            folder = b"%04d" % (number // 200)
            if number % 200 == 0:
                yield Entry(folder, int(Kind.DIRECTORY), mtime_ns=number, mode=0o755)
            first = number * self._in_file
            ids = b"".join(map(chunk_id, range(first, first + self._in_file)))
            path = folder + b"/note-%06d.txt" % number
            yield Entry(path, int(Kind.FILE), 100 * self._in_file, 10**18 + number * 12345, inode=number, chunks=ids)

    def packs(self) -> Iterator[tuple[PackId, PackRecord]]:
        """Packs that hold all of it."""
        for first in range(0, self._chunks, IN_PACK):
            ids = b"".join(map(chunk_id, range(first, min(first + IN_PACK, self._chunks))))
            count = len(ids) // 32
            record = PackRecord(8 + 300 * count, b"", "hot", ids, [300] * count, [100] * count)
            yield PackId(f"20261122T210800Z-{first:016x}"), record

    def list_packs(self) -> int:
        """No snapshot beyond the last row."""
        return 0

    def agrees(self, *_: object) -> bool:
        """All packs are as their records say."""
        return True

    def list_copies(self) -> None:
        """No copies are listed."""

    def complaints(self, _: object) -> list[str]:
        """Nothing is wrong."""
        return []

    def state_of(self, _: object) -> PackState:
        """All can be read."""
        return PackState.ONLINE

    def state(self, _: object) -> PackState:
        """All can be read."""
        return PackState.ONLINE

    def info(self, _: object) -> None:
        """Nothing more is known."""

    def priority(self, _: object) -> str:
        """Nothing was asked for."""
        return ""


def peak_of_planning(chunks: int, in_file: int) -> int:
    """Return the bytes that the tree and the plan of a restore take at their peak."""
    vast: Any = Vast(chunks, in_file)
    selection = Selection([], [], [])
    request = RestoreRequest([(SNAPSHOT, b"")], None, selection, ThawOptions(), load_prices(None), lambda: 2e9)
    recorder = Recorder(Silent())
    tracemalloc.start()
    try:
        target = target_entries(vast, request.snapshots, selection, with_paths=False)
        standing = Standing(request, target, None, cast(Any, None))
        plan = Planner(request, vast, vast, standing, recorder).plan(target.entries)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(plan.files), plan.files.size, plan.estimate.files) == (chunks // in_file, 100 * chunks, len(plan.files))
    assert len(plan.packs) == -(-chunks // IN_PACK)
    return peak


@pytest.mark.parametrize(("in_file", "most"), [(1, 200), (400, 120)])
def test_memory_grows_little(in_file: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry was 1,200 bytes, a chunk 600. What a block, a segment and a pack take is the same for few and many."""
    monkeypatch.setattr("azbackup.packs.index._FEW", 1000)  # beyond that no set of them is held
    growth = (peak_of_planning(MANY, in_file) - peak_of_planning(FEW, in_file)) / (MANY - FEW)
    assert growth < most
