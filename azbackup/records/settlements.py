"""Damage that was settled: named once, acknowledged, and from then on no reason for status 13.

A settlement says names, never texts: snapshots by number, packs, records. What a message is about is the name that it
begins with, so that no path which somebody chose can pass for it. Settled is what cannot be mended and is never needed
again: a number below the newest snapshot, a pack, a record. That paths of a snapshot are not known any more can be
settled for a verification; whoever restores or lists that snapshot is told every time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable

from azbackup.errors import Damaged
from azbackup.format.labels import FILES_PREFIX, SETTLED_PREFIX, SNAPSHOT_PREFIX, copy_name, is_snapshot, number_of
from azbackup.format.verdicts import SUBJECTS, Settlement, decode_settlement, encode_verdict
from azbackup.records.record_store import RecordStore

_NAME = r"[0-9A-Za-z-]{1,80}"
_WHOLE = re.compile(  # what is said of rows and copies whatever their names are: anybody who can create chooses those
    r"(?:record|row|copy) (.*)(?: does not open: it was altered, cut or swapped| does not open, nor does a copy"
    r"| is in the archive tier: set its tier to hot or cool, as all of records/ must be"
    r"| is larger than any copy is: it was not read)",
    re.DOTALL,
)
_RANGE = f"{SNAPSHOT_PREFIX}[0-9]+(?: to {SNAPSHOT_PREFIX}[0-9]+)?"
_FORMS = [
    re.compile(form)
    for form in (
        rf"({_RANGE}): (?:missing, row and copy|[0-9,]+ copies were not looked at)",
        rf"({_RANGE}): was stored under an earlier data key",
        rf"(?:the columns of )?(?:record name|record|row|copy) '?({_NAME})'?(?: |$)",
        r"(snapshot [0-9]+) has a copy that cannot be committed",
        rf"(pack {_NAME})(?: |, chunk )",
    )
]
_HEAD = re.compile(
    r"row (.+) was altered: record (?:name )?'?\1'? (?:does not open|is malformed|is not that of).*", re.DOTALL
)
_LOST = re.compile(rf"run {_NAME}: .*?(?:records?|row) ({FILES_PREFIX}{_NAME})(?: |$)")


def subject(name: str) -> str:
    """A name as settlements have it: what nobody stores under is a hash, so that it passes for no other name."""
    if re.fullmatch(_NAME, name):
        return name
    return "name-" + hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def subject_of(text: str) -> str:
    """The name of what a message about damage is about, '' where it is about nothing that has one."""
    if found := _HEAD.fullmatch(text) or _WHOLE.fullmatch(text):
        return subject(found[1])
    for form in _FORMS:
        if found := form.match(text):
            name = found[1]
            if name.startswith("snapshot "):
                return f"{SNAPSHOT_PREFIX}{int(name[9:]):08d}"
            return name.replace("pack ", "pack-")
    found = _LOST.match(text)
    return found[1] if found else ""


class Settled:
    """All that was settled in a partition."""

    def __init__(self, settlements: Iterable[Settlement] = ()) -> None:
        self._names: set[str] = set()
        self._ranges: list[tuple[int, int]] = []
        for settlement in settlements:
            for each in settlement.subjects:
                numbers = _numbers(each)
                if numbers is None:
                    self._names.add(each)
                else:
                    self._ranges.append(numbers)
        self._ranges = _joined(self._ranges)

    def __bool__(self) -> bool:
        """Whether anything was settled."""
        return bool(self._names or self._ranges)

    def has(self, name: str) -> bool:
        """Whether a name was settled; of a range of snapshots, all of it."""
        numbers = _numbers(name)
        if numbers is None:
            return bool(name) and name in self._names
        return any(first <= numbers[0] and numbers[1] <= last for first, last in self._ranges)

    def covers(self, text: str) -> bool:
        """Whether a run may pass over a message about damage: it is about nothing that this run would have needed."""
        name = subject_of(text)
        return not text.startswith("run ") and not name.startswith(FILES_PREFIX) and self.has(name)


def _numbers(name: str) -> tuple[int, int] | None:
    """The range of snapshots that a name is, None where it is something else."""
    names = name.split(" to ")
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
