"""Choosing among snapshots: by number, by source, the latest of each. Pure; takes snapshots ordered by their numbers.

Promises an error that names the snapshots or sources that there are, where none of them is the one that was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from azbackup.errors import NothingStored
from azbackup.format.model import Snapshot


def latest_by_source(snapshots: Sequence[Snapshot]) -> dict[bytes, Snapshot]:
    """The newest snapshot of every source."""
    return {snapshot.source: snapshot for snapshot in snapshots}


def latest_of_each_source(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """The newest snapshot of every source, in the order of the sources' paths."""
    return [snapshot for _, snapshot in sorted(latest_by_source(snapshots).items())]


def snapshot_by_number(snapshots: Sequence[Snapshot], number: int) -> Snapshot:
    """The snapshot of a number. Raises NothingStored, which names the numbers that there are, if there is none."""
    for snapshot in snapshots:
        if snapshot.number == number:
            return snapshot
    there = f"there are {snapshots[0].number} to {snapshots[-1].number}" if snapshots else "there is none"
    raise NothingStored(f"no snapshot {number}; {there}", "check --snapshot and --partition")


def matching_snapshots(
    snapshots: Sequence[Snapshot], partition: str, number: int | None, source: bytes | None
) -> list[Snapshot]:
    """The snapshots of a number and of a source, None for any, in their order. Raises NothingStored if there is none.

    `partition` is the name for the error's message.
    """
    if number is not None:
        snapshot = snapshot_by_number(snapshots, number)
        if source not in (None, snapshot.source):
            raise NothingStored(
                f"snapshot {snapshot.number} is of {os.fsdecode(snapshot.source)}", "leave out --source"
            )
        return [snapshot]
    matching = [snapshot for snapshot in snapshots if source in (None, snapshot.source)]
    if matching:
        return matching
    if source is not None:
        known = ", ".join(os.fsdecode(each) for each in sorted(latest_by_source(snapshots))) or "none"
        raise NothingStored(f"source {os.fsdecode(source)} is not in partition {partition}", f"its sources: {known}")
    raise NothingStored(
        f"partition {partition} has a key but no snapshot yet",
        "the first backup has not finished: run it again",
    )
