"""The key record: the data key under the password, one row and a copy for every password it ever had.

The copy is written first, under the next free generation; the row is what counts. A run that finds no row but copies
is looking at a lost table, or at a first backup that was killed: the copies open it just as well. A row that is like
none of its copies was altered, and is not believed: not about the password, not about its format, not about its number.
Whoever can create blobs can plant copies: each that can be read is tried, cheap ones first, and none ends the search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from azbackup.crypto.kdf import DEFAULT_COSTS, KdfCosts, Stretch, stretch
from azbackup.crypto.keywrap import new_data_key, successor_salt, unwrap_data_key, wrap_data_key
from azbackup.crypto.secret import Secret
from azbackup.errors import (
    AzbackupError,
    Changed,
    Damaged,
    Exists,
    Missing,
    NothingStored,
    UsageError,
    WrongPassword,
)
from azbackup.format.labels import KEY_NAME
from azbackup.records.key_copies import KeyCopies, KeyCopy
from azbackup.records.key_record import (
    KeyRecord,
    NewerFormat,
    changed_at,
    from_values,
    to_values,
)
from azbackup.storage.protocols import BlobStore, PlainRow, RowStore


@dataclass(frozen=True, slots=True)
class Opened:
    """A data key and where it was found. `damage` says what was wrong on the way, '' if nothing."""

    data_key: Secret
    record: KeyRecord
    in_table: bool
    damage: str = ""


def _ignore(_: str) -> None:
    """Nobody hears of the damage."""


def change_password(
    keystore: Keystore,
    old: Secret,
    new: Secret,
    now: str,
    report: Callable[[str], None] = _ignore,
    memory_kib: int | None = None,
) -> KeyRecord:
    """One run of change_password.py: the data key under a new password; the key record that is in force from now on.

    No data is touched, no other row is, and no other blob appears but one new copy of the key record. Raises UsageError
    if the new password is empty, Changed if somebody else changed it meanwhile, and whatever Keystore.change raises.
    """
    if not new.reveal():
        raise UsageError("the new password is empty", "give a password with --new-password")
    try:
        return keystore.change(old, new, now, report, memory_kib)
    except Changed:
        raise Changed(
            "somebody else changed the password meanwhile",
            "run the command again with the new password",
        ) from None


def _as_copies(row: PlainRow | None) -> list[KeyCopy]:
    """A row that no copy agrees with, as one more: its copy may be what was lost."""
    number = row.values.get("generation") if row is not None else None
    return [KeyCopy(number, dict(row.values))] if row is not None and isinstance(number, int) else []


def _costs(before: KeyRecord, memory_kib: int | None) -> KdfCosts:
    """The costs of a new password: a stronger stretching is never weakened unasked."""
    costs = before.wrapped.costs
    least = DEFAULT_COSTS
    kept = KdfCosts(max(costs.memory_kib, least.memory_kib), max(costs.passes, least.passes), costs.lanes)
    return kept._replace(memory_kib=memory_kib) if memory_kib is not None else kept


class Keystore:
    """The key record of one partition."""

    def __init__(
        self,
        rows: RowStore,
        blobs: BlobStore,
        partition: str,
        stretched: Stretch = stretch,
        new_salt: bytes | None = None,
    ) -> None:
        """`stretched` is kdf.stretch, or what was done already; `new_salt` that of a key that is made here."""
        self._rows = rows
        self._blobs = blobs
        self._partition = partition
        self._stretched = stretched
        self._new_salt = new_salt
        self._copies = KeyCopies(blobs, partition)

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
            return Opened(self._unwrap(record, password), record, in_table=True)
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
        wrapped = wrap_data_key(data_key, password, self._partition, salt=self._new_salt, stretched=self._stretched)
        if self._holds_anything():  # not before: stretching and what loads with the first blob together are the peak
            return self.open(password), False
        record = KeyRecord(1, wrapped, now, now)
        try:
            self._copies.put(record, first=True)
        except Exists:  # another first backup came before, or the table was lost: that key is the partition's
            return self.open(password), False
        self._rows.insert_plain(KEY_NAME, to_values(record))
        return Opened(data_key, record, in_table=True), True

    def _unwrap(self, record: KeyRecord, password: Secret) -> Secret:
        """The data key. Raises WrongPassword, which says when the password was changed, as the record has it."""
        try:
            return unwrap_data_key(record.wrapped, password, self._partition, self._stretched)
        except WrongPassword as error:
            raise WrongPassword(error.message, error.hint, changed_at(record)) from None

    def is_copied(self, opened: Opened) -> bool:
        """Whether a copy of the key record in force is left."""
        return bool(self._copies.like(opened.record, self._copies.listing()))

    def ensure_copy(self, opened: Opened) -> bool:
        """Writes a copy of the key record in force where no copy of it is left; whether it did.

        Without one, the loss of the row would be the loss of all data.
        """
        listing = self._copies.listing()
        if self._copies.like(opened.record, listing):
            return False
        last = opened.record.generation
        if last in listing:
            self._copies.put_after(last, opened.record, listing)
        else:
            self._copies.put(opened.record)
        return True

    def mend(self, opened: Opened) -> bool:
        """The record that opened is in its row and in a copy again; whether something was written.

        A row that says something else is replaced as it was read: it opens nothing.
        """
        row = self._row()
        values = to_values(opened.record)
        if row is None:
            self._rows.insert_plain(KEY_NAME, values)
        elif row.values != values:
            self._rows.replace_plain(KEY_NAME, values, row.etag)
        return self.ensure_copy(opened) or row is None or row.values != values

    def insert_row(self, opened: Opened) -> None:
        """Puts the row back where only copies were left."""
        self._rows.insert_plain(KEY_NAME, to_values(opened.record))

    def change(
        self,
        old: Secret,
        new: Secret,
        now: str,
        report: Callable[[str], None] = _ignore,
        memory_kib: int | None = None,
    ) -> KeyRecord:
        """Rewraps the data key under the new password. WrongPassword, Changed when another change came between.

        The new record is opened from its own bytes before it replaces the old one, under the old one's ETag. `report`
        hears what was wrong with the old one. `memory_kib` is what stretching takes; None: as before, but
        no less than the default.
        """
        row = self._row()
        opened = self._open_row(row, old) if row is not None else self._open_copies(old, "", None)
        if opened.damage:
            report(opened.damage)
        salt = successor_salt(opened.data_key)
        costs = _costs(opened.record, memory_kib)
        wrapped = wrap_data_key(opened.data_key, new, self._partition, costs=costs, salt=salt)
        if unwrap_data_key(wrapped, new, self._partition).reveal() != opened.data_key.reveal():
            raise AssertionError("the new key record does not open to the data key")
        listing = self._copies.listing()
        last = self._copies.generation_of(opened.record, listing, report)
        record = self._copies.put_after(last, KeyRecord(last, wrapped, opened.record.created, now), listing)
        if row is not None:  # else the table is lost: the backup that rebuilds it puts the key's row back last
            self._rows.replace_plain(KEY_NAME, to_values(record), row.etag)
        return record

    def _row(self) -> PlainRow | None:
        try:
            return self._rows.get_plain(KEY_NAME)
        except Missing:
            return None

    # --- copies

    def _superseding(self, last: KeyCopy, password: Secret) -> KeyRecord:
        """The last record, if the password opens it. Raises WrongPassword if it is the one of an older record only."""
        record = from_values(last.values)
        try:
            self._unwrap(record, password)
        except WrongPassword:
            raise WrongPassword(
                "the password is an older one of this partition",
                "give the password that was set last",
                changed_at(record),
            ) from None
        return record

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
                key = self._unwrap(record, password)
            except AzbackupError as error:
                errors.append(error)
            else:
                last = self._copies.last_of(copy, key, [*copies, *_as_copies(row)])
                if last is not copy:
                    record = self._superseding(last, password)
                return Opened(key, record, in_table=bool(damage), damage=damage)
        # What the row says counts. Without it one sound copy is enough to tell a wrong password, whatever was planted.
        raise first or next((error for error in errors if isinstance(error, WrongPassword)), errors[0])
