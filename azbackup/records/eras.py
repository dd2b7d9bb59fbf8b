"""All eras of a partition together: the newest one, in which backups work, and those whose data keys were given up.

Each has a store, keys and numbers of its own; what points from one into another is nothing. Promises that a snapshot is
read by way of the era that its number belongs to, and that nothing which somebody with an earlier key has put there
stands for anything of a later one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from azbackup.errors import NothingStored
from azbackup.format.layers import Item, State
from azbackup.format.model import Layer, PackId, PackRecord, Snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition


class Era(NamedTuple):
    """What one data key has sealed."""

    partition: Partition
    catalog: Catalog

    def has(self, number: int) -> bool:
        """Whether a snapshot's number is one of this era's."""
        return self.partition.records.bounds.has(number)


class AllEras(Catalog):
    """The catalog of the newest era, which knows the snapshots of all."""

    def __init__(self, past: Sequence[Era], newest: Era) -> None:
        """`past` are the eras that have ended, the first one first."""
        super().__init__(newest.partition.records)
        self._own = newest.catalog
        self.past = list(past)
        self.eras = [*past, newest]
        self._of_run: dict[str, Catalog] = {}

    def snapshots(self, wanted: int | None = None, *, every_copy: bool = False) -> list[Snapshot]:
        """All snapshots by number, as Catalog has it, each by way of its own era."""
        found: list[Snapshot] = []
        nothing: NothingStored | None = None
        for era in self.eras:
            try:
                found += era.catalog.snapshots(wanted, every_copy=every_copy)
            except NothingStored as error:  # of what is older than a time an era may have nothing
                nothing = error
        if nothing is not None and not found:
            raise nothing
        self._retired, self.newest, self.standing = self._own.retired, self._own.newest, self._own.standing
        for era in self.eras:  # a later one is believed about its own runs, whatever an earlier one says of them
            self._of_run.update((layer.run, era.catalog) for each in era.catalog.standing for layer in each.layers)
        return found

    def past_of(self, number: int) -> Era | None:
        """The era that has ended, and that a snapshot's number belongs to; None for the newest one."""
        return next((era for era in self.past if era.has(number)), None)

    def entries(self, snapshot: Snapshot, *, whole: bool = False) -> State:
        """The state of the source at a snapshot, by way of its era."""
        era = self.past_of(snapshot.number) or self.eras[-1]
        return era.catalog.entries(snapshot, whole=whole)

    def layers(self, layers: list[Layer], *, whole: bool = False, full: bool = True) -> list[Iterator[Item]]:
        """What some layers of one snapshot say, by way of its era."""
        catalog = self._of_run.get(layers[0].run, self._own) if layers else self._own
        return catalog.layers(layers, whole=whole, full=full)

    def packs(self, since: str = "") -> Iterator[tuple[PackId, PackRecord]]:
        """Those of the newest era."""
        return self._own.packs(since)


def eras_of(partition: Partition, catalog: Catalog) -> list[Era]:
    """All eras of a catalog, the first one first."""
    return catalog.eras if isinstance(catalog, AllEras) else [Era(partition, catalog)]


def catalogs_of(catalog: Catalog) -> list[Catalog]:
    """The catalogs of all eras, the first one first."""
    return [era.catalog for era in catalog.eras] if isinstance(catalog, AllEras) else [catalog]


def era_of(catalog: Catalog, number: int) -> int:
    """Tells snapshots of two eras apart: those of one give the same. Contents of two have no ids in common."""
    past = catalog.past_of(number) if isinstance(catalog, AllEras) else None
    return past.partition.records.bounds.fence if past is not None else 0
