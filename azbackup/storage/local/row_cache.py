"""Sealed records kept on this machine, so that a run reads only the rows that are new. Never needed, never trusted.

    names and versions from the table  ->  same version here? these bytes  ->  else the row itself, and kept

A row's version is its ETag, which the service changes with every write: a row that was altered or removed there is
seen as such, since names and versions are always read. What lies here is sealed and is opened like a row; bytes that
do not open are read from the table again (records). A library does the rest (SQLite): several runs at once, a kill
between any two writes. Any error of it ends the cache, never the run. Refuses to grow past its limit.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from azbackup.format.batches import batches
from azbackup.format.model import SealedRecord
from azbackup.storage.local.cache_file import open_own, remove_odd
from azbackup.storage.protocols import PlainRow, RowStore, RowValue, Span

T = TypeVar("T")

LIMIT_BYTES = 512 * 1024 * 1024
_PUT_BYTES = 4 * 1024 * 1024  # of rows that are read, kept together
_SPANS = 4  # queries for what is missing; more gaps than these are read in one query with all between them
_LISTED = 100  # names that may lie between ranges that are read together
_KEPT_ROWS = 200  # that are taken from the file at once
_WAIT_SECONDS = 0.5  # for another run that writes
_SCHEMA = 1
_TABLES = """
    CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, version TEXT, used INTEGER) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS contents (name TEXT PRIMARY KEY, sealed BLOB);
