"""Sealed records: a small online blob each, then a row each. The row is what counts, the copy is what survives.

    sealed = crypto.seal_record(codec.encode_payload(payload))
    copy   = "azbkrec1" || sealed        row = sealed, in properties

Promises that a record that opens is the one that was stored under its name in this partition. A row that does not
open, or is not there though something points to it, is read from its copy; that is remembered in `damage` and shown,
since rows do not vanish by themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from azbackup import codec
from azbackup.crypto import SEAL_BYTES, Keys, open_record, seal_record
from azbackup.errors import Damaged, Missing
from azbackup.formats import RECORD_BYTES, RECORD_MAGIC, record_blob
from azbackup.stores import BlobStore, Row, RowStore


def fits(payload: bytes) -> bool:
    """Whether a payload, compressed and sealed, fits one row."""
    return len(codec.encode_payload(payload)) + SEAL_BYTES <= RECORD_BYTES


class CopiedRows:
    """The rows as their copies show them: what is left to read when the table is lost. Refuses to write."""

    def __init__(self, blobs: BlobStore, partition: str) -> None:
        self._blobs = blobs
        self._prefix = record_blob(partition, "")

    def get(self, name: str) -> bytes:
        """The sealed bytes of a copy. Missing."""
        return unframe(name, self._blobs.get(self._prefix + name))

    def range(self, first: str, last: str) -> Iterator[Row]:
        """The copies with first <= name < last."""
        for info in self._blobs.listed(self._prefix + first.partition("-")[0]):
            name = info.name.removeprefix(self._prefix)
            if first <= name < last:
                yield Row(name, self.get(name))


def unframe(name: str, data: bytes) -> bytes:
    """The sealed bytes in a copy. Damaged when it does not begin like one."""
    if not data.startswith(RECORD_MAGIC):
        raise Damaged(f"the copy of record {name} does not begin with {RECORD_MAGIC.decode()}")
    return data[len(RECORD_MAGIC) :]


class Records:
    """The records of one partition, opened and sealed."""

    def __init__(self, rows: RowStore | CopiedRows, blobs: BlobStore, keys: Keys, partition: str) -> None:
        self._rows = rows
        self._copies = CopiedRows(blobs, partition)
        self._blobs = blobs
        self._keys = keys
        self._partition = partition
        self.damage: list[str] = []

    # --- reading

    def range(self, prefix: str, first: str = "", last: str = "") -> Iterator[tuple[str, bytes]]:
        """(name, payload) of the records under a prefix that ends in '-', or between two names under it."""
        for row in self._rows.range(first or prefix, last or prefix[:-1] + "."):
            yield row.name, self.open(row)

    def rows(self, first: str, last: str) -> Iterator[Row]:
        """The rows with first <= name < last, still sealed."""
        return self._rows.range(first, last)

    def open(self, row: Row) -> bytes:
        """A row's payload; its copy's where the row does not open. Damaged when neither does."""
        try:
            return self._open(row.name, row.sealed)
        except Damaged as error:
            payload = self.copy(row.name, error)
            self.damage.append(f"row {row.name} was altered; its copy was used")
            return payload

    def missing(self, name: str) -> bytes:
        """The payload of a record whose row should be there and is not, from its copy. Damaged when there is none."""
        payload = self.copy(name, Damaged(f"record {name} is missing", "see docs/operations.md, damaged storage"))
        self.damage.append(f"row {name} is missing; its copy was used")
        return payload

    def copy(self, name: str, otherwise: Damaged) -> bytes:
        """The payload of a record's copy; raises `otherwise` where there is none that opens."""
        try:
            return self._open(name, self._copies.get(name))
        except (Missing, Damaged):
            raise otherwise from None

    def copied_row(self, name: str) -> Row:
        """A record's row made from its copy, once the copy has been opened. Missing, Damaged."""
        sealed = self._copies.get(name)
        self._open(name, sealed)
        return Row(name, sealed)

    def _open(self, name: str, sealed: bytes) -> bytes:
        return codec.decode_payload(open_record(self._keys, self._partition, name, sealed))

    def copied_names(self, prefix: str) -> set[str]:
        """The names of the copies under a prefix."""
        whole = record_blob(self._partition, "")
        return {info.name.removeprefix(whole) for info in self._blobs.listed(whole + prefix)}

    # --- writing

    def seal(self, name: str, payload: bytes) -> Row:
        """A record ready to be written."""
        return Row(name, seal_record(self._keys, self._partition, name, codec.encode_payload(payload)))

    def put_copies(self, rows: Iterable[Row]) -> None:
        """Writes the copies, one request each, in order. Exists when one of the names is taken by other bytes."""
        for row in rows:
            data = RECORD_MAGIC + row.sealed
            md5 = hashlib.md5(data, usedforsecurity=False).digest()
            self._blobs.put_new(record_blob(self._partition, row.name), data, "hot", md5)

    def insert(self, rows: Sequence[Row]) -> None:
        """Inserts the rows, whose copies are there. Exists when one of the names is taken by other bytes."""
        assert not isinstance(self._rows, CopiedRows), "a lost table is rebuilt before anything is written"
        self._rows.insert(rows)
