"""What a verification finds, by kind: names and texts of the first ones, all of them counted. Pure.

A finding of `DAMAGE` ends the run with 13 unless it was settled; the others are worth a line.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field

from azbackup.records.settlements import Settled, subject_of

_KEPT = 100_000  # of a kind: what a repair does in one run


class What(enum.Enum):
    """The kinds. The value is the name in JSON: an interface, see docs/operations.md."""

    PACK_MISSING = "pack_missing"
    PACK_ALTERED = "pack_altered"
    PACK_UNREADABLE = "pack_unreadable"  # its contents do not open (only with --read-data)
    PACK_RECORD = "pack_record"  # does not open, nor does a copy
    SNAPSHOT = "snapshot"  # a number without a snapshot, or one that cannot be used
    ENTRIES = "entries"  # paths of which nothing is known
    CHUNKS = "chunks"  # files whose contents are in no sound pack
    ROW_MISSING = "row_missing"  # a copy has it
    ROW_ALTERED = "row_altered"  # a copy has it
    COPY_MISSING = "copy_missing"  # the row is sound
    HEAD_ALTERED = "head_altered"  # the snapshots themselves are there
    KEY = "key"
    OTHER = "other"
    TIER = "tier"
    NO_RECORD = "pack_without_record"
    UNFINISHED = "unfinished"
    HEAD_MISSING = "head_missing"
    PLANTED = "planted"  # no record, where records are


OF_PLACES = frozenset(  # what says that a record has lost one of its places, or a shortcut to it
    (
        What.ROW_MISSING,
        What.COPY_MISSING,
        What.NO_RECORD,
        What.UNFINISHED,
        What.HEAD_MISSING,
        What.HEAD_ALTERED,
        What.PLANTED,
    )
)
NOTES = (What.TIER, What.NO_RECORD, What.UNFINISHED, What.HEAD_MISSING, What.PLANTED)
REPAIRED = (What.ROW_MISSING, What.ROW_ALTERED, What.COPY_MISSING, What.KEY)


@dataclass(frozen=True)
class Finding:
    """One: the name of what it is about ('' for none), in words, and the bytes that it is about."""

    subject: str
    text: str
    size: int = 0


@dataclass
class Group:
    """All findings of a kind: the first ones, and of all of them the number and the bytes.

    `known` are those that were settled: they are named, and are no damage any more.
    """

    what: What
    count: int = 0
    size: int = 0
    known: int = 0
    first: list[Finding] = field(default_factory=list)

    @property
    def is_damage(self) -> bool:
        """Whether it ends the run with 13."""
        return self.what not in NOTES and self.count > self.known


class Findings:
    """What was found so far."""

    def __init__(self, settled: Settled, passed: Collection[What] = ()) -> None:
        """`passed`: kinds that are passed over."""
        self.settled = settled
        self._passed = passed
        self._texts: set[tuple[What, str]] = set()
        self.groups: dict[What, Group] = {}

    def add(self, what: What, subject: str, text: str, size: int = 0) -> None:
        """Adds one; what was said already is not said twice."""
        if what in self._passed or (what, text) in self._texts:
            return
        group = self.groups.setdefault(what, Group(what))
        group.count += 1
        group.size += size
        group.known += what not in REPAIRED and self.settled.has(subject)
        if len(group.first) < _KEPT:
            self._texts.add((what, text))
            group.first.append(Finding(subject, text, size))

    def hear(self, what: What, text: str, where: str = "") -> None:
        """Adds what the records' store reports: by what it says of a row or a copy it is of another kind."""
        if text.endswith("its copy was used"):
            what = What.ROW_MISSING if " is missing; " in text else What.ROW_ALTERED
        elif text.startswith("copy "):
            what = What.OTHER
        self.add(what, subject_of(text), where + text)

    def take(self, other: Findings) -> None:
        """Adds those of another era of the partition."""
        for what, group in other.groups.items():
            own = self.groups.setdefault(what, Group(what))
            own.count, own.size, own.known = own.count + group.count, own.size + group.size, own.known + group.known
            own.first = [*own.first, *group.first][:_KEPT]

    def subjects(self, what: What) -> list[str]:
        """What the first findings of a kind are about."""
        return [finding.subject for finding in self.groups[what].first] if what in self.groups else []

    @property
    def damages(self) -> int:
        """How many there are that were not settled."""
        return sum(group.count - group.known for group in self.groups.values() if group.is_damage)

    @property
    def known(self) -> int:
        """How many there are that were settled."""
        return sum(group.known for group in self.groups.values())

    def ordered(self) -> list[Group]:
        """The groups, what weighs most first."""
        return [self.groups[what] for what in What if what in self.groups]
