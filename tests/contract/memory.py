"""A storage account in memory: what the runs need of Azure, kept in dictionaries, under the same contract.

Promises what the protocols promise, from any number of threads; passes the suite of the real adapters. Everything is
open to the tests: `blobs` and `rows` may be looked at, altered and removed, as an adversary with write access could.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

from azbackup.errors import Archived, Changed, Exists, Missing, Unavailable
from azbackup.format.labels import RECORD_BYTES
from azbackup.format.model import SealedRecord
from azbackup.storage.protocols import BlobInfo, PlainRow, RowValue, Span


def md5_of(data: bytes) -> bytes:
    """What Azure keeps as Content-MD5."""
    return hashlib.md5(data, usedforsecurity=False).digest()


@dataclass
class Blob:
    """One blob; `pending` while it thaws."""

    data: bytes
    tier: str
    md5: bytes
    pending: bool = False
    priority: str = ""
    created: float = 0.0


class MemoryBlobs:
    """One container. `now` is the time at which blobs are made."""

    def __init__(self) -> None:
        self.blobs: dict[str, Blob] = {}
        self.now = 0.0
        self.lock = threading.RLock()

    def put_new(self, name: str, data: bytes, tier: str, md5: bytes) -> None:
        """Creates the blob. Exists when other bytes have the name."""
        if md5_of(data) != md5:
            raise Unavailable(f"Azure answered 400 Md5Mismatch for blob {name}", code="Md5Mismatch")
        with self.lock:
            there = self.blobs.get(name)
            if there is not None and there.data != data:
                raise Exists(f"blob {name} exists already", code="BlobAlreadyExists")
            self.blobs.setdefault(name, Blob(bytes(data), tier, md5, created=self.now))

    def put_first(self, name: str, data: bytes, tier: str, md5: bytes) -> None:
        """The same: this container is always there."""
        self.put_new(name, data, tier, md5)

    def get(self, name: str) -> bytes:
        """All of a blob. Missing; Archived."""
        with self.lock:
            found = self.blobs.get(name)
        if found is None:
            raise Missing(f"blob {name} is not there (BlobNotFound)", code="BlobNotFound")
        if found.tier == "archive" or found.pending:
            raise Archived(f"blob {name} is in the archive tier (BlobArchived)", code="BlobArchived")
        return found.data

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        """Some of a blob."""
        return self.get(name)[offset : offset + size]

    def names(self, prefix: str) -> Iterator[str]:
        """The names of the blobs under a prefix."""
        return (info.name for info in self.listed(prefix))

    def listed(self, prefix: str) -> Iterator[BlobInfo]:
        """The blobs under a prefix, by name, as they were when the listing began."""
        with self.lock:
            found = [
                BlobInfo(
                    *(name, len(each.data), each.md5, each.tier),
                    pending=each.pending,
                    priority=each.priority,
                    created=each.created,
                )
                for name, each in self.blobs.items()
                if name.startswith(prefix)
            ]
        return iter(sorted(found, key=lambda info: info.name))


class MemoryThaw(MemoryBlobs):
    """The staging container of a container. Thaws end at once, as on Azurite, or when released if `slow`."""

    def __init__(self, packs: MemoryBlobs, slow: bool = False) -> None:
        super().__init__()
        self.packs = packs
        self.slow = slow
        self.asked: list[str] = []

    def thaw(self, name: str, priority: str) -> bool:
        """Copies an archived blob here; whether it can be read at once."""
        with self.lock, self.packs.lock:
            if name in self.blobs:
                return False
            source = self.packs.blobs.get(name)
            if source is None:
                raise Missing(f"blob {name} is not there (BlobNotFound)", code="BlobNotFound")
            self.asked.append(name)
            self.blobs[name] = Blob(source.data, "hot", source.md5, pending=self.slow, priority=priority)
            return not self.slow

    def raise_priority(self, name: str) -> None:
        """High priority from now on."""
        self.blobs[name].priority = "high"

    def thaw_in_place(self, name: str, priority: str) -> None:
        """Brings the blob itself online."""
        with self.packs.lock:
            source = self.packs.blobs[name]
            source.tier, source.priority = ("archive" if self.slow else "hot"), priority
            source.pending = self.slow

    def archive_again(self, name: str) -> None:
        """Back into the archive tier."""
        with self.packs.lock:
            self.packs.blobs[name].tier = "archive"

    def mark(self, name: str) -> None:
        """Writes an empty blob."""
        with self.lock:
            self.blobs[name] = Blob(b"", "hot", md5_of(b""))

    def delete(self, name: str) -> None:
        """Removes a copy, if it is there."""
        with self.lock:
            self.blobs.pop(name, None)

    def release(self) -> None:
        """Ends all thaws that are pending, of copies and in place."""
        with self.lock, self.packs.lock:
            for each in [*self.blobs.values(), *self.packs.blobs.values()]:
                if each.pending:
                    each.pending, each.tier = False, "hot"


@dataclass
class MemoryTable:
    """A table: rows by partition and name; a record's row is its sealed bytes."""

    rows: dict[tuple[str, str], bytes | PlainRow] = field(default_factory=dict)
    etags: Iterator[int] = field(default_factory=itertools.count)
    lock: threading.RLock = field(default_factory=threading.RLock)


