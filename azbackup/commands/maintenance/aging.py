"""Packs that have rested online for long enough go to the archive tier; those that are young stay where they are.

    packs as the container lists them -> old enough, online, not thawing -> Set Blob Tier

Promises that no record changes (a record says where a pack was sent, a listing where it is), and that a pack that was
brought back online less than those days ago, by a thaw in place, stays: a restore may be reading it. A kill anywhere
leaves packs in one of two tiers, both of which every command knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from azbackup.errors import Unavailable
from azbackup.format.labels import pack_blob
from azbackup.records.partition import Partition
from azbackup.storage.prices import Prices
from azbackup.storage.protocols import BlobInfo, Tiering

DAY_SECONDS = 86_400.0


@dataclass
class Aged:
    """Packs and bytes that were moved, and that rest still; what moving cost. `why` they could not be, '' if they were.

    Where they could not be, those that are old enough rest.
    """

    moved: int = 0
    size: int = 0
    resting: int = 0
    resting_size: int = 0
    cost: float = 0.0
    why: str = ""

    def add(self, other: Aged) -> None:
        """Adds what became of another era's packs."""
        self.moved, self.size = self.moved + other.moved, self.size + other.size
        self.resting, self.resting_size = self.resting + other.resting, self.resting_size + other.resting_size
        self.cost, self.why = self.cost + other.cost, self.why or other.why


def is_old(info: BlobInfo, days: float, now: float) -> bool:
    """Whether a pack has been where it is for so many days, by Unix time `now`."""
    return max(info.created, info.moved) + days * DAY_SECONDS <= now


def archive_old(partition: Partition, tiering: Tiering, days: float, now: float, prices: Prices) -> Aged:
    """Moves the packs that are online and old enough. What Azure refuses is in the result, no error."""
    found = Aged()
    online = [
        info
        for info in partition.blobs.listed(pack_blob(partition.name, ""))
        if info.tier != "archive" and not info.pending
    ]
    due = [info for info in online if is_old(info, days, now)]
    if due and (refusal := _moved(tiering, due)):
        found.why, due = refusal, []
    found.moved, found.size = len(due), sum(info.size for info in due)
    found.resting, found.resting_size = len(online) - len(due), sum(info.size for info in online) - found.size
    found.cost = prices.writing(len(due), "archive")
    found.cost += sum(_early(info, now, prices) for info in due)
    return found


def _moved(tiering: Tiering, due: list[BlobInfo]) -> str:
    """Moves packs; why they could not be, '' if they were."""
    try:
        tiering.archive([info.name for info in due])
    except Unavailable as error:
        if error.passing:
            raise
        return error.message
    return ""


def _early(info: BlobInfo, now: float, prices: Prices) -> float:
    """What is still to be paid of cool and cold when a pack leaves them."""
    if not prices.early_deletion_days.get(info.tier, 0):
        return 0.0
    return prices.leaving_early(info.size, info.tier, (now - max(info.created, info.moved)) / DAY_SECONDS)
