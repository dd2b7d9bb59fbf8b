"""Sealed records kept on this machine, so that a run reads only the rows that are new. Never needed, never trusted.

    names and versions from the table  ->  same version here? these bytes  ->  else the row itself, and kept

A row's version is its ETag, which the service changes with every write: a row that was altered or removed there is
seen as such, since names and versions are always read. What lies here is sealed and is opened like a row; bytes that
do not open are read from the table again (records). A library does the rest (SQLite): several runs at once, a kill
between any two writes. Any error of it ends the cache, never the run. Refuses to grow past its limit.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from azbackup.format.model import SealedRecord
from azbackup.storage.local.cache_file import open_own, remove_odd

T = TypeVar("T")

LIMIT_BYTES = 512 * 1024 * 1024
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

    def has(self, first: str, last: str) -> bool:
        """Whether there is any record with first <= name < last."""
        query = "SELECT 1 FROM records WHERE name >= ? AND name < ? LIMIT 1"
        return self._do(lambda file: file.execute(query, (first, last)).fetchone(), None) is not None

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
