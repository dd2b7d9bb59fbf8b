"""The cache of records: what it spares, what it never hides, and that nothing depends on it."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.format.model import SealedRecord
from azbackup.records.record_store import RecordStore
from azbackup.storage.local.cached_rows import CachedRows
from azbackup.storage.local.row_cache import Cache
from azbackup.storage.protocols import Span
from tests.contract.memory import MemoryBlobs, MemoryRows, MemoryTable

TODAY = 20_000
RANGE = ("files-", "files.")


class Counted(MemoryRows):
    """Rows in memory that note every query: ('names' or 'rows', first, last)."""

    def __init__(self, table: MemoryTable) -> None:
        super().__init__(table, "user1")
        self.asked: list[tuple[str, str, str]] = []

    def versions(self, first: str, last: str, most: int | None = None) -> Iterator[tuple[str, str]]:
        """Noted."""
        self.asked.append(("names", first, last))
        return ((row.name, row.version) for row in islice(super().range(first, last), most))

    def range(self, first: str, last: str, wanted: Container[str] | None = None) -> Iterator[SealedRecord]:
        """Noted."""
        self.asked.append(("rows", first, last))
        return super().range(first, last, wanted)

    def taken(self) -> list[str]:
        """The kinds of the queries since the last call."""
        kinds = [kind for kind, _, _ in self.asked]
        self.asked.clear()
        return kinds


@pytest.fixture
def table() -> MemoryTable:
    """Give an empty table."""
    return MemoryTable()


@pytest.fixture
def rows(table: MemoryTable) -> Counted:
    """Give the rows of a partition."""
    return Counted(table)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the name of a cache file, in a directory that is not there yet."""
    return tmp_path / "cache" / "a.records"


_OPENED: list[Cache] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close the cache of every run at the end, as the end of its process would."""
    yield
    while _OPENED:
        _OPENED.pop().close()


def cache(path: Path, today: int = TODAY, limit: int = 1 << 30) -> Cache:
    """A new run's cache."""
    _OPENED.append(Cache(path, today, limit))
    return _OPENED[-1]


def cached(rows: Counted, path: Path, today: int = TODAY, limit: int = 1 << 30) -> CachedRows:
    """A new run's view of the rows."""
    return CachedRows(rows, cache(path, today, limit))


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The cache file itself; what is done to it is committed, and it is closed."""
    with closing(sqlite3.connect(path)) as file, file:
        yield file


def some(*numbers: int, size: int = 100) -> list[SealedRecord]:
    """Rows with contents of their own."""
    return [SealedRecord(f"files-{number:04d}", number.to_bytes(4, "big") * (size // 4)) for number in numbers]


def test_the_first_reading_asks_once(rows: Counted, path: Path) -> None:
    """Where nothing is kept a range costs what it costs without a cache; the next run asks for names only."""
    MemoryRows.insert(rows, some(1, 2, 3))
    assert list(cached(rows, path).range(*RANGE)) == some(1, 2, 3)
    assert rows.taken() == ["rows"]
    assert list(cached(rows, path).range(*RANGE)) == some(1, 2, 3)
    assert rows.taken() == ["names"]


def test_what_was_inserted_here_is_not_read_again(rows: Counted, path: Path) -> None:
    """A run's own records are known to the next run."""
    cached(rows, path).insert(some(1, 2))
    cached(rows, path).insert(some(3))
    assert list(cached(rows, path).range(*RANGE)) == some(1, 2, 3)
    assert rows.taken() == ["names"]


def test_only_what_is_new_is_read(rows: Counted, path: Path) -> None:
    """Rows of another machine come in one query of their own, in their places."""
    list_of_ours = some(*range(10, 20))
    cached(rows, path).insert(list_of_ours)
    rows.insert(some(5, 30, 31))
    assert list(cached(rows, path).range(*RANGE)) == [*some(5), *list_of_ours, *some(30, 31)]
    assert rows.asked == [
        ("names", *RANGE),
        ("rows", "files-0005", "files-0010"),
        ("rows", "files-0030", "files."),
    ]


def test_many_gaps_are_read_at_once(rows: Counted, path: Path) -> None:
    """Not a query for every row between others: one, that begins and ends with what is missing."""
    cached(rows, path).insert(some(*range(0, 40, 2)))
    rows.insert(some(*range(11, 31, 2)))
    expected = some(*sorted([*range(0, 40, 2), *range(11, 31, 2)]))
    assert list(cached(rows, path).range(*RANGE)) == expected
    assert rows.asked == [("names", *RANGE), ("rows", "files-0011", "files-0030")]
    rows.taken()
    assert list(cached(rows, path).range(*RANGE)) == expected
    assert rows.taken() == ["names"]


