"""The key record: the data key under the password, one row and a copy for every password it ever had.

The copy is written first, under the next free generation; the row is what counts. A run that finds no row but copies
is looking at a lost table, or at a first backup that was killed: the copies open it just as well. A row that is like
none of its copies was altered, and is not believed: not about the password, not about its format, not about its number.
Whoever can create blobs can plant copies: each that can be read is tried, cheap ones first, and none ends the search.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from azbackup.crypto.kdf import Stretch, stretch
from azbackup.crypto.keywrap import new_data_key, unwrap_data_key, wrap_data_key
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Changed, Damaged, Exists, Missing, NothingStored, UsageError, WrongPassword
from azbackup.format.checksum import md5_of
from azbackup.format.labels import GENERATIONS, KEY_COPY_PREFIX, KEY_NAME, key_copy_name, number_of, record_blob
from azbackup.records.key_record import (
    COPY_BYTES,
    KeyRecord,
    NewerFormat,
    decode_copy,
    encode_copy,
    from_values,
    to_values,
)
from azbackup.storage.protocols import BlobInfo, BlobStore, PlainRow, RowStore


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
    keystore: Keystore, old: Secret, new: Secret, now: str, report: Callable[[str], None] = _ignore
) -> KeyRecord:
    """One run of change_password.py: the data key under a new password; the key record that is in force from now on.

    No data is touched, no other row is, and no other blob appears but one new copy of the key record. Raises UsageError
    if the new password is empty, Changed if somebody else changed it meanwhile, and whatever Keystore.change raises.
    """
    if not new.reveal():
        raise UsageError("the new password is empty", "give a password with --new-password")
    try:
        return keystore.change(old, new, now, report)
    except Changed:
        raise Changed(
            "somebody else changed the password meanwhile",
            "run the command again with the new password",
        ) from None


class _Copy(NamedTuple):
    """A copy that could be read: its number, and its values, which may be anything."""

    number: int
    values: dict[str, Any]

    @property
    def work(self) -> int:
        """What opening it would cost, as far as it says: planted ones that cost much are tried last."""
        memory, passes = self.values.get("memory"), self.values.get("passes")
        return memory * passes if isinstance(memory, int) and isinstance(passes, int) else 0


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
            if isinstance(error, WrongPassword | NewerFormat) and self._is_copied(row):
                raise
            return self._open_copies(password, "the key record's row was altered", error)

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
            self._put_copy(record, first=True)
        except Exists:  # another first backup came before, or the table was lost: that key is the partition's
            return self.open(password), False
        self._rows.insert_plain(KEY_NAME, to_values(record))
        return Opened(data_key, record, in_table=True), True

    def _unwrap(self, record: KeyRecord, password: Secret) -> Secret:
        return unwrap_data_key(record.wrapped, password, self._partition, self._stretched)

    def ensure_copy(self, opened: Opened) -> bool:
        """Writes a copy of the key record in force where no copy of it is left; whether it did.

        Without one, the loss of the row would be the loss of all data.
        """
        listing = self._listing()
        if self._like(opened.record, listing):
            return False
        last = opened.record.generation
        if last in listing:
            self._copy_after(last, opened.record, listing)
        else:
            self._put_copy(opened.record)
        return True

    def insert_row(self, opened: Opened) -> None:
        """Puts the row back where only copies were left."""
        self._rows.insert_plain(KEY_NAME, to_values(opened.record))

    def change(self, old: Secret, new: Secret, now: str, report: Callable[[str], None] = _ignore) -> KeyRecord:
        """Rewraps the data key under the new password. WrongPassword, Changed when another change came between.

        The new record is opened from its own bytes before it replaces the old one, under the old one's ETag. `report`
        hears what was wrong with the old one.
        """
        try:
            row = self._rows.get_plain(KEY_NAME)
        except Missing:
            self.insert_row(self._open_copies(old, "", None))
            row = self._rows.get_plain(KEY_NAME)
        opened = self._open_row(row, old)
        if opened.damage:
            report(opened.damage)
        wrapped = wrap_data_key(opened.data_key, new, self._partition)
        if unwrap_data_key(wrapped, new, self._partition).reveal() != opened.data_key.reveal():
            raise AssertionError("the new key record does not open to the data key")
        listing = self._listing()
        last = self._generation(opened.record, listing, report)
        record = self._copy_after(last, KeyRecord(last, wrapped, opened.record.created, now), listing)
        self._rows.replace_plain(KEY_NAME, to_values(record), row.etag)
        return record

    def _generation(self, record: KeyRecord, listing: dict[int, BlobInfo], report: Callable[[str], None]) -> int:
        """The number of a record, which its copies know: in the row nothing protects it."""
        if record.generation in listing and self._like(record, {record.generation: listing[record.generation]}):
            return record.generation
        numbers = self._like(record, listing)
        if not numbers:
            return record.generation
        report(f"the key record's row says generation {record.generation}; its copy is number {max(numbers)}")
        return max(numbers)

    def _like(self, record: KeyRecord, listing: dict[int, BlobInfo]) -> list[int]:
        """The numbers of the copies that are the same but for the generation."""
        found = []
        for copy in self._copies(listing):
            try:
                if replace(from_values(copy.values), generation=record.generation) == record:
                    found.append(copy.number)
            except AzbackupError:
                continue
        return found

    # --- copies

    def _copy_after(self, last: int, record: KeyRecord, taken: Container[int]) -> KeyRecord:
        """Writes the record's copy under the next free number, which becomes its generation."""
        for generation in range(last + 1, GENERATIONS[1] + 1):
            if generation in taken:  # left by a change that was killed before it replaced the row, or planted
                continue
            try:
                numbered = replace(record, generation=generation)
                self._put_copy(numbered)
                return numbered
            except Exists:
                continue
        raise Damaged(f"no key record can come after number {last}")

    def _put_copy(self, record: KeyRecord, *, first: bool = False) -> None:
        """Writes a copy; `first`: of a key that is made here. Only then may a missing container be made."""
        data = encode_copy(record)
        name = record_blob(self._partition, key_copy_name(record.generation))
        put = self._blobs.put_first if first else self._blobs.put_new
        put(name, data, "hot", md5_of(data))

    def _listing(self) -> dict[int, BlobInfo]:
        """The blobs that have the name of a copy, by number."""
        found = {}
        for info in self._blobs.listed(record_blob(self._partition, KEY_COPY_PREFIX)):
            try:
                found[number_of(info.name.rpartition("/")[2], KEY_COPY_PREFIX)] = info
            except Damaged:
                continue
        return found

    def _copies(self, listing: dict[int, BlobInfo]) -> list[_Copy]:
        """The copies that can be read, cheap ones first, and of those the newest."""
        found = []
        for number, info in listing.items():
            if info.size > COPY_BYTES:
                continue  # planted: nobody reads it
            try:
                values = decode_copy(self._blobs.get(info.name))
            except (Damaged, Missing):
                continue
            if values.get("generation") == number:
                found.append(_Copy(number, values))
        return sorted(found, key=lambda copy: (copy.work, -copy.number))

    def _holds_anything(self) -> bool:
        """Whether the partition has any pack or record. Folders alone may stay, where the account has them."""
        prefix = f"{self._partition}/"
        return any("/" in blob.name.removeprefix(prefix) for blob in self._blobs.listed(prefix))

    def _is_copied(self, row: PlainRow) -> bool:
        """Whether a copy says the same as the row, whatever that is."""
        values = row.values
        return any(
            all(values.get(name) == value for name, value in copy.values.items())
            for copy in self._copies(self._listing())
        )

    def _open_copies(self, password: Secret, damage: str, first: AzbackupError | None) -> Opened:
        """The first copy that the password opens; `first` is what is raised when none does, if anything."""
        copies = self._copies(self._listing())
        if not copies and first is None:
            if self._holds_anything():
                raise Damaged(f"the key record of partition {self._partition} is lost: no copy of it can be read")
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
                return Opened(key, record, in_table=bool(damage), damage=damage)
        # What the row says counts. Without it one sound copy is enough to tell a wrong password, whatever was planted.
        raise first or next((error for error in errors if isinstance(error, WrongPassword)), errors[0])
