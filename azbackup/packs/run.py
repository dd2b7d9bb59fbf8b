"""One execution of backup.py, as the packs and records that it writes see it. Holds values, does nothing.

The clock and fresh ids are arguments, so that tests decide them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from azbackup.format.model import RunId
from azbackup.packs.ids import Scratch, no_scratch
from azbackup.records.commit import RunCopies
from azbackup.records.partition import Partition
from azbackup.storage.local.journal import Journal
from azbackup.storage.protocols import Looks

if TYPE_CHECKING:
    from azbackup.packs.sightings import Sightings

TRUSTED_NS = 12 * 3600 * 10**9  # that a run may take without looking what retention did: far less than its grace period


class Clock(msgspec.Struct, frozen=True):
    """Where time and names come from: Unix nanoseconds, and fresh ids of packs and runs.

    `pause` lets a moment pass, a longer one the more often it was needed already.
    """

    now_ns: Callable[[], int]
    new_stamp: Callable[[], str]
    pause: Callable[[int], None] = lambda _: None


def no_listing() -> None:
    """The packs are listed when they are asked for."""


class Run(msgspec.Struct, frozen=True):
    """A run: its id, the clock, the tier of its packs, the copies of its records, and its journal.

    Without a journal (None) every pack's record follows the pack at once. Without `looks` it looks at all packs.
    `scratch` makes files for what it cannot hold in memory. `listed`: the packs, where they are listed already.
    """

    id: RunId
    clock: Clock
    tier: str
    copies: RunCopies
    journal: Journal | None
    looks: Looks | None = None
    scratch: Scratch = no_scratch
    listed: Callable[[], Sightings | None] = no_listing


def new_run(
    partition: Partition,
    clock: Clock,
    tier: str,
    journal: Journal | None,
    looks: Looks | None = None,
    scratch: Scratch = no_scratch,
    listed: Callable[[], Sightings | None] = no_listing,
) -> Run:
    """A run that begins now, under a fresh id."""
    run_id = RunId(clock.new_stamp())
    return Run(run_id, clock, tier, RunCopies(partition.records, run_id), journal, looks, scratch, listed)