def runs(*letters: str) -> list[Span]:
    """The ranges of some runs, which have two rows each."""
    return [Span(f"files-{letter}-", f"files-{letter}.", 2) for letter in letters]


def of_runs(*letters: str) -> list[SealedRecord]:
    """Their rows."""
    return [SealedRecord(f"files-{letter}-{number}", letter.encode() * 9) for letter in letters for number in (1, 2)]


def test_ranges_with_little_between(rows: Counted, path: Path) -> None:
    """One query tells the names of all; only what is new is read, and nothing of the runs between."""
    cached(rows, path).insert(of_runs("a", "b"))
    rows.insert(of_runs("c", "d"))
    assert list(cached(rows, path).ranges(runs("a", "c"))) == of_runs("a", "c")
    assert rows.asked == [("names", "files-a-", "files-c."), ("rows", "files-c-1", "files-c.")]
    rows.taken()
    assert list(cached(rows, path).ranges(runs("a", "c"))) == of_runs("a", "c")
    assert rows.taken() == ["names"]


def test_ranges_with_much_between(rows: Counted, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is here whole is taken, unasked; a run of which a row is not here is asked for, and so is one with more."""
    monkeypatch.setattr("azbackup.storage.local.cached_rows._LISTED", 3)
    first = cached(rows, path)
    first.insert([*of_runs("a", "b"), *of_runs("d")[:1], SealedRecord("files-e-0", b"planted")])
    rows.insert(of_runs("c"))
    rows.insert(of_runs("d")[1:])
    first.insert(of_runs("e"))
    found = list(cached(rows, path).ranges(runs("a", "c", "d", "e")))
    assert [row for row in found if row.sealed != b"planted"] == of_runs("a", "c", "d", "e")
    assert [first for kind, first, _ in rows.asked if kind == "rows"] == ["files-c-", "files-d-2"]
    assert [first for kind, first, _ in rows.asked if kind == "names"] == ["files-a-", "files-d-", "files-e-"]
    rows.taken()
    assert list(cached(rows, path).ranges(runs("a", "c", "d"))) == of_runs("a", "c", "d")
    assert rows.taken() == ["names"]


def test_ranges_where_nothing_is_kept(rows: Counted, path: Path) -> None:
    """They are read as without a cache, and kept."""
    MemoryRows.insert(rows, of_runs("a", "b", "c"))
    assert list(cached(rows, path).ranges(runs("a", "c"))) == of_runs("a", "c")
    assert set(rows.taken()) == {"rows"}
    assert list(cached(rows, path).ranges(runs("a", "c"))) == of_runs("a", "c")
    assert rows.taken() == ["names"]


def test_unwanted_rows_do_not_travel(rows: Counted, path: Path) -> None:
    """What is missing and not wanted stays where it is."""
    cached(rows, path).insert(some(1, 9))
    rows.insert(some(2, 3, 4, 5))
    found = list(cached(rows, path).range(*RANGE, wanted={"files-0001", "files-0004", "files-0009"}))
    assert found == some(1, 4, 9)
    assert rows.asked[1:] == [("rows", "files-0004", "files-0005")]


def test_a_row_that_was_altered_is_read(rows: Counted, path: Path, table: MemoryTable) -> None:
    """Its version tells: the cache does not hide what was done to the table."""
    cached(rows, path).insert(some(1, 2))
    table.rows["user1", "files-0002"] = b"altered"
    assert [row.sealed for row in cached(rows, path).range(*RANGE)][1] == b"altered"


def test_a_row_that_was_removed_is_gone(rows: Counted, path: Path, table: MemoryTable) -> None:
    """Here too: it is neither given nor kept."""
    cached(rows, path).insert(some(1, 2))
    del table.rows["user1", "files-0001"]
    assert list(cached(rows, path).range(*RANGE)) == some(2)
    assert cache(path).get("files-0001") is None
    table.rows.clear()
    assert list(cached(rows, path).range(*RANGE)) == []


def test_a_row_without_a_version_is_always_read(rows: Counted, path: Path) -> None:
    """An answer that was lost, or a service that tells none: nothing is taken for granted."""
    cache(path).put(some(1))
    rows.insert(some(1, 2))
    assert list(cached(rows, path).range(*RANGE)) == some(1, 2)
    assert rows.taken() == ["rows"]


def records(rows: CachedRows | Counted, damage: list[str]) -> RecordStore:
    """The records of a partition under some key; their damage goes into a list."""
    return RecordStore(rows, MemoryBlobs(), derive(Secret(bytes(32))), "user1", damage.append)


def test_bytes_that_rotted_here_are_read_from_the_table(rows: Counted, path: Path) -> None:
    """A flipped bit in the file, or bytes that somebody put there, cost a request, and are no damage."""
    damage: list[str] = []
    writer = records(cached(rows, path), damage)
    writer.insert([writer.seal("files-a", b"right")])
    with opened(path) as file:
        file.execute("UPDATE contents SET sealed = ?", (os.urandom(60),))
    reader = records(cached(rows, path), damage)
    assert [reader.open(row) for row in reader.rows(*RANGE)] == [b"right"]
    assert damage == []
    assert rows.taken() == ["names"]


def test_bytes_that_are_missing_here_are_read_from_the_table(rows: Counted, path: Path) -> None:
    """A name without its contents, or with none that are bytes."""
    cached(rows, path).insert(some(1, 2))
    with opened(path) as file:
        file.execute("DELETE FROM contents WHERE name = 'files-0001'")
        file.execute("UPDATE contents SET sealed = 'text' WHERE name = 'files-0002'")
    assert list(cached(rows, path).range(*RANGE)) == some(1, 2)


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(200), os.urandom(5000)])
def test_a_file_that_is_no_cache_is_replaced(rows: Counted, path: Path, content: bytes) -> None:
    """This run does without; the next one has a new file."""
    path.parent.mkdir()
    path.write_bytes(content)
    rows.insert(some(1))
    for _ in range(3):
        assert list(cached(rows, path).range(*RANGE)) == some(1)
    assert rows.taken()[-1] == "names"


def test_a_file_of_another_version_is_replaced(rows: Counted, path: Path) -> None:
    """A cache needs no migration."""
    cached(rows, path).insert(some(1))
    with opened(path) as file:
        file.execute("PRAGMA user_version = 99")
    for _ in range(3):
        assert list(cached(rows, path).range(*RANGE)) == some(1)
    assert rows.taken() == ["rows", "rows", "names"]


def test_a_file_that_is_cut_anywhere(rows: Counted, path: Path) -> None:
    """Whatever a crash of the machine left: the rows are the table's."""
    payloads = [os.urandom(1000) for _ in range(50)]
    damage: list[str] = []
    writer = records(cached(rows, path), damage)
    writer.insert([writer.seal(f"files-{number:04d}", payload) for number, payload in enumerate(payloads)])
    whole = path.read_bytes()
    for end in range(0, len(whole), 1500):
        path.write_bytes(whole[:end] + bytes(end % 2 * 5000))
        reader = records(cached(rows, path), damage)
        assert [reader.open(row) for row in reader.rows(*RANGE)] == payloads
        assert damage == []


def test_without_a_place_for_the_file(rows: Counted, tmp_path: Path) -> None:
    """A run goes on where nothing can be kept."""
    (tmp_path / "file").touch()
    rows.insert(some(1))
    ours = cached(rows, tmp_path / "file" / "a.records")
    ours.insert(some(2))
    assert list(ours.range(*RANGE)) == some(1, 2)


def test_another_run_that_writes_is_not_waited_for(rows: Counted, path: Path) -> None:
    """A lock of somebody else costs this run the cache, after half a second, and nothing more."""
    cached(rows, path).insert(some(1))
    with opened(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert list(cached(rows, path).range(*RANGE)) == some(1)
        other.rollback()
    assert list(cached(rows, path).range(*RANGE)) == some(1)
    assert rows.taken() == ["rows", "names"]


def test_runs_and_threads_at_once(rows: Counted, path: Path) -> None:
    """Each sees the table's rows, whatever the others keep meanwhile."""
    failed: list[Sequence[SealedRecord]] = []

    def run(number: int) -> None:
        ours = cached(rows, path)
        for step in range(20):
            mine = some(number * 1000 + step)
            ours.insert(mine)
            if not set(mine) <= set(found := list(ours.range(*RANGE))):
                failed.append(found)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list(cached(rows, path).range(*RANGE)) == some(
        *(each * 1000 + step for each in range(4) for step in range(20))
    )


def test_it_is_bounded(rows: Counted, path: Path) -> None:
    """What was not used today makes room, longest unused first; where all was used nothing more is kept."""
    limit = 300_000
    cached(rows, path, today=1, limit=limit).insert(some(*range(100), size=2000))
    list(cached(rows, path, today=2, limit=limit).range("files-0050", "files."))
    for number in range(100, 600):
        cached(rows, path, today=3, limit=limit).insert(some(number, size=2000))
    assert path.stat().st_size < limit * 1.5
    kept = cache(path, 3).versions("", "~")
    assert not [name for name in kept if name < "files-0050"]
    assert "files-0100" in kept
    assert list(cached(rows, path, today=3).range(*RANGE)) == some(*range(600), size=2000)


@given(at=st.integers(0, 24_575), value=st.integers(1, 255))
@example(at=7511, value=1)  # a name out of order in its page
@example(at=20, value=255)
@settings(max_examples=60)
def test_one_byte_gone_bad(tmp_path_factory: pytest.TempPathFactory, at: int, value: int) -> None:
    """Wherever it is: no run fails, every name is given, and what it costs is over after a few runs."""
    path = tmp_path_factory.mktemp("bad") / "a.records"
    rows = Counted(MemoryTable())
    cached(rows, path).insert(some(*range(40)))
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= value
    path.write_bytes(data)
    for _ in range(4):
        rows.taken()
        assert [row.name for row in cached(rows, path).range(*RANGE)] == [row.name for row in some(*range(40))]
    assert rows.taken() == ["names"]


def test_contents_that_are_gone(rows: Counted, path: Path) -> None:
    """Names are kept and contents are not: one query reads them all, not one each, and they are kept again."""
    cached(rows, path).insert(some(*range(40)))
    with opened(path) as file:
        file.execute("UPDATE contents SET sealed = NULL")
    assert list(cached(rows, path).range(*RANGE)) == some(*range(40))
    assert rows.taken() == ["names", "rows"]
    assert list(cached(rows, path).range(*RANGE)) == some(*range(40))
    assert rows.taken() == ["names"]


def test_use_is_noted(rows: Counted, path: Path) -> None:
    """What a run reads counts as used on its day."""
    cached(rows, path, today=1).insert(some(1, 2))
    list(cached(rows, path, today=5).range("files-0002", "files."))
    with opened(path) as file:
        assert dict(file.execute("SELECT name, used FROM records")) == {"files-0001": 1, "files-0002": 5}


def test_only_this_user_can_read_it(rows: Counted, path: Path) -> None:
    """The file and its directory are closed to others."""
    cached(rows, path).insert(some(1))
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


# --- what is kept, and nobody asked


def test_kept_rows_are_taken_as_they_are(rows: Counted, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are here, by name, however few are taken at once; the table is not asked."""
    monkeypatch.setattr("azbackup.storage.local.row_cache._KEPT_ROWS", 2)
    cached(rows, path).insert(some(*range(1, 8)))
    ours = cached(rows, path)
    assert list(ours.kept(*RANGE)) == some(*range(1, 8))
    assert list(ours.kept("files-0003", "files-0005")) == some(3, 4)
    assert list(ours.kept("pack-", "pack.")) == []
    assert rows.taken() == []
    with opened(path) as file:
        file.execute("UPDATE contents SET sealed = 'text' WHERE name = 'files-0002'")
    assert list(cached(rows, path).kept(*RANGE)) == some(1, *range(3, 8))


def test_what_is_forgotten_is_kept_no_more(rows: Counted, path: Path) -> None:
    """And whoever asks for it is told whether that could be done."""
    cached(rows, path).insert(some(1, 2, 3))
    ours = cached(rows, path)
    assert ours.forget([])
    assert ours.forget(["files-0001", "files-0003"])
    assert list(ours.kept(*RANGE)) == some(2)
    assert not ours.forget(["files-0001"])
    with opened(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert not cached(rows, path).forget(["files-0002"])
        other.rollback()
    assert list(cached(rows, path).kept(*RANGE)) == some(2)


def test_what_is_kept_of_a_cut_file(rows: Counted, path: Path) -> None:
    """Rows that were put here or none: it comes to an end."""
    cached(rows, path).insert(some(*range(1, 400)))
    whole = path.read_bytes()
    for end in range(0, len(whole), 3000):
        path.write_bytes(whole[:end] + bytes(end % 2 * 5000))
        found = list(cached(rows, path).kept(*RANGE))
        assert len(found) <= 400
