"""Damage that was settled: named once, acknowledged, and from then on no reason for status 13.

A settlement says names, never texts: snapshots by number, packs, records. What a message is about is the name that it
begins with, so that no path which somebody chose can pass for it. Settled is what cannot be mended and is never needed
again: a number below the newest snapshot, a pack, a record. That paths of a snapshot are not known any more can be
settled for a verification; whoever restores or lists that snapshot is told every time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from azbackup.errors import Damaged
from azbackup.format.labels import FILES_PREFIX, SETTLED_PREFIX, SNAPSHOT_PREFIX, copy_name, is_snapshot, number_of
from azbackup.format.verdicts import SUBJECTS, Settlement, decode_settlement, encode_verdict
from azbackup.records.record_store import RecordStore

_NAME = r"[0-9A-Za-z-]{1,80}"
_RANGE = f"{SNAPSHOT_PREFIX}[0-9]+(?: to {SNAPSHOT_PREFIX}[0-9]+)?"
_FORMS = [
    re.compile(form)
    for form in (
        rf"({_RANGE}): (?:missing, row and copy|[0-9,]+ copies were not looked at)",
        rf"(?:the columns of )?(?:record|row|copy) '?({_NAME})'?(?: |$)",
        r"(snapshot [0-9]+) has a copy that cannot be committed",
        rf"(pack {_NAME})(?: |, chunk )",
    )
]
_LOST = re.compile(rf"run {_NAME}: .*?(?:records?|row) ({FILES_PREFIX}{_NAME})(?: |$)")


def subject_of(text: str) -> str:
    """The name of what a message about damage is about, '' where it is about nothing that has one."""
    for form in _FORMS:
        if found := form.match(text):
            subject = found[1]
            if subject.startswith("snapshot "):
                return f"{SNAPSHOT_PREFIX}{int(subject[9:]):08d}"
            return subject.replace("pack ", "pack-")
    found = _LOST.match(text)
    return found[1] if found else ""


class Settled:
    """All that was settled in a partition."""

    def __init__(self, settlements: Iterable[Settlement] = ()) -> None:
        self._names: set[str] = set()
        self._ranges: list[tuple[int, int]] = []
        for settlement in settlements:
            for subject in settlement.subjects:
                numbers = _numbers(subject)
                if numbers is None:
                    self._names.add(subject)
                else:
                    self._ranges.append(numbers)
        self._ranges = _joined(self._ranges)

    def __bool__(self) -> bool:
        """Whether anything was settled."""
        return bool(self._names or self._ranges)

    def has(self, subject: str) -> bool:
        """Whether a name was settled; of a range of snapshots, all of it."""
        numbers = _numbers(subject)
        if numbers is None:
            return bool(subject) and subject in self._names
        return any(first <= numbers[0] and numbers[1] <= last for first, last in self._ranges)

    def covers(self, text: str) -> bool:
        """Whether a run may pass over a message about damage: it is about nothing that this run would have needed."""
        subject = subject_of(text)
        return not text.startswith("run ") and not subject.startswith(FILES_PREFIX) and self.has(subject)


def _numbers(subject: str) -> tuple[int, int] | None:
    """The range of snapshots that a subject is, None where it is something else."""
    names = subject.split(" to ")
    if len(names) > 2 or not all(map(is_snapshot, names)):
        return None
    numbers = [number_of(name, SNAPSHOT_PREFIX) for name in names]
    return numbers[0], numbers[-1]


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in as few ranges as hold them."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def read_settled(records: RecordStore, report: Callable[[str], None]) -> Settled:
    """What was settled. A record of it that does not open settles nothing; `report` hears of it, settled or not.

    Whoever can add rows can plant such records: they too can be settled, by their names.
    """
    found = []
    for row in records.rows(SETTLED_PREFIX, SETTLED_PREFIX[:-1] + "."):
        try:
            found.append(decode_settlement(row.name, records.open(row)))
        except Damaged as error:
            report(error.message)
    return Settled(found)


def settle(records: RecordStore, stamp: str, settlement: Settlement) -> None:
    """Writes a settlement, copy first: credentials that can only create do. Damaged if it is too long for one."""
    if len(settlement.subjects) > SUBJECTS:
        raise Damaged(f"more than {SUBJECTS:,} things are damaged", "settle what is meant, or restore what is left")
    row = records.seal(SETTLED_PREFIX + stamp, encode_verdict(settlement))
    records.copies.put(copy_name(stamp, 1), [row])
    records.insert([row])
