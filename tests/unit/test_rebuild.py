"""A lost table: its rows come back from their copies, each of which is read once, in as few writes as hold them."""

from __future__ import annotations

from typing import Any

from azbackup.commands.maintenance.repair import rebuild_rows
from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.format.framing import frame
from azbackup.format.labels import copy_name, record_blob, snapshot_name
from azbackup.format.model import SealedRecord
from azbackup.records.record_store import RecordStore
from tests.contract.memory import MemoryBlobs, MemoryRows, MemoryTable, md5_of
from tests.listener import Silent

KEYS = derive(Secret(bytes(range(32))))
RUN = "20261122T210800Z-%016x"
RUNS = 250


class Counted:
    """A store that counts the calls of each method."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        self.calls[name] = self.calls.get(name, 0) + 1
        return getattr(self._store, name)


class Lost:
    """A partition of some runs whose table was lost."""

    def __init__(self, runs: int) -> None:
        self.rows, self.blobs, self.show = Counted(MemoryRows(MemoryTable(), "p")), Counted(MemoryBlobs()), Silent()
        self.records = RecordStore(self.rows, self.blobs, KEYS, "p", self.show.damage)
        self.expected: dict[str, bytes] = {}
        for number in range(1, runs + 1):
            run = RUN % number
            packs = [self.records.seal(f"{kind}-{run}{end}", b"x") for kind, end in (("pack", ""), ("files", "-0001"))]
            self.copy(copy_name(run, 1), packs)
            self.copy(snapshot_name(number), [self.records.seal(snapshot_name(number), b"x")])
        self.blobs.calls.clear()

    def copy(self, name: str, rows: list[SealedRecord]) -> None:
        """Store a copy, and expect its rows."""
        data = frame(rows)
        self.blobs.put_new(record_blob("p", name), data, "hot", md5_of(data))
        self.expected.update((row.name, row.sealed) for row in rows)


def test_what_a_rebuild_takes() -> None:
    """One read a copy, three listings, and hardly a write: not eight requests a run."""
    lost = Lost(RUNS)
    assert rebuild_rows(lost.records) == len(lost.expected) == 3 * RUNS
    assert {row.name: row.sealed for row in lost.rows.range("", "~")} == lost.expected
    assert lost.show.damaged == []
    assert lost.blobs.calls == {"listed": 3, "get_range": 2 * RUNS}
    assert lost.rows.calls["insert"] == 2


def test_what_is_there_is_left_alone() -> None:
    """Only what has no row is written, also after a rebuild that was killed."""
    lost = Lost(3)
    lost.records.insert([SealedRecord(name, lost.expected[name]) for name in sorted(lost.expected)[:4]])
    assert rebuild_rows(lost.records) == 9
    assert {row.name: row.sealed for row in lost.rows.range("", "~")} == lost.expected
    assert rebuild_rows(lost.records) == 9
    assert lost.show.damaged == []


def test_planted_copies() -> None:
    """The first that opens counts, wherever it lies; a record that none has is named, once, and left out."""
    lost = Lost(2)
    name, wanted = f"pack-{RUN % 1}", dict(lost.expected)
    lost.copy(copy_name(RUN % 0, 1), [SealedRecord(name, bytes(50)), SealedRecord(f"pack-{RUN % 9}", bytes(50))])
    lost.copy(copy_name(RUN % 3, 1), [SealedRecord(name, bytes(60)), SealedRecord(f"pack-{RUN % 9}", bytes(50))])
    assert rebuild_rows(lost.records) == len(wanted)
    assert {row.name: row.sealed for row in lost.rows.range("", "~")} == wanted
    assert lost.show.damaged == [f"record pack-{RUN % 9} has no copy that opens"]


def test_rows_that_come_meanwhile() -> None:
    """What another run wrote between the listing and the insert costs itself alone, and is named if it differs."""
    lost = Lost(2)
    other = SealedRecord(f"pack-{RUN % 1}", bytes(50))
    lost.records.names = lambda: lost.records.insert([other]) or set()  # type: ignore[method-assign,func-returns-value]
    rebuild_rows(lost.records)
    assert {row.name: row.sealed for row in lost.rows.range("", "~")} == {**lost.expected, other.name: other.sealed}
    [told] = lost.show.damaged
    assert other.name in told
