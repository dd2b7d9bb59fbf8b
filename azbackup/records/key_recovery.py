"""A data key that was recovered gets a new password, whatever is left of the key record: its row, its copies, nothing.

Promises that the key is the partition's: some record of it opens under the key, or nothing is written. Other passwords
that are left stay, as far as the key proves them.
"""

from __future__ import annotations

from collections.abc import Callable

from azbackup.crypto.eras import PastEra
from azbackup.crypto.kdf import DEFAULT_COSTS
from azbackup.crypto.sealing import derive
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Damaged, UsageError
from azbackup.format.labels import MAIN_SLOT, PACK_PREFIX, SETTLED_PREFIX, SNAPSHOT_PREFIX, space_of
from azbackup.records.key_changes import Circumstances, check_free, new_slot, without
from azbackup.records.key_copies import KeyCopies, KeyCopy
from azbackup.records.key_record import KeyRecord, Slot, following_record, from_values, is_later_era, is_proven
from azbackup.records.key_writer import KeyWriter
from azbackup.records.record_store import RecordStore
from azbackup.storage.protocols import BlobStore, PlainRow, RowStore

_TRIED = 100  # records of each kind, of which some may be altered

Alter = Callable[[KeyRecord | None], tuple[Slot, ...]]


class Recovery:
    """What can be done with the data key alone. Raises Damaged if the key is not this partition's."""

    def __init__(
        self,
        rows_of: Callable[[str], RowStore],
        blobs: BlobStore,
        keys: tuple[Secret, tuple[PastEra, ...]],
        around: Circumstances,
    ) -> None:
        """`rows_of` gives the rows of a space, `keys` are the data key and those before it."""
        self._key, self._earlier = keys
        self._around = around
        self._copies = KeyCopies(blobs, around.partition)
        self._writer = KeyWriter(rows_of(around.partition), self._copies)
        every = [*(era.data_key for era in self._earlier), self._key]
        spaces = [space_of(around.partition, number) for number in range(1, len(every) + 1)]
        each = (
            RecordStore(rows_of(space), blobs, derive(key), space, lambda _: None)
            for space, key in zip(spaces, every, strict=True)
        )
        if not any(map(_opens_any, each)):
            raise Damaged(
                f"no record of partition {around.partition} opens under the recovered key: it is another's, or all are "
                "lost",
                "check --partition, --container and --table; nothing was written",
            )

    def set_password(self, new: Secret) -> KeyRecord:
        """Sets the one password of the partition. Raises UsageError if there are several: which one is not said."""

        def alter(there: KeyRecord | None) -> tuple[Slot, ...]:
            if there is not None and len(there.slots) > 1:
                names = ", ".join(slot.name for slot in there.slots)
                raise UsageError(
                    f"the partition has several passwords: {names}",
                    "with --recover also give --add-password NAME for a new one, or --remove-password NAME",
                )
            return (self._slot(MAIN_SLOT if there is None else there.slots[0].name, new),)

        return self._rewrite(alter)

    def add_password(self, name: str, new: Secret) -> KeyRecord:
        """Adds a password to those that are left."""

        def alter(there: KeyRecord | None) -> tuple[Slot, ...]:
            check_free(_several(there, name), name)
            return (*_several(there, name).slots, self._slot(name, new))

        return self._rewrite(alter)

    def remove_password(self, name: str) -> KeyRecord:
        """Removes one of those that are left."""

        def alter(there: KeyRecord | None) -> tuple[Slot, ...]:
            return without(_several(there, name), name)

        return self._rewrite(alter)

    def _slot(self, name: str, new: Secret) -> Slot:
        memory = self._around.memory_kib
        costs = DEFAULT_COSTS if memory is None else DEFAULT_COSTS._replace(memory_kib=memory)
        return new_slot(self._key, name, new, costs, self._around)

    def _rewrite(self, alter: Alter) -> KeyRecord:
        """Puts a record in force instead of what is proven. A row that is lost comes back with the table."""
        row = self._writer.row()
        there = self._proven(row)
        slots = alter(there)
        now, partition = self._around.now, self._around.partition
        created = now if there is None else there.created

        def numbered(number: int) -> KeyRecord:
            return following_record(slots, created, now, self._key, partition, number, self._earlier)

        copies = self._copies.read(self._copies.listing())
        return self._writer.publish(numbered, self._key, row, self._copies.newest(self._key, copies))

    def _proven(self, row: PlainRow | None) -> KeyRecord | None:
        """The record in force, if it is of format 2. None: there was one password, or nobody knows any more."""
        if row is not None:
            try:
                record = from_values(row.values)
            except AzbackupError:
                pass
            else:
                self._check_era(record)
                if not record.proof:
                    return None
                if is_proven(record, self._key, self._around.partition):
                    return record
        last = self._copies.last_of(KeyCopy(0, {}), self._key, self._copies.read(self._copies.listing()))
        newest = from_values(last.values) if last.number else None
        if newest is not None:
            self._check_era(newest)
        return newest if newest is not None and newest.proof else None

    def _check_era(self, record: KeyRecord) -> None:
        """Raises UsageError if a record is of a later data key: what is under that would be lost."""
        if is_later_era(record, self._key):
            raise UsageError(
                "the page is from before the data key was renewed: it opens what was stored until then, and no more",
                "take a page that was made since, or a password; docs/operations.md says what an old page is good for",
            )


def _several(there: KeyRecord | None, name: str) -> KeyRecord:
    """The record, if what it says of its passwords is proven. Raises UsageError if it is not."""
    if there is None:
        raise UsageError(
            f"nothing proves what other passwords there are beside {name}",
            "set the first one with --recover FILE alone, and add others with it",
        )
    return there


def _opens_any(records: RecordStore) -> bool:
    """Whether a record opens: its row, or where the table is lost its copy."""
    for prefix in (SNAPSHOT_PREFIX, PACK_PREFIX, SETTLED_PREFIX):
        for tried, row in enumerate(records.rows(prefix, prefix[:-1] + ".")):
            try:
                records.open_sealed(row)
                return True
            except Damaged:
                if tried == _TRIED:
                    break
        for name in records.copies.names(prefix)[:_TRIED]:
            try:
                records.copied(name)
                return True
            except Damaged:
                continue
    return False
