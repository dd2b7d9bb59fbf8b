"""The copies of records: small online blobs, a run's records together in few of them.

A run's pack and file records lie in `<partition>/records/<run id>-<NNNN>`, 1, 2, ...; a snapshot's copy has its own
blob under its record's name, since whoever creates that blob takes the number. Written before the rows; read only
when a row is missing, does not open, or the table is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import msgspec

from azbackup.errors import Archived, Damaged, Exists, Missing
from azbackup.format.checksum import md5_of
from azbackup.format.framing import COPY_BYTES, SNAPSHOT_COPY_BYTES, frame, unframe
from azbackup.format.labels import (
    FILES_PREFIX,
    KEY_COPY_PREFIX,
    RETIRED_PREFIX,
    SNAPSHOT_PREFIX,
    copy_name,
    is_snapshot,
    number_of,
    record_blob,
)
from azbackup.format.model import RunId, SealedRecord
from azbackup.storage.protocols import BlobInfo, BlobStore
from azbackup.workers import ahead

USELESS_COPIES = 100  # of snapshots: no more that do not open are read in a run, however many there are
_AHEAD = 3  # copies that are read while one is looked at
_ASKED = 8  # copies of snapshots that are asked for one by one; then a listing says which there are

_AHEAD = 4  # copies that are read ahead where all are read, each of at most 16 MiB


_ALONE = (SNAPSHOT_PREFIX, RETIRED_PREFIX)  # records whose copy has a blob of its own, under their name


class Copies:
    """The copies of one partition's records, read as if they were rows."""

    def __init__(self, blobs: BlobStore, partition: str, report: Callable[[str], None]) -> None:
        """`report` hears of copies that cannot be read: larger than any copy is, or in the archive tier."""
        self._blobs = blobs
        self._report = report
        self._prefix = record_blob(partition, "")
        self._asked = 0
        self._numbers: set[int] | None = None  # of the copies of snapshots, once they were listed
        self._read: dict[str, dict[str, list[bytes]]] = {}  # blob name prefix -> record name -> sealed bytes

    # --- writing

    def put(self, name: str, rows: Sequence[SealedRecord]) -> None:
        """Writes one copy, in one request. Raises Exists if the name is taken by other bytes."""
        data = frame(rows)
        try:
            self._blobs.put_new(self._prefix + name, data, "hot", md5_of(data))
        except Exists:
            if self._numbers is not None and is_snapshot(name):
                self._numbers.add(number_of(name, SNAPSHOT_PREFIX))  # it came after the listing
            raise

    # --- reading

    def candidates(self, name: str, *, sure: bool = False) -> list[bytes]:
        """All sealed bytes that are found under a record's name; `sure`: whatever was asked for before.

        Whoever can create blobs can plant some: the seal tells which are genuine.
        """
        if name.startswith(SNAPSHOT_PREFIX):
            if not (sure or self._may_be_there(name)):
                return []
            try:
                rows = self._records(self._get(name, SNAPSHOT_COPY_BYTES))
            except Missing:
                return []
            return [row.sealed for row in rows if row.name == name]
        run = name.removeprefix(FILES_PREFIX).rpartition("-")[0] + "-" if name.startswith(FILES_PREFIX) else ""
        return self._under(run or _place(name)).get(name, [])

    def names(self, prefix: str) -> list[str]:
        """The names of the records that have a copy, under a prefix."""
        return sorted(name for name in self._under(_place(prefix)) if name.startswith(prefix))

    def files_of(self, run: str) -> set[str]:
        """The names of a run's file records that have a copy."""
        return {name for name in self._under(run + "-") if name.startswith(f"{FILES_PREFIX}{run}-")}

    def range(self, first: str, last: str) -> Iterator[SealedRecord]:
        """The records with first <= name < last, in the order of their names, as a table would give them."""
        records = self._under(_place(first))
        for name in sorted(records):
            if first <= name < last:
                yield SealedRecord(name, records[name][0])

    def every(self, *, snapshots: bool) -> Iterator[SealedRecord]:
        """The records in all copies of snapshots, or in all others, as they come; a few copies are read ahead."""
        listed = self._blobs.listed(self._prefix + (SNAPSHOT_PREFIX if snapshots else ""))
        names = ((info.name.removeprefix(self._prefix), info.size) for info in listed)
        wanted = (
            partial(self._listed, name, size)
            for name, size in names
            if snapshots or not name.startswith((SNAPSHOT_PREFIX, KEY_COPY_PREFIX))
        )
        for data in ahead(wanted, _AHEAD):
            yield from self._records(data)

    def of_run(self, run: RunId | str, count: int) -> list[SealedRecord]:
        """Reads the records in a run's copies 1 to `count`. Raises Missing if one is not there, Damaged."""
        rows: list[SealedRecord] = []
        for number in range(1, count + 1):
            rows += unframe(self._get(copy_name(str(run), number), COPY_BYTES))
        return rows

    def _under(self, prefix: str) -> dict[str, list[bytes]]:
        """All records in the copies whose blob names begin so; '' means all runs. Read once."""
        if prefix not in self._read:
            found: dict[str, list[bytes]] = {}
            for info in self._blobs.listed(self._prefix + prefix):
                name = info.name.removeprefix(self._prefix)
                if prefix or not name.startswith((*_ALONE, KEY_COPY_PREFIX)):
                    for row in self._records(self._listed(name, info.size)):
                        found.setdefault(row.name, []).append(row.sealed)
            self._read[prefix] = found
        return self._read[prefix]

    def listed(self) -> Iterator[BlobInfo]:
        """All copies, of runs, snapshots and keys, by their names below `records/`."""
        for info in self._blobs.listed(self._prefix):
            yield msgspec.structs.replace(info, name=info.name.removeprefix(self._prefix))

    def contents(self, infos: Iterable[BlobInfo]) -> Iterator[tuple[str, list[SealedRecord]]]:
        """(name, records) of copies of runs as they are listed, one at a time: of a few at once none is kept."""

        def read(info: BlobInfo) -> tuple[str, bytes | str]:
            try:
                return info.name, self._tried(info.name, COPY_BYTES, info.size)
            except Missing:
                return info.name, b""

        for name, data in ahead((partial(read, info) for info in infos), _AHEAD):
            if isinstance(data, str):
                self._report(data)
                data = b""
            yield name, self._records(data)

    def snapshot_numbers(self) -> set[int]:
        """The numbers that a snapshot's copy has, genuine or not, by one listing."""
        names = (name.removeprefix(self._prefix) for name in self._blobs.names(self._prefix + SNAPSHOT_PREFIX))
        self._numbers = {number_of(name, SNAPSHOT_PREFIX) for name in names if is_snapshot(name)}
        return self._numbers

    def _may_be_there(self, name: str) -> bool:
        """Whether a snapshot's copy is worth a request: rows that nobody stored a copy of may be thousands."""
        self._asked += 1
        if self._asked <= _ASKED:
            return True
        numbers = self._numbers if self._numbers is not None else self.snapshot_numbers()
        return number_of(name, SNAPSHOT_PREFIX) in numbers

    def _listed(self, name: str, size: int) -> bytes:
        """A blob that was listed; what became of it since counts as nothing."""
        try:
            return self._get(name, SNAPSHOT_COPY_BYTES if name.startswith(SNAPSHOT_PREFIX) else COPY_BYTES, size)
        except Missing:
            return b""

    def _get(self, name: str, most: int, size: int = 0) -> bytes:
        """A blob of at most so many bytes, b'' for one that is larger or cannot be read now. Missing.

        Whoever can create blobs decides how large they are: no more is read than a copy can have.
        """
        data = self._tried(name, most, size)
        if isinstance(data, str):
            self._report(data)
            return b""
        return data

    def _tried(self, name: str, most: int, size: int = 0) -> bytes | str:
        """A blob, or why it is not read. Missing."""
        try:
            data = self._blobs.get_range(self._prefix + name, 0, most + 1) if size <= most else b""
        except Archived:
            return f"copy {name} is in the archive tier: set its tier to hot or cool, as all of records/ must be"
        if max(size, len(data)) > most:
            return f"copy {name} is larger than any copy is: it was not read"
        return data

    def _records(self, data: bytes) -> list[SealedRecord]:
        try:
            return unframe(data)
        except Damaged:
            return []  # what it held counts as missing; that is noticed and said where a record is looked for


def _place(name: str) -> str:
    """What the names of the blobs begin with that have the copies of records of such a name; '' for runs."""
    return next((prefix for prefix in _ALONE if name.startswith(prefix)), "")
