"""What each partition of a container and table holds, and how old its newest backup is; without any password.

Told by names, sizes, tiers and times alone, as the service lists them: `<partition>/packs/...` and
`<partition>/records/...`. The newest backup is when the service took the copy of the newest snapshot. Promises that a
partition is found by what is left of it: packs alone, records alone, rows alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from azbackup.format.labels import FENCE_BYTES, is_snapshot, is_space
from azbackup.storage.protocols import BlobInfo


class PartitionStore(Protocol):
    """A container and a table, read only."""

    def names(self) -> Iterator[str]:
        """The partitions that have blobs."""

    def listed(self, prefix: str) -> Iterator[BlobInfo]:
        """The blobs under a prefix."""

    def in_table(self) -> Iterator[str]:
        """The partitions that have rows."""


@dataclass
class PartitionState:
    """One partition. Times are Unix seconds, 0 for never; `size` and `tiers` (bytes by tier) are of all its blobs.

    `newest_write` is of anything, `newest_backup` of a snapshot. `pack_tiers` counts the bytes of packs alone.
    """

    name: str
    newest_backup: float = 0.0
    newest_write: float = 0.0
    snapshots: int = 0
    packs: int = 0
    size: int = 0
    tiers: Counter[str] = field(default_factory=Counter)
    pack_tiers: Counter[str] = field(default_factory=Counter)
    in_table: bool = False

    def add(self, kind: str, name: str, blob: BlobInfo) -> None:
        """Counts a blob: `<partition>/<kind>/<name>`."""
        written = blob.created or blob.modified
        self.newest_write = max(self.newest_write, written)
        self.size += blob.size
        self.tiers[blob.tier] += blob.size
        if kind == "packs":
            self.packs += 1
            self.pack_tiers[blob.tier] += blob.size
        elif is_snapshot(name) and blob.size > FENCE_BYTES:
            self.snapshots += 1
            self.newest_backup = max(self.newest_backup, written)


def survey(store: PartitionStore, only: str | None = None) -> list[PartitionState]:
    """The partitions by name; `only` the one of that name. Reads the list of blobs once, and no blob."""
    found: dict[str, PartitionState] = {}
    for blob in store.listed("" if only is None else f"{only}/"):
        name, _, rest = blob.name.partition("/")
        kind, slash, last = rest.partition("/")
        if kind.isdigit():  # an era of its own
            kind, slash, last = last.partition("/")
        if kind in ("packs", "records") and slash and last:
            found.setdefault(name, PartitionState(name)).add(kind, last, blob)
    for name in store.in_table():
        if only in (None, name) and not is_space(name):
            found.setdefault(name, PartitionState(name)).in_table = True
    return [found[name] for name in sorted(found)]
