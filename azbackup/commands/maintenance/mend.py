"""What a verification found, mended as far as the account itself can: each record in both of its places again.

    rows from copies, then the snapshots' rows, then heads  ->  copies from rows  ->  the key record's copy

Promises that nothing is replaced but a row that does not open, by the record of that name that does; that nothing is
deleted; and that credentials that can only create do all but that. What is lost in both places is not mended here: a
backup stores anew what is still on the machine, and what is nowhere can be settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from azbackup.commands.maintenance.findings import What
from azbackup.commands.maintenance.verify import Verification
from azbackup.errors import AzbackupError, Damaged, Exists, Unavailable
from azbackup.format.framing import groups
from azbackup.format.labels import (
    FILES_PREFIX,
    KEY_COPY_PREFIX,
    RETIRED_PREFIX,
    SNAPSHOT_PREFIX,
    copy_name,
    is_snapshot,
    snapshot_name,
)
from azbackup.format.model import SealedRecord, Snapshot
from azbackup.records.commit import finish_commit
from azbackup.records.heads import head_rows
from azbackup.records.record_store import RecordStore


@dataclass
class Steps:
    """What is to be done: names of records whose row comes from a copy, or whose copy comes from the row; the key.

    `heads`: the snapshots whose heads are made anew.
    """

    rows: list[str] = field(default_factory=list)
    commits: list[int] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    key: bool = False
    heads: list[Snapshot] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.rows or self.commits or self.copies or self.key or self.heads)


def steps_of(found: Verification) -> Steps:
    """What of the findings can be mended from the other place of each record."""
    findings = found.findings
    unfinished = set(map(snapshot_name, found.unfinished))
    names = {*findings.subjects(What.ROW_MISSING), *findings.subjects(What.ROW_ALTERED), *found.from_copies}
    key = What.KEY in findings.groups
    return Steps(
        sorted(filter(None, names - unfinished)), found.unfinished, list(found.without_copy), key, found.headless
    )


class Mend:
    """One repair. `failed` says what could not be done, and why."""

    def __init__(
        self,
        records: RecordStore,
        new_stamp: Callable[[], str],
        ensure_key: Callable[[], bool],
        put_back: Callable[[], object],
    ) -> None:
        """`ensure_key` writes a copy of the key record if none is left; `put_back` rows of retired records."""
        self._records = records
        self._new_stamp = new_stamp
        self._ensure_key = ensure_key
        self._put_back = put_back
        self.failed: list[str] = []
        self.done = 0

    def run(self, steps: Steps) -> None:
        """Does all that can be done."""
        snapshots = {name for name in steps.rows if is_snapshot(name)}
        rows = set(steps.rows) - snapshots
        retired = {name for name in rows if name.startswith(RETIRED_PREFIX)}
        if retired and not self._attempt("retired records", self._put_back):
            rows -= retired  # a row that hid is never simply put back
        self._rows_of_runs(rows)
        for name in sorted(snapshots):
            self._snapshot_row(name)
        for number in sorted(steps.commits):
            self.done += self._attempt(f"snapshot {number}", partial(self._finish, number))
        for row in {row.name: row for each in steps.heads for row in head_rows(self._records, each)}.values():
            self.done += self._attempt(f"row {row.name}", partial(self._records.mend, row))
        self._copies(steps.copies)
        if steps.key:
            self.done += self._attempt("the key record", self._ensure_key)

    def _attempt(self, what: str, action: Callable[[], object]) -> bool:
        """Whether it was done; what is in the way is kept. Raises what would be in the way of everything else, too."""
        try:
            return action() is not False
        except Unavailable as error:
            if error.passing:
                raise
            self.failed.append(f"{what}: {error.message}")
        except AzbackupError as error:
            self.failed.append(f"{what}: {error.message}")
        return False

    # --- rows from copies

    def _rows_of_runs(self, names: set[str]) -> None:
        """Goes through the copies of runs once, for as many rows as are wanted."""
        if not names:
            return
        copies = self._records.copies
        wanted = (info for info in copies.listed() if not info.name.startswith((SNAPSHOT_PREFIX, KEY_COPY_PREFIX)))
        for _, rows in copies.contents(wanted):
            for row in rows:
                if row.name in names and self._opens(row):
                    names.discard(row.name)
                    self.done += self._attempt(f"row {row.name}", partial(self._records.mend, row))
        self.failed += [f"row {name}: no copy of it opens" for name in sorted(names)]

    def _snapshot_row(self, name: str) -> None:
        self.done += self._attempt(f"row {name}", lambda: self._records.mend(self._records.copied(name, sure=True)))

    def _opens(self, row: SealedRecord) -> bool:
        try:
            self._records.open_sealed(row)
        except Damaged:
            return False
        return True

    def _finish(self, number: int) -> bool:
        """The commit of a snapshot beyond the last row; what is in the way was reported."""
        return finish_commit(self._records, number) is not None

    # --- copies from rows

    def _copies(self, names: Iterable[str]) -> None:
        """Copies of snapshots and of retired records have names of their own.

        A file record's lies with its run's, the others go anywhere.
        """
        by_run: dict[str, list[str]] = {}
        for name in sorted(names):
            if is_snapshot(name) or name.startswith(RETIRED_PREFIX):
                self._own_copy(name)
            else:
                run = name.removeprefix(FILES_PREFIX).rpartition("-")[0] if name.startswith(FILES_PREFIX) else ""
                by_run.setdefault(run, []).append(name)
        for run, its in by_run.items():
            for group in groups([row for name in its if (row := self._row(name)) is not None]):
                if self._attempt(f"copies of {len(group)} records", partial(self._put, run, group)):
                    self.done += len(group)

    def _row(self, name: str) -> SealedRecord | None:
        """A row that opens; None for one that is there no more."""
        return next((row for row in self._records.rows(name, name + "!") if self._opens(row)), None)

    def _own_copy(self, name: str) -> None:
        row = self._row(name)
        if row is None:
            return
        self.done += self._attempt(f"copy {name}", partial(self._put_own, row))

    def _put_own(self, row: SealedRecord) -> None:
        try:
            self._records.copies.put(row.name, [row])
        except Exists:
            raise Damaged("another blob has its name: delete that, and repair again") from None

    def _put(self, run: str, rows: list[SealedRecord]) -> None:
        """Under the first number of the run that is free; under a new stamp where the records are of many runs."""
        stamp = run or self._new_stamp()
        number = 1
        while True:
            try:
                self._records.copies.put(copy_name(stamp, number), rows)
            except Exists:
                number += 1
            else:
                return
