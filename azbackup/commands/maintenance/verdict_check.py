"""Whether the records that judge others (retired, settled, verified) have a row where they have a copy.

Runs read their rows alone, so that one whose row is lost says nothing: what it retired, condemned or settled counts
again, what it recalled is hidden. Rows without a copy are found as those of all records are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from azbackup.commands.maintenance.findings import Findings, What
from azbackup.errors import Damaged
from azbackup.format.labels import (
    FILES_PREFIX,
    HEAD_PREFIX,
    KEY_NAME,
    PACK_PREFIX,
    RETIRED_PREFIX,
    SETTLED_PREFIX,
    SNAPSHOT_PREFIX,
    VERIFIED_PREFIX,
    retired_name,
)
from azbackup.format.model import SealedRecord
from azbackup.format.retirement import Retired, Retirement, decode_retirement
from azbackup.records.record_store import RecordStore
from azbackup.records.settlements import subject
from azbackup.storage.protocols import BlobInfo

PREFIXES = (RETIRED_PREFIX, SETTLED_PREFIX, VERIFIED_PREFIX)
_KINDS = (
    FILES_PREFIX,
    HEAD_PREFIX,
    KEY_NAME,
    PACK_PREFIX,
    RETIRED_PREFIX,
    SETTLED_PREFIX,
    SNAPSHOT_PREFIX,
    VERIFIED_PREFIX,
)
_WRITE_SECONDS = 3600.0  # within which a run that has put a copy puts the row, by far


class VerdictCheck:
    """Those of one partition. First their rows are heard, then what the copies hold."""

    def __init__(self, records: RecordStore, findings: Findings, now: float) -> None:
        self._records = records
        self._findings = findings
        self._now = now
        self._rows: set[str] = set()
        self._made: dict[str, float] = {}  # when the blobs were made that have the names of retired records
        self._rowless: dict[str, SealedRecord] = {}
        self.from_copies: list[str] = []

    def rows(self) -> Iterator[SealedRecord]:
        """All rows of these kinds, which it hears by the way."""
        for prefix in PREFIXES:
            for row in self._records.rows(prefix, prefix[:-1] + "."):
                self._rows.add(row.name)
                yield row

    def check_names(self) -> None:
        """Names the rows that are of no kind: queries for what lies between the kinds, which is nothing."""
        first = ""
        for prefix in (*_KINDS, "~"):
            for row in self._records.rows(first, prefix):
                self._findings.add(What.PLANTED, subject(row.name), f"row {row.name} is of no kind")
            first = prefix[:-1] + "." if prefix.endswith("-") else prefix + "!"

    def check_copy(self, name: str, rows: list[SealedRecord], is_row: Callable[[SealedRecord], bool]) -> None:
        """A copy, of none of the runs that made snapshots: it has some record that is a row, or that opens."""
        if not any(is_row(row) or self._opens(row) for row in rows) and not name.startswith(RETIRED_PREFIX):
            self._findings.add(What.PLANTED, subject(name), f"copy {name} has no record that opens")

    def _opens(self, row: SealedRecord) -> bool:
        try:
            self._records.open_sealed(row)
        except Damaged:
            return False
        return True

    def listed(self, info: BlobInfo) -> None:
        """A copy as it is listed."""
        if info.name.startswith(RETIRED_PREFIX):
            self._made[info.name] = info.created

    def offer(self, row: SealedRecord) -> None:
        """A record in a copy."""
        if row.name.startswith(PREFIXES) and row.name not in self._rows and self._opens(row):
            self._rowless[row.name] = row

    def finish(self, retired: Retired) -> None:
        """All copies were offered. `retired` is what was read first."""
        since = {row.name for row in self._records.rows(RETIRED_PREFIX, RETIRED_PREFIX[:-1] + ".")}
        there = [record for record in retired.records if retired_name(record.number) in self._rows]
        lost = self._lost(since)
        for name in sorted(self._made.keys() - self._rows - since - lost.keys()):
            self._note(name, f"copy {name} is no retired record: somebody put it there")
        told = [record for name, record in lost.items() if self._tell(name, record, there)]
        for number in Retired([*there, *told]).lost:
            name = retired_name(number)
            if name not in self._rows:  # else that is what was told
                self._findings.add(What.SNAPSHOT, name, f"record {name} is missing, row and copy")
        for name in sorted(name for name in self._rowless if not name.startswith(RETIRED_PREFIX)):
            self._note(name, f"record {name} has a copy and no row: what it says does not count")
            self.from_copies.append(name)

    def _lost(self, since: set[str]) -> dict[str, Retirement]:
        """The retired records that have no row, not even by now."""
        found = {}
        for name in sorted(self._rowless):
            if name.startswith(RETIRED_PREFIX) and name not in since and name in self._made:
                try:
                    found[name] = decode_retirement(name, self._records.open_sealed(self._rowless[name]))
                except Damaged:
                    continue
        return found

    def _tell(self, name: str, record: Retirement, there: list[Retirement]) -> bool:
        """Whether something would depend on it."""
        is_old = bool(there) and record.number < there[0].number
        if is_old and any(each.repeated([record.number]) for each in there):
            self._note(name, f"record {name} has a copy and no row: its deletion was broken off, or it was put back")
            return False
        if self._now - self._made[name] <= _WRITE_SECONDS:
            self._note(name, f"record {name} has a copy and no row: retention is running, or was killed")
        else:
            self._findings.add(What.ROW_MISSING, name, f"row {name} is missing; its copy was used")
        return True

    def _note(self, name: str, text: str) -> None:
        self._findings.add(What.UNFINISHED, name, text)
