"""Choosing among snapshots: by number, source, tag and time, the latest of each source. Pure.

Takes snapshots ordered by their numbers.

A source is a directory of a host: two machines that back up the same path into one partition have two sources. Promises
an error that names the snapshots or sources that there are, where none of them is the one that was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from azbackup.errors import NothingStored
from azbackup.format.model import Snapshot


class Source(NamedTuple):
    """What was backed up: an absolute path, and the host that it is a path of."""

    path: bytes
    host: str

    def __str__(self) -> str:
        return f"{os.fsdecode(self.path)} on {self.host}"


class Wanted(NamedTuple):
    """Which snapshots were asked for: a number, the path of a source, its host; None for any.

    `tags`: those that have all of them. `until_ns`: those that were finished by then.
    """

    number: int | None = None
    path: bytes | None = None
    host: str | None = None
    tags: tuple[str, ...] = ()
    until_ns: int | None = None


def source_of(snapshot: Snapshot) -> Source:
    """The source of a snapshot."""
    return Source(snapshot.source, snapshot.host)


def same_source(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots are of one source."""
    return source_of(one) == source_of(other)


def latest_by_source(snapshots: Sequence[Snapshot]) -> dict[Source, Snapshot]:
    """The newest snapshot of every source."""
    return {source_of(snapshot): snapshot for snapshot in snapshots}


def latest_of_each_source(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """The newest snapshot of every source, in the order of the sources' paths, then hosts."""
    return [snapshot for _, snapshot in sorted(latest_by_source(snapshots).items())]


def not_known(path: bytes, snapshot: Snapshot) -> str:
    """What is said of a path that a lost record may have held."""
    return f"whether snapshot {snapshot.number} of {source_of(snapshot)} has {os.fsdecode(path)!r} is not known"


def sources_text(sources: Iterable[Source]) -> str:
    """Sources for a message, as in: /etc on one, /etc on two."""
    return ", ".join(map(str, sorted(sources))) or "none"


def snapshot_by_number(snapshots: Sequence[Snapshot], number: int) -> Snapshot:
    """The snapshot of a number. Raises NothingStored, which names the numbers that there are, if there is none."""
    for snapshot in snapshots:
        if snapshot.number == number:
            return snapshot
    there = f"there are {snapshots[0].number} to {snapshots[-1].number}" if snapshots else "there is none"
    raise NothingStored(f"no snapshot {number}; {there}", "check --snapshot and --partition")


def matching_snapshots(snapshots: Sequence[Snapshot], partition: str, wanted: Wanted) -> list[Snapshot]:
    """The snapshots that were asked for, in their order. Raises NothingStored if there is none.

    `partition` is the name for the error's message.
    """
    if wanted.number is not None:
        snapshot = snapshot_by_number(snapshots, wanted.number)
        if not _is_of(snapshot, wanted):
            raise NothingStored(
                f"snapshot {snapshot.number} is of {source_of(snapshot)}", "leave out --source and --host"
            )
        if not _has_words(snapshot, wanted):
            raise NothingStored(f"snapshot {snapshot.number} {_lacks(wanted)}", "leave out --tag and --as-of")
        return [snapshot]
    of_source = [snapshot for snapshot in snapshots if _is_of(snapshot, wanted)]
    if matching := [snapshot for snapshot in of_source if _has_words(snapshot, wanted)]:
        return matching
    if of_source:
        raise NothingStored(
            f"none of {len(of_source):,} snapshots {_has(wanted)}", "--snapshots lists their times, tags and notes"
        )
    if not snapshots:
        raise NothingStored(
            f"partition {partition} has a key but no snapshot yet",
            "the first backup has not finished: run it again",
        )
    path = f" {os.fsdecode(wanted.path)}" if wanted.path is not None else ""
    host = f" on {wanted.host}" if wanted.host is not None else ""
    known = sources_text(latest_by_source(snapshots))
    raise NothingStored(f"source{path}{host} is not in partition {partition}", f"its sources: {known}")


def _is_of(snapshot: Snapshot, wanted: Wanted) -> bool:
    return wanted.path in (None, snapshot.source) and wanted.host in (None, snapshot.host)


def _has_words(snapshot: Snapshot, wanted: Wanted) -> bool:
    in_time = wanted.until_ns is None or snapshot.finished_ns <= wanted.until_ns
    return in_time and set(wanted.tags) <= set(snapshot.tags)


def _lacks(wanted: Wanted) -> str:
    tags = f"does not have the tag {', '.join(wanted.tags)}" if wanted.tags else ""
    return " or ".join(filter(None, (tags, "is newer than --as-of" if wanted.until_ns is not None else "")))


def _has(wanted: Wanted) -> str:
    tags = f"has the tag {', '.join(wanted.tags)}" if wanted.tags else ""
    return " and ".join(filter(None, (tags, "is as old as --as-of" if wanted.until_ns is not None else "")))
