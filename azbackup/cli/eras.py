"""The eras of a partition whose data keys were given up, opened by what the newest key record says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from azbackup.cli.known_damage import KnownDamage
from azbackup.crypto.eras import PastEra
from azbackup.crypto.sealing import derive
from azbackup.format.labels import space_of
from azbackup.records.bounds import Bounds
from azbackup.records.catalog import Catalog
from azbackup.records.eras import Era
from azbackup.records.partition import Partition
from azbackup.records.record_store import RecordStore
from azbackup.storage.protocols import BlobStore, RowStore


def opened_eras(
    earlier: Sequence[PastEra],
    partition: str,
    table: Callable[[str], RowStore | None],
    blobs: BlobStore,
    damage: Callable[[str], None],
) -> list[Era]:
    """The eras that have ended, the first one first; `table` gives the rows of a space.

    What was settled in one is settled for what that one reports.
    """
    found, after = [], 0
    for number, past in enumerate(earlier, 1):
        keys, space = derive(past.data_key), space_of(partition, number)
        records = RecordStore(table(space), blobs, keys, space, damage)
        records.bounds = Bounds(after, past.last)
        is_known = KnownDamage(records)

        def report(text: str, is_known: KnownDamage = is_known) -> None:
            if not is_known(text):
                damage(text)

        records.report = report
        found.append(Era(Partition(space, keys, blobs, records), Catalog(records)))
        after = past.last
    return found