"""
_MADE = [("table", "contents"), ("table", "records")]
_BESIDE = ("-journal", "-wal", "-shm")  # files that the library may make or find
_PASSING = ("locked", "full", "unable to open")  # words of its errors that do not speak against the file


def _may_pass(error: Exception) -> bool:
    """Whether another run may do better with the same file."""
    busy = isinstance(error, sqlite3.OperationalError) and any(word in str(error) for word in _PASSING)
    return busy or isinstance(error, OSError)


class Cache:
    """One partition's records in one file. Every method does nothing, and gives nothing, once the file has failed."""

    def __init__(self, path: Path, today: int, limit_bytes: int = LIMIT_BYTES) -> None:
        """`today` counts days from anywhere: what was used on a day."""
        self._path = path
        self._today = today
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._file: sqlite3.Connection | None = None
        self._ended = False
        self._suspected = False

    def _open(self) -> sqlite3.Connection:
        os.close(open_own(self._path))
        for beside in _BESIDE:
            remove_odd(self._path.with_name(self._path.name + beside))
        file = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, check_same_thread=False)
        try:
            _prepare(file)
        except BaseException:
            file.close()
            raise
        return file

    def _do(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """The action's value. A file that is no cache is removed; one that is busy is left alone, for this run."""
        with self._lock:
            if self._ended:
                return otherwise
            try:
                if self._file is None:
                    self._file = self._open()
                with self._file:
                    return action(self._file)
            except (OSError, sqlite3.Error, ValueError, TypeError, OverflowError, MemoryError) as error:
                self.close()
                if not _may_pass(error):
                    with contextlib.suppress(OSError):
                        self._path.unlink()
        return otherwise

    def close(self) -> None:
        """Ends the use of the file."""
        self._ended = True
        if self._file is not None:
            with contextlib.suppress(sqlite3.Error):
                self._file.close()

    def versions(self, first: str, last: str) -> dict[str, str]:
        """The versions of the records with first <= name < last; asking counts as use."""
        between = "name >= ? AND name < ?"

        def ask(file: sqlite3.Connection) -> dict[str, str]:
            query = f"SELECT name, version FROM records WHERE {between} AND typeof(version) = 'text'"  # noqa: S608
            listed = file.execute(query, (first, last)).fetchall()
            if any(before >= after for (before, _), (after, _) in pairwise(listed)):
                raise sqlite3.DatabaseError("names out of order: a bad page")
            found = dict(listed)
            stale = f"UPDATE records SET used = ? WHERE {between} AND used < ?"  # noqa: S608
            if found:
                file.execute(stale, (self._today, first, last, self._today))
            return found

        return self._do(ask, {})

    def get(self, name: str) -> bytes | None:
        """A record's sealed bytes, None when they are not here."""
        query = "SELECT sealed FROM contents WHERE name = ?"
        found = self._do(lambda file: file.execute(query, (name,)).fetchone(), None)
        if found is not None and isinstance(found[0], bytes):
            return found[0]
        self._suspect()
        return None

    def put(self, rows: Sequence[SealedRecord]) -> list[str]:
        """Keeps the rows whose version is known, if there is room, and returns their names."""
        kept = [row for row in rows if row.version]

        def write(file: sqlite3.Connection) -> list[str]:
            if not self._has_room(file):
                return []
            names = ((row.name, row.version, self._today) for row in kept)
            file.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", names)
            contents = ((row.name, row.sealed) for row in kept)
            file.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?)", contents)
            return [row.name for row in kept]

        return self._do(write, []) if kept else []

    def confirm(self, first: str, last: str, names: Sequence[str]) -> None:
        """Sees to it that names which were put are found: in a file with a bad page they may not be, for ever."""
        if names and not self.versions(first, last).keys() >= set(names):
            self._suspect()

    def kept(self, first: str, last: str) -> Iterator[SealedRecord]:
        """The records with first <= name < last, by name; asking counts as use."""
        query = (
            "SELECT name, version, sealed FROM records JOIN contents USING (name) WHERE name >= ? AND name < ? "
            "AND typeof(version) = 'text' AND typeof(sealed) = 'blob' ORDER BY name LIMIT ?"
        )
        stale = "UPDATE records SET used = ? WHERE name >= ? AND name < ? AND used < ?"
        self._do(lambda file: file.execute(stale, (self._today, first, last, self._today)), None)
        rows: list[tuple[str, str, bytes]] = []
        while rows := self._do(lambda file: file.execute(query, (first, last, _KEPT_ROWS)).fetchall(), []):  # noqa: B023
            yield from (SealedRecord(name, sealed, version) for name, version, sealed in rows)
            if not first <= rows[-1][0] < last:  # a bad page
                return
            first = rows[-1][0] + "\0"

    def drop(self, names: Sequence[str]) -> None:
        """Forgets some records."""
        if names and self._do(lambda file: _delete(file, names), 0) < len(names):
            self._suspect()

    def forget(self, names: Sequence[str]) -> bool:
        """The same, so that no power cut brings them back; whether all of them were here, and are no more."""
        if not names:
            return True

        def remove(file: sqlite3.Connection) -> int:
            file.execute("PRAGMA synchronous = FULL")
            return _delete(file, names)

        gone = self._do(remove, 0) >= len(names)
        self._do(lambda file: file.execute("PRAGMA synchronous = OFF"), None)
        return gone

    def _suspect(self) -> None:
        """Something was not where it should be: has the library look, once a run, whether the file is sound."""
        if not self._suspected:
            self._suspected = True
            self._do(_check, None)

    def _has_room(self, file: sqlite3.Connection) -> bool:
        """Whether more may be kept; makes room first by forgetting what was not used today, longest unused first."""
        pages, free, page = (
            file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        excess = (pages - free) * page - self._limit
        if excess <= 0:
            return True
        lengths = "SELECT name, length(sealed) FROM records JOIN contents USING (name)"
        unused = []
        for name, size in file.execute(f"{lengths} WHERE used < ? ORDER BY used, name", (self._today,)):
            unused.append(name)
            excess -= size
            if excess <= -self._limit // 10:
                break
        _delete(file, unused)
        return bool(excess <= 0)


def _prepare(file: sqlite3.Connection) -> None:
    """Makes an empty file a cache. Raises sqlite3.DatabaseError for one of another version, or no cache at all."""
    file.execute("PRAGMA synchronous = OFF")  # a machine that crashes loses the cache at worst
    (schema,) = file.execute("PRAGMA user_version").fetchone()
    if schema not in (0, _SCHEMA):
        raise sqlite3.DatabaseError("of another version")
    if schema == 0:
        file.executescript(_TABLES + f"PRAGMA user_version = {_SCHEMA}")
    if sorted(file.execute("SELECT type, name FROM sqlite_master WHERE type != 'index'")) != _MADE:
        raise sqlite3.DatabaseError("not as it was made")


def _delete(file: sqlite3.Connection, names: Sequence[str]) -> int:
    """How many of the names were there."""
    found = 0
    for table in ("records", "contents"):
        found = file.executemany(f"DELETE FROM {table} WHERE name = ?", ((name,) for name in names)).rowcount  # noqa: S608
    return found


def _check(file: sqlite3.Connection) -> None:
    """Raises DatabaseError for a file that is not sound."""
    (answer,) = file.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise sqlite3.DatabaseError("not sound")


class CachedRows:
    """A RowStore whose ranges come from the cache where the table still has the same version."""

    def __init__(self, rows: RowStore, cache: Cache) -> None:
        self._rows = rows
        self._cache = cache

    def get_plain(self, name: str) -> PlainRow:
        """Reads the row from the table."""
        return self._rows.get_plain(name)

    def insert_plain(self, name: str, values: dict[str, RowValue]) -> None:
        """Creates the row in the table."""
        self._rows.insert_plain(name, values)

    def replace_plain(self, name: str, values: dict[str, RowValue], etag: str) -> None:
        """Replaces the row in the table."""
        self._rows.replace_plain(name, values, etag)

    def get(self, name: str) -> bytes:
        """Reads the record from the table and drops the cached one, whose bytes did not open.

        Raises Missing if there is none.
        """
        self._cache.drop([name])
        return self._rows.get(name)

    def insert(self, rows: Sequence[SealedRecord]) -> dict[str, str]:
        """Creates the rows in the table, and keeps those that it created."""
        versions = self._rows.insert(rows)
        self._cache.put([SealedRecord(row.name, row.sealed, versions.get(row.name, "")) for row in rows])
        return versions

    def replace(self, old: SealedRecord, sealed: bytes) -> None:
        """Replaces the row in the table, and forgets the old one."""
        self._cache.drop([old.name])
        self._rows.replace(old, sealed)

    def versions(self, first: str, last: str, most: int | None = None) -> Iterator[tuple[str, str]]:
        """Yields the names and versions that the table has."""
        return self._rows.versions(first, last, most)

    def range(self, first: str, last: str, wanted: Container[str] | None = None) -> Iterator[SealedRecord]:
        """The rows in the order of their names, from here where they are the table's.

        Where nothing is kept of a range it is read as it is, in no more requests than without a cache.
        """
        kept = self._cache.versions(first, last)
        if not kept:
            yield from self._read(first, last)
        else:
            yield from self._compared(first, last, list(self._rows.versions(first, last)), kept, wanted)

    def first(self, first: str, last: str, most: int) -> list[SealedRecord]:
        """The first rows of a range, read from the table and kept."""
        rows = self._rows.first(first, last, most)
        self._cache.put(rows)
        return rows

    def kept(self, first: str, last: str) -> Iterator[SealedRecord]:
        """The rows that are here."""
        return self._cache.kept(first, last)

    def forget(self, names: Sequence[str]) -> bool:
        """Drops rows that are here, for good."""
        return self._cache.forget(names)

    def ranges(self, spans: Sequence[Span]) -> Iterator[SealedRecord]:
        """The rows of some ranges. Where much lies between them, those that are here whole are taken as they are.

        Nobody asks then whether they are still the table's: verification does, and any machine that has none of them.
        """
        first, last = spans[0].first, spans[-1].last
        kept = self._cache.versions(first, last)
        if not kept:
            yield from self._keeping(self._rows.ranges(spans))
            return
        listed = list(self._rows.versions(first, last, _LISTED))
        if len(listed) < _LISTED:
            yield from self._compared(first, last, listed, kept, _Within(spans))
            return
        for span in spans:
            yield from self._whole(span, sorted(name for name in kept if span.first <= name < span.last), kept)

    def _whole(self, span: Span, names: list[str], kept: dict[str, str]) -> Iterator[SealedRecord]:
        """The rows of a range as they are here if all are, else as the table has them."""
        found = names if len(names) == span.rows else []
        rows = [SealedRecord(name, self._cache.get(name) or b"", kept[name]) for name in found]
        if rows and all(row.sealed for row in rows):
            yield from rows
        else:
            yield from self.range(span.first, span.last)

    def _compared(
        self,
        first: str,
        last: str,
        listed: list[tuple[str, str]],
        kept: dict[str, str],
        wanted: Container[str] | None,
    ) -> Iterator[SealedRecord]:
        """A range whose names and versions were listed."""
        self._cache.drop(list(kept.keys() - {name for name, _ in listed}))
        spans = _spans(listed, kept, wanted, last)
        added: list[str] = []
        for begin, end, missing in spans:
            if missing:
                added += yield from self._read(begin, end)
            elif (sealed := self._cache.get(begin)) is not None:
                yield SealedRecord(begin, sealed, kept[begin])
            else:  # the file is not what it was: one query for all that is left, and it is kept anew
                added += yield from self._read(begin, spans[-1][1])
                break
        self._cache.confirm(first, last, added)

    def _read(self, first: str, last: str) -> Generator[SealedRecord, None, list[str]]:
        """A range of the table, kept as it is read; the names that were kept."""
        return (yield from self._keeping(self._rows.range(first, last)))

    def _keeping(self, found: Iterator[SealedRecord]) -> Generator[SealedRecord, None, list[str]]:
        names: list[str] = []
        for rows in batches(found, lambda row: len(row.sealed), _PUT_BYTES):
            yield from rows
            names += self._cache.put(rows)
        return names


class _Within:
    """The names that lie in one of some ranges."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._firsts = [span.first for span in spans]
        self._lasts = [span.last for span in spans]

    def __contains__(self, name: object) -> bool:
        at = bisect.bisect_right(self._firsts, str(name)) - 1
        return at >= 0 and str(name) < self._lasts[at]


def _spans(
    listed: list[tuple[str, str]], kept: dict[str, str], wanted: Container[str] | None, last: str
) -> list[tuple[str, str, bool]]:
    """(first, end, whether it is to be read) in order: a kept record each, or a range with missing ones."""
    spans: list[tuple[str, str, bool]] = []
    ends = [*(name for name, _ in listed), last][1:]
    for (name, version), end in zip(listed, ends, strict=True):
        if wanted is not None and name not in wanted:
            continue
        missing = not version or kept.get(name) != version
        if missing and spans and spans[-1][2] and spans[-1][1] == name:
            spans[-1] = (spans[-1][0], end, True)
        else:
            spans.append((name, end, missing))
    gaps = [span for span in spans if span[2]]
    if len(gaps) <= _SPANS:
        return spans
    first, end = gaps[0][0], gaps[-1][1]
    before = [span for span in spans if span[0] < first]
    return [*before, (first, end, True), *(span for span in spans if span[0] >= end)]
