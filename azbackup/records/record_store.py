"""Sealed records: in a copy first, then a row each. The row is what counts, the copy is what survives.

    sealed = crypto.seal_record(codec.encode_payload(payload))

Promises that a record that opens is the one that was stored under its name in this partition. A row that does not
open, or is not there though something points to it, is read from its copy; that is reported as damage, since rows do
not vanish by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from itertools import chain
from typing import TypeVar

from azbackup.crypto.sealing import SEAL_BYTES, Keys, open_record, seal_record, source_hash
from azbackup.errors import Damaged, Missing
from azbackup.format import compression
from azbackup.format.labels import (
    PACK_PREFIX,
    RECORD_BYTES,
    SNAPSHOT_PREFIX,
    is_snapshot,
    number_of,
    pack_blob,
    snapshot_name,
)
from azbackup.format.model import SealedRecord
from azbackup.records.bounds import Bounds
from azbackup.records.copies import USELESS_COPIES, Copies
from azbackup.storage.protocols import BlobStore, RowStore, Span


def compressed(payload: bytes) -> bytes | None:
    """A payload as it is sealed, None where that would not fit one row."""
    frame = compression.encode_payload(payload)
    return frame if len(frame) + SEAL_BYTES <= RECORD_BYTES else None


T = TypeVar("T")
Decode = Callable[[str, bytes], T]  # of a record's name and payload; raises Damaged


def _as_it_is(_: str, payload: bytes) -> bytes:
    return payload


_AGAIN = 32  # rows that do not open and are read once more in a run: a cache is seldom wrong, a vandal often


class RecordStore:
    """The records of one partition, opened and sealed."""

    def __init__(
        self, rows: RowStore | None, blobs: BlobStore, keys: Keys, partition: str, report: Callable[[str], None]
    ) -> None:
        """`rows` is None when the table is lost: everything is read from the copies, and nothing can be written.

        `report` hears of everything in this partition that is damaged; also of what its users find.
        """
        self.copies = Copies(blobs, partition, lambda text: self.report(text))  # noqa: PLW0108  that of then
        self.bounds = Bounds()  # the numbers that snapshots may have
        self._table = rows
        self._blobs = blobs
        self._keys = keys
        self._partition = partition
        self.report = report
        self._asked_again = 0
        self._useless = 0
        self.misses_rows = True  # whether a row that is missing is damage
        self.lost_rows = 0  # rows that a copy had to stand in for, since they are not there
        self.written = 0  # bytes of rows

    def rows(self, first: str, last: str, wanted: Container[str] | None = None) -> Iterator[SealedRecord]:
        """The rows with first <= name < last, still sealed; with `wanted` those, and perhaps others of them."""
        return self._table.range(first, last, wanted) if self._table is not None else self.copies.range(first, last)

    def ranges(self, spans: Sequence[Span]) -> Iterator[SealedRecord]:
        """The rows of some ranges in order, which do not meet, still sealed."""
        if self._table is not None:
            return self._table.ranges(spans)
        return chain.from_iterable(self.copies.range(span.first, span.last) for span in spans)

    def first(self, first: str, last: str, most: int) -> list[SealedRecord]:
        """The first rows of a range, still sealed; none where there is no table."""
        return self._table.first(first, last, most) if self._table is not None else []

    def kept(self, first: str, last: str) -> Iterator[SealedRecord]:
        """The rows of a range as this machine keeps them, still sealed; nobody is asked."""
        return self._table.kept(first, last) if self._table is not None else iter(())

    def forget(self, names: Sequence[str]) -> bool:
        """Has this machine keep some rows no more; whether that could be done."""
        return self._table is None or self._table.forget(names)

    def names(self) -> set[str]:
        """The names of all rows, of whatever kind; nothing else of them is read."""
        assert self._table is not None, "a lost table is rebuilt before anything is written"
        return {name for name, _ in self._table.versions("", "~")}

    def snapshot_numbers(self, first: int) -> set[int]:
        """The numbers from `first` on that a snapshot's row has, genuine or not; nothing but names is read."""
        if self._table is None:
            return set()
        names = self._table.versions(snapshot_name(first), SNAPSHOT_PREFIX[:-1] + ".")
        return {number_of(name, SNAPSHOT_PREFIX) for name, _ in names if is_snapshot(name)}

    def neighbours(self, first: str, last: str) -> Iterator[SealedRecord]:
        """The rows of two prefixes, and of what lies between them in the table, by one query."""
        if self._table is not None:
            yield from self._table.range(first, last[:-1] + ".")
        else:
            for prefix in (first, last):
                yield from self.copies.range(prefix, prefix[:-1] + ".")

    def open(self, row: SealedRecord) -> bytes:
        """A row's payload; its copy's where the row does not open. Raises Damaged if neither does."""
        return self.read(row.name, row)[1]

    def read(self, name: str, row: SealedRecord | None) -> tuple[SealedRecord, bytes]:
        """A record that opens, and its payload: the row, or its copy where that is missing or does not open.

        Raises Damaged if neither does.
        """
        return self.decoded(name, row, _as_it_is)

    def decoded(
        self, name: str, row: SealedRecord | None, decode: Decode[T], *, sure: bool = False
    ) -> tuple[SealedRecord, T]:
        """The same, and what it decodes to: one that opens and is malformed is as good as one that does not open.

        `sure`: its copy is looked at, however many others were of no use.
        """
        if row is None:
            missing = Damaged(f"record {name} is missing", "see docs/operations.md, damaged storage")
            found = self._from_copy(name, decode, missing, sure=sure)
            if self.misses_rows:
                self.lost_rows += 1
                self.report(f"row {name} is missing; its copy was used")
            return found
        try:
            return row, decode(name, self.open_sealed(row))
        except Damaged as error:
            damage = error
        try:
            row = self._again(row)
            return row, decode(name, self.open_sealed(row))
        except Damaged:
            found = self._from_copy(name, decode, damage, sure=sure)
            self.report(f"row {name} was altered; its copy was used")
            return found

    def instead(self, name: str, check: Callable[[bytes], object]) -> bytes | None:
        """The payload of a copy that passes a check its row did not pass; None where there is none."""

        def checked(_: str, payload: bytes) -> bytes:
            check(payload)
            return payload

        try:
            _, payload = self._copied(name, checked, sure=True)
        except Damaged:
            return None
        self.report(f"row {name} was altered; its copy was used")
        return payload

    def _again(self, row: SealedRecord) -> SealedRecord:
        """The row as the table has it: what did not open may have come from a cache."""
        if self._table is None or self._asked_again == _AGAIN:
            return row
        self._asked_again += 1
        try:
            return SealedRecord(row.name, self._table.get(row.name))
        except Missing:
            return row

    @property
    def looks_no_further(self) -> bool:
        """Whether so many copies of snapshots were of no use that only those are read which are sure to be wanted."""
        return self._useless >= USELESS_COPIES

    def _from_copy(self, name: str, decode: Decode[T], otherwise: Damaged, *, sure: bool) -> tuple[SealedRecord, T]:
        try:
            return self._copied(name, decode, sure=sure)
        except Damaged:
            raise otherwise from None

    def copied(self, name: str, *, sure: bool = False) -> SealedRecord:
        """A record as its copy has it, once it was seen to open. Raises Damaged if there is none that does.

        Of copies of snapshots that do not open, each of which is a request, a run reads USELESS_COPIES, and those that
        the caller is `sure` to want.
        """
        return self._copied(name, _as_it_is, sure=sure)[0]

    def _copied(self, name: str, decode: Decode[T], *, sure: bool) -> tuple[SealedRecord, T]:
        one_by_one = name.startswith(SNAPSHOT_PREFIX) and not sure
        if one_by_one and self.looks_no_further:
            raise Damaged(f"record {name} was not looked for: more than {USELESS_COPIES} copies are of no use")
        for sealed in self.copies.candidates(name, sure=sure):
            row = SealedRecord(name, sealed)
            try:
                return row, decode(name, self.open_sealed(row))
            except Damaged:
                continue
        self._useless += one_by_one
        raise Damaged(f"record {name} has no copy that opens")

    def open_sealed(self, row: SealedRecord) -> bytes:
        """The payload of these very bytes. Raises Damaged if it does not decode."""
        return compression.decode_payload(open_record(self._keys, self._partition, row.name, row.sealed))

    def stored_packs(self) -> set[str]:
        """The names of the records that the packs which are there have, by one listing."""
        prefix = pack_blob(self._partition, "")
        return {PACK_PREFIX + name.removeprefix(prefix) for name in self._blobs.names(prefix)}

    def source_hash(self, path: bytes, host: str) -> str:
        """A source as the names of its heads have it; of an empty path the one of all sources."""
        return source_hash(self._keys, path, host)

    # --- writing

    def seal(self, name: str, payload: bytes) -> SealedRecord:
        """A record ready to be written."""
        return self.seal_compressed(name, compression.encode_payload(payload))

    def seal_compressed(self, name: str, frame: bytes) -> SealedRecord:
        """The same of a payload that was compressed already."""
        return SealedRecord(name, seal_record(self._keys, self._partition, name, frame))

    def mend(self, row: SealedRecord) -> None:
        """Puts a record that opens where a row of its name is missing, or does not open; one that opens stays.

        Raises Changed where somebody else does so at the same time, Unavailable where the credentials may not.
        """
        assert self._table is not None, "a lost table is rebuilt before anything is mended"
        for there in self._table.range(row.name, row.name + "!"):
            try:
                self.open_sealed(there)
            except Damaged:
                self._table.replace(there, row.sealed)
            return
        self._table.insert([row])

    def insert(self, rows: Sequence[SealedRecord]) -> None:
        """Inserts the rows, whose copies are there. Raises Exists if one of the names is taken by other bytes."""
        assert self._table is not None, "a lost table is rebuilt before anything is written"
        self._table.insert(rows)
        self.written += sum(len(row.sealed) for row in rows)