class MemoryRows:
    """One partition of a table."""

    def __init__(self, table: MemoryTable, partition: str) -> None:
        self.table = table
        self.partition = partition

    def get_plain(self, name: str) -> PlainRow:
        """A row of plain properties. Missing."""
        found = self._row(name)
        assert isinstance(found, PlainRow)
        return found

    def insert_plain(self, name: str, values: dict[str, RowValue]) -> None:
        """Creates a row. Exists when another one is there."""
        with self.table.lock:
            there = self.table.rows.get((self.partition, name))
            if there is None:
                self._put_plain(name, values)
            elif not isinstance(there, PlainRow) or there.values != values:
                raise Exists(f"row {name} exists already", code="EntityAlreadyExists")

    def replace_plain(self, name: str, values: dict[str, RowValue], etag: str) -> None:
        """Replaces a row that still has this ETag. Changed, unless the new values are there."""
        with self.table.lock:
            there = self.get_plain(name)
            if there.etag == etag:
                self._put_plain(name, values)
            elif there.values != values:
                raise Changed(f"row {name} was changed meanwhile", code="UpdateConditionNotSatisfied")

    def _put_plain(self, name: str, values: dict[str, RowValue]) -> None:
        self.table.rows[self.partition, name] = PlainRow(dict(values), str(next(self.table.etags)))

    def get(self, name: str) -> bytes:
        """A record's sealed bytes. Missing."""
        found = self._row(name)
        return found if isinstance(found, bytes) else b""

    def _row(self, name: str) -> bytes | PlainRow:
        with self.table.lock:
            found = self.table.rows.get((self.partition, name))
        if found is None:
            raise Missing(f"row {name} is not there (ResourceNotFound)", code="ResourceNotFound")
        return found

    def insert(self, rows: Sequence[SealedRecord]) -> dict[str, str]:
        """Creates the rows, all or nothing; their versions. Exists when one is there with other bytes."""
        with self.table.lock:
            for row in rows:
                if len(row.sealed) > RECORD_BYTES:
                    raise ValueError(f"a record of {len(row.sealed)} bytes does not fit a row")
                if self.table.rows.get((self.partition, row.name), row.sealed) != row.sealed:
                    raise Exists(f"row {row.name} exists already", code="EntityAlreadyExists")
            new = [row for row in rows if (self.partition, row.name) not in self.table.rows]
            self.table.rows.update({(self.partition, row.name): row.sealed for row in new})
            return {row.name: md5_of(row.sealed).hex() for row in new}

    def replace(self, old: SealedRecord, sealed: bytes) -> None:
        """Replaces a row of the old one's version."""
        with self.table.lock:
            there = self.get(old.name)
            if md5_of(there).hex() == old.version:
                self.table.rows[self.partition, old.name] = sealed
            elif there != sealed:
                raise Changed(f"row {old.name} was changed meanwhile", code="UpdateConditionNotSatisfied")

    def versions(self, first: str, last: str, most: int | None = None) -> Iterator[tuple[str, str]]:
        """(name, version) of the rows with first <= name < last; another one whenever a row has other bytes."""
        return ((row.name, row.version) for row in itertools.islice(self.range(first, last), most))

    def first(self, first: str, last: str, most: int) -> list[SealedRecord]:
        """The first rows of a range."""
        return list(itertools.islice(self.range(first, last), most))

    def kept(self, first: str, last: str) -> Iterator[SealedRecord]:  # noqa: ARG002
        """None: nothing is kept on this machine."""
        return iter(())

    def forget(self, names: Sequence[str]) -> bool:  # noqa: ARG002
        """Nothing is kept on this machine."""
        return True

    def ranges(self, spans: Sequence[Span]) -> Iterator[SealedRecord]:
        """The rows of some ranges."""
        return itertools.chain.from_iterable(self.range(span.first, span.last) for span in spans)

    def range(self, first: str, last: str, wanted: Container[str] | None = None) -> Iterator[SealedRecord]:  # noqa: ARG002
        """The rows with first <= name < last, by name, as they were when the query began."""
        with self.table.lock:
            names = sorted(name for owner, name in self.table.rows if owner == self.partition and first <= name < last)
            found = [(name, self.get(name)) for name in names]
        return iter([SealedRecord(name, sealed, md5_of(sealed).hex()) for name, sealed in found])


class MemoryRemoval:
    """What deletes, of a container and a partition of a table."""

    def __init__(self, blobs: MemoryBlobs, rows: MemoryRows) -> None:
        self._blobs = blobs
        self._rows = rows

    def check(self) -> None:
        """It may."""

    def blobs(self, names: Sequence[str]) -> None:
        """Deletes blobs, those that are there."""
        with self._blobs.lock:
            for name in names:
                self._blobs.blobs.pop(name, None)

    def rows(self, names: Sequence[str]) -> None:
        """Deletes rows, those that are there."""
        with self._rows.table.lock:
            for name in names:
                self._rows.table.rows.pop((self._rows.partition, name), None)
