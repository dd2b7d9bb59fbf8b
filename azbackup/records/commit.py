"""The commit of a run: its last records and its snapshot, in an order that a kill between two writes cannot spoil.

    copies of packs and file records -> the snapshot's copy, which takes the number
        -> all rows, the snapshot's behind what it points to, and behind that its heads

Promises that a snapshot is visible only when everything that it needs is stored, and that numbers have no gap: a run
that finds its number taken first completes the other run's commit from the stored copies, then tries the next number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from azbackup.errors import Damaged, Exists, Missing
from azbackup.format.framing import groups
from azbackup.format.labels import SNAPSHOT_PREFIX, copy_name, is_snapshot, number_of, snapshot_name
from azbackup.format.model import SealedRecord, Snapshot
from azbackup.format.payloads import Fence, decode_numbered, encode_snapshot
from azbackup.records.copies import USELESS_COPIES
from azbackup.records.heads import head_rows, put_heads
from azbackup.records.record_store import RecordStore

_TRIES = 4  # numbers that are found taken before a listing says which there are
_PAGE = 1000  # rows of one query


class RunCopies:
    """The copies that one run writes, numbered as they come; `count` is final once the commit has put the last ones.

    Two threads may use it if the caller keeps their calls apart.
    """

    def __init__(self, records: RecordStore, run: str) -> None:
        self._records = records
        self._run = run
        self.count = 0

    def put(self, rows: Sequence[SealedRecord]) -> None:
        """Writes copies of the rows, as few as hold them."""
        for group in groups(rows):
            self.count += 1
            self._records.copies.put(copy_name(self._run, self.count), group)


def commit(
    records: RecordStore,
    before: list[SealedRecord],
    copies: RunCopies,
    snapshot: Snapshot,
    after: int,
    pause: Callable[[int], None] = lambda _: None,
) -> Snapshot:
    """Writes the last records of a run, `before`, and its snapshot; returns the snapshot as it was stored.

    It gets the first free number past `after`: creating the copy under that number is what reserves it. Then all rows,
    in as few transactions as hold them, its heads last. `pause` is called with how often a number was found taken:
    whoever took it has its rows soon, and runs that commit at the same moment should not do so again.

    Raises WrongPassword if another data key took the place of this one: the number was that of a fence, and whatever
    was written beside the change is looked for by whoever changes it, after that, as it is by this run.
    """
    copies.put(before)
    finished = msgspec.structs.replace(snapshot, copies=copies.count, number=after + 1)
    taken = 0
    while True:
        row = records.seal(snapshot_name(finished.number), encode_snapshot(finished))
        try:
            records.copies.put(row.name, [row])
            break
        except Exists:
            taken += 1
            pause(taken)
            committed = _committed(records, finished.number)
            if finished.number not in committed:
                pause(taken + 1)
                committed = _committed(records, finished.number)
            passed = _Passed(records, committed, sure=taken > _TRIES)
            finished = msgspec.structs.replace(finished, number=passed.over(finished.number))
            if passed.strange:  # one of them may have been a fence
                records.bounds.check()
    if taken:  # the key record may have been replaced since
        records.bounds.check()
    _insert(records, before, row, head_rows(records, finished))
    return finished


def _committed(records: RecordStore, first: int) -> dict[int, SealedRecord]:
    """The rows that snapshots from the number `first` on have, genuine or not: a thousand at most."""
    rows = records.first(snapshot_name(first), SNAPSHOT_PREFIX[:-1] + ".", _PAGE)
    return {number_of(row.name, SNAPSHOT_PREFIX): row for row in rows if is_snapshot(row.name)}


class _Passed:
    """The numbers that a run found taken, and passes over: what has no row yet is finished.

    If `sure` a listing says which numbers have a copy. Of those that cannot be used no more than USELESS_COPIES are
    looked at: whoever can create blobs makes as many as they like.
    """

    def __init__(self, records: RecordStore, committed: dict[int, SealedRecord], *, sure: bool) -> None:
        self._records = records
        self._committed = committed
        self._copied = records.copies.snapshot_numbers() if sure else set()
        self.strange = 0  # numbers that were not seen to be those of snapshots under this data key

    def over(self, first: int) -> int:
        """Passes over the first number, which is taken, and those behind it; the next that is free."""
        number, useless, unread = first, 0, 0
        while number == first or number in self._committed or number in self._copied:
            if number in self._committed:
                self.strange += not self._is_snapshot(self._committed[number])
            elif useless < USELESS_COPIES:
                finished = finish_commit(self._records, number)
                useless += finished is None
                self.strange += not isinstance(finished, Snapshot)
            else:
                unread += 1
                self.strange += 1
            number += 1
        if unread:
            self._records.report(f"{unread:,} more snapshots before {number} have a copy, and were passed over")
        return number

    def _is_snapshot(self, row: SealedRecord) -> bool:
        try:
            return isinstance(decode_numbered(row.name, self._records.open_sealed(row)), Snapshot)
        except Damaged:
            return False


def _insert(records: RecordStore, before: list[SealedRecord], row: SealedRecord, heads: list[SealedRecord]) -> None:
    """Inserts the rows of a commit. A planted row under the snapshot's name is damage: the copy holds the number.

    A run that finished this commit meanwhile may have put its heads: they say the same, in other bytes.
    """
    try:
        records.insert([*before, row, *heads])
        return
    except Exists:
        records.insert(before)
    try:
        records.insert([row])
    except Exists:
        records.report(f"row {row.name} was there already with other bytes: the snapshot is read from its copy")
    put_heads(records, heads)


def finish_commit(records: RecordStore, number: int) -> Snapshot | Fence | None:
    """Inserts the rows of a snapshot whose copy is there: its run's records and its own. All are durable.

    Returns what has the number, None where it cannot be committed.
    """
    name = snapshot_name(number)
    try:
        row = records.copied(name, sure=True)
        numbered = decode_numbered(name, records.open_sealed(row))
        if isinstance(numbered, Fence):
            records.insert([row])
            return numbered
        rows = records.copies.of_run(numbered.run, numbered.copies)
        for each in rows:
            records.open_sealed(each)
        records.insert([*rows, row])
        put_heads(records, head_rows(records, numbered))
    except (Damaged, Missing, Exists) as error:
        records.report(f"snapshot {number} has a copy that cannot be committed: {error.message}")
        return None
    return numbered
