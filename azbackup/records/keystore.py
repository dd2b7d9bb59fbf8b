"""The key record: the data key under each password of a partition, one row and a copy for every record it ever had.

The row is what counts. A run that finds no row but copies is looking at a lost table, or at a first backup that was
killed: the newest sound copy serves just as well. A row that is like none of its copies was altered, and is not
believed: not about the password, not about its format, not about its number; unless the data key proves it. Whoever
can create blobs can plant copies: each that can be read is tried, cheap ones first, and none ends the search.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from azbackup.crypto.kdf import Stretcher
from azbackup.crypto.keywrap import new_data_key, unwrap_data_key, wrap_data_key
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Damaged, Exists, Missing, NothingStored, WrongPassword
from azbackup.format.labels import KEY_NAME
from azbackup.records.key_copies import KeyCopy
from azbackup.records.key_record import (
    KeyRecord,
    NewerFormat,
    Slot,
    changed_at,
    earlier_eras,
    first_record,
    from_values,
    is_proven,
    to_values,
)
from azbackup.records.key_upkeep import KeyUpkeep, Opened, as_copies
from azbackup.storage.protocols import BlobStore, PlainRow, RowStore

if TYPE_CHECKING:
    from azbackup.crypto.eras import PastEra


class Keystore(KeyUpkeep):
    """The key record of one partition."""

    def __init__(self, rows: RowStore, blobs: BlobStore, partition: str, stretcher: Stretcher | None = None) -> None:
        """`stretcher` has what was stretched already, the salt that is the likely one, and that of a new key."""
        super().__init__(rows, blobs, partition)
        self._stretcher = stretcher or Stretcher()

    def exists(self) -> bool:
        """Whether the partition has a key: a password is typed twice before one is made under it."""
        try:
            self._rows.get_plain(KEY_NAME)
        except Missing:
            return self._holds_anything()
        return True

    def open(self, password: Secret) -> Opened:
        """Opens the data key. Raises NothingStored if there is none, WrongPassword or Damaged if it does not open."""
        try:
            row = self._rows.get_plain(KEY_NAME)
        except Missing:
            return self._open_copies(password, "", None)
        return self._open_row(row, password)

    def _open_row(self, row: PlainRow, password: Secret) -> Opened:
        try:
            record = from_values(row.values)
            key, name = self._unwrap(record, password)
            return Opened(key, record, in_table=True, name=name, earlier=self._earlier(record, key))
        except AzbackupError as error:
            if isinstance(error, WrongPassword | NewerFormat) and self._copies.is_copied(row):
                raise
            return self._open_copies(password, "the key record's row was altered", error, row)

    def open_or_create(self, password: Secret, now: str) -> tuple[Opened, bool]:
        """The data key, made when the partition has none and nothing else either; whether it was made.

        Of two first backups the one that creates the first copy makes the key. Raises Damaged if there is data but no
        key: a new key beside it would hide that the old one is lost.
        """
        try:
            row = self._rows.get_plain(KEY_NAME)
        except Missing:
            return self._create(password, now)
        return self._open_row(row, password), False

    def _create(self, password: Secret, now: str) -> tuple[Opened, bool]:
        data_key = new_data_key()
        stretcher = self._stretcher
        wrapped = wrap_data_key(data_key, password, self._partition, stretcher.new_costs, stretcher.new_salt, stretcher)
        if self._holds_anything():  # not before: stretching and what loads with the first blob together are the peak
            return self.open(password), False
        record = first_record(wrapped, now)
        try:
            self._copies.put(record, first=True)
        except Exists:  # another first backup came before, or the table was lost: that key is the partition's
            return self.open(password), False
        self._rows.insert_plain(KEY_NAME, to_values(record))
        stretcher.opened(wrapped.salt, wrapped.costs)
        return Opened(data_key, record, in_table=True), True

    def _unwrap(self, record: KeyRecord, password: Secret) -> tuple[Secret, str]:
        """The data key, and the name of the password. Of several the one that opened here last is tried first.

        Raises WrongPassword, which says when a password was changed, as the record has it; Damaged if one could not be
        tried, or if the record says what nobody with the data key wrote.
        """
        refused: AzbackupError | None = None
        known = self._stretcher.known
        for slot in sorted(record.slots, key=lambda slot: (slot.wrapped.salt != known, slot.work)):
            try:
                key = unwrap_data_key(slot.wrapped, password, self._partition, self._stretcher)
            except WrongPassword as error:
                refused = refused or WrongPassword(error.message, error.hint, changed_at(record))
            except Damaged as error:
                refused = error if refused is None or isinstance(refused, WrongPassword) else refused
            else:
                if record.proof and not is_proven(record, key, self._partition):
                    raise Damaged("the key record was altered: the password opens it, but the rest is not proven")
                self._stretcher.opened(slot.wrapped.salt, slot.wrapped.costs)
                return key, slot.name
        assert refused is not None  # a record has a slot
        raise refused

    # --- what changes

    def rewrite(
        self,
        password: Secret,
        alter: Callable[[Opened], tuple[Slot, ...]],
        now: str,
        report: Callable[[str], None] = lambda _: None,
    ) -> KeyRecord:
        """Puts a record with other slots in force; that record.

        `alter` makes the slots from what the password opened, and may refuse; `report` hears what was wrong with the
        record in force. Raises Changed when another change came between.
        """
        row = self._writer.row()
        opened = self._open_row(row, password) if row is not None else self._open_copies(password, "", None)
        if opened.damage:
            report(opened.damage)
        if not self.is_copied(opened):  # a change that was killed, or somebody deleted it
            self.ensure_copy(opened)
        numbered = self._numbered(alter(opened), opened.record.created, now, opened)
        last = self._copies.generation_of(opened.record, self._copies.listing(), report)
        return self._writer.publish(numbered, opened.data_key, row, last)

    # --- copies

    def _earlier(self, record: KeyRecord, key: Secret) -> tuple[PastEra, ...]:
        return earlier_eras(record, key, self._partition)

    def _superseding(self, last: KeyCopy, password: Secret) -> tuple[KeyRecord, Secret, str]:
        """The last record, its data key and the name of the password, if that opens it, too.

        Raises WrongPassword if it is the one of an older record only.
        """
        record = from_values(last.values)
        try:
            key, name = self._unwrap(record, password)
        except WrongPassword:
            raise WrongPassword(
                "the password is an older one of this partition",
                "give the password that was set last, or another one that was not removed",
                changed_at(record),
            ) from None
        return record, key, name

    def _holds_anything(self) -> bool:
        """Whether the partition has any pack or record. Folders alone may stay, where the account has them."""
        prefix = f"{self._partition}/"
        return any("/" in blob.name.removeprefix(prefix) for blob in self._blobs.listed(prefix))

    def _open_copies(
        self, password: Secret, damage: str, first: AzbackupError | None, row: PlainRow | None = None
    ) -> Opened:
        """The first copy that the password opens; `first` is what is raised when none does, if anything."""
        copies = self._copies.read(self._copies.listing())
        if not copies and first is None:
            if self._holds_anything():
                where = " (they are in the archive tier: thaw them)" if self._copies.archived else ""
                raise Damaged(
                    f"the key record of partition {self._partition} is lost: no copy of it can be read{where}"
                )
            raise NothingStored(
                f"nothing is stored in partition {self._partition}",
                "check --partition, --account and --container",
            )
        errors = [first] if first is not None else []
        for copy in copies:
            try:
                record = from_values(copy.values)
                key, name = self._unwrap(record, password)
            except AzbackupError as error:
                errors.append(error)
            else:
                last = self._copies.last_of(copy, key, [*copies, *as_copies(row)])
                if last is not copy:
                    record, key, name = self._superseding(last, password)
                earlier = self._earlier(record, key)
                return Opened(key, record, in_table=bool(damage), damage=damage, name=name, earlier=earlier)
        # What the row says counts. Without it one sound copy is enough to tell a wrong password, whatever was planted.
        raise first or next((error for error in errors if isinstance(error, WrongPassword)), errors[0])
