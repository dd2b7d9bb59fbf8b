"""The upkeep of a key record that a run has opened: row and copy say what is in force, and nothing older.

Whatever heals asks first what is in force by then: a password that was changed or removed since this run opened the
partition must not come back by it. It takes the data key, and no password.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Changed, Exists
from azbackup.format.labels import KEY_NAME, MAIN_SLOT
from azbackup.records.key_copies import KeyCopies, KeyCopy
from azbackup.records.key_record import (
    KeyRecord,
    Slot,
    following_record,
    from_values,
    is_later_era,
    is_proven,
    to_values,
)
from azbackup.records.key_writer import KeyWriter
from azbackup.storage.protocols import BlobStore, PlainRow, RowStore

if TYPE_CHECKING:
    from azbackup.crypto.eras import PastEra

_MEANWHILE = "somebody else changed the passwords meanwhile"
_AGAIN = "run the command again, with a password that is in force now (--list-passwords)"


class Opened(msgspec.Struct, frozen=True):
    """A data key and where it was found. `damage` says what was wrong on the way, '' if nothing.

    `name` is what the password is called that opened it. `earlier` are the data keys before this one.
    """

    data_key: Secret
    record: KeyRecord
    in_table: bool
    damage: str = ""
    name: str = MAIN_SLOT
    earlier: tuple[PastEra, ...] = ()


def as_copies(row: PlainRow | None) -> list[KeyCopy]:
    """A row that no copy agrees with, as one more: its copy may be what was lost."""
    number = row.values.get("generation") if row is not None else None
    return [KeyCopy(number, dict(row.values))] if row is not None and isinstance(number, int) else []


def _says(row: PlainRow, record: KeyRecord) -> bool:
    """Whether the row has this record."""
    try:
        return from_values(row.values) == record
    except AzbackupError:
        return False


class KeyUpkeep:
    """The key record of one partition, in the hands of a run that has the data key."""

    def __init__(self, rows: RowStore, blobs: BlobStore, partition: str) -> None:
        self._rows = rows
        self._blobs = blobs
        self._partition = partition
        self._copies = KeyCopies(blobs, partition)
        self._writer = KeyWriter(rows, self._copies)

    def is_copied(self, opened: Opened) -> bool:
        """Whether a copy of the key record in force is left."""
        return bool(self._copies.like(opened.record, self._copies.listing()))

    def ensure_copy(self, opened: Opened) -> bool:
        """Writes a copy of the key record in force where no copy of it is left; whether it did.

        Without one, the loss of the row would be the loss of all data.
        """
        row = self._writer.row()
        in_row = row is not None and _says(row, opened.record)
        record = opened.record if in_row else self._newest(opened, row)
        listing = self._copies.listing()
        if self._copies.like(record, listing):
            return False
        if record.generation not in listing:
            self._copies.put(record)
        elif not (not record.proof or is_proven(record, opened.data_key, self._partition)):
            return False  # it is of a later data key: whoever opens that one sees to it
        elif record.proof:  # in its place lies what is no copy of it: another number, for row and copy
            again = self._numbered(record.slots, record.created, record.changed, opened)
            self._writer.publish(again, opened.data_key, row, record.generation)
        else:
            self._copies.put_after(record.generation, record, listing)
        return True

    def mend(self, opened: Opened) -> bool:
        """The record in force is in its row and in a copy again; whether something was written.

        A row that says something else is replaced as it was read: it opens nothing.
        """
        record, wrote = self._put_row(opened)
        return self.ensure_copy(msgspec.structs.replace(opened, record=record)) or wrote

    def insert_row(self, opened: Opened) -> None:
        """Puts the row back where only copies were left."""
        self._put_row(opened)

    def _put_row(self, opened: Opened) -> tuple[KeyRecord, bool]:
        """Has the row say what is in force; that record, and whether something was written."""
        row = self._writer.row()
        record = opened.record if row is not None and _says(row, opened.record) else self._newest(opened, row)
        if row is not None and _says(row, record):
            return record, False
        if row is not None:
            self._rows.replace_plain(KEY_NAME, to_values(record), row.etag)
            return record, True
        try:
            self._rows.insert_plain(KEY_NAME, to_values(record))
        except Exists:
            return self._put_row(opened)  # somebody else was faster: what they put there counts as any row does
        # A password that was changed meanwhile, while there was no row, has a copy by now.
        newest, row = self._newest(msgspec.structs.replace(opened, record=record), None), self._writer.row()
        if newest != record and row is not None and _says(row, record):
            self._rows.replace_plain(KEY_NAME, to_values(newest), row.etag)
        return newest, True

    def _newest(self, opened: Opened, row: PlainRow | None) -> KeyRecord:
        """The newest genuine record there is, from the one that was opened on: in a copy, or in the row."""
        mine = KeyCopy(opened.record.generation, dict(to_values(opened.record)))
        copies = self._copies.read(self._copies.listing())
        last = self._copies.last_of(mine, opened.data_key, [*copies, *as_copies(row)])
        return opened.record if last is mine else from_values(last.values)

    def is_current(self, opened: Opened) -> bool:
        """Whether what is in force by now is of the data key that a run has opened: a row says it, or the copies."""
        row = self._writer.row()
        if row is not None:
            try:
                return not is_later_era(from_values(row.values), opened.data_key)
            except AzbackupError:
                pass
        return self._newest(opened, row).era == opened.record.era

    def row_of(self, opened: Opened) -> PlainRow:
        """The row that says what a run has opened. Raises Changed if it says something else by now."""
        row = self._writer.row()
        if row is None or not _says(row, opened.record):
            raise Changed(_MEANWHILE, _AGAIN)
        return row

    def renew(self, ended: Opened, new: Opened, slots: tuple[Slot, ...], now: str, row: PlainRow) -> KeyRecord:
        """Puts a record of a new data key in force instead of a row; as it was written. Raises Changed."""
        numbered = self._numbered(slots, ended.record.created, now, new)
        number = ended.record.generation if ended.record.proof else 0
        try:
            return self._writer.publish(numbered, ended.data_key, row, max(number, new.record.generation))
        except Changed:
            raise Changed(_MEANWHILE, _AGAIN) from None

    def _numbered(self, slots: tuple[Slot, ...], created: str, now: str, opened: Opened) -> Callable[[int], KeyRecord]:
        key, earlier = opened.data_key, opened.earlier
        return lambda number: following_record(slots, created, now, key, self._partition, number, earlier)
