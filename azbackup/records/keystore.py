"""The key record: the data key under the password, one row and a copy for every password it ever had.

The copy is written first, under the next free generation; the row is what counts. A run that finds no row but copies
is looking at a lost table, or at a first backup that was killed: the copies open it just as well. A row that is like
none of its copies was altered, and is not believed about the password.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from azbackup.crypto.kdf import KdfCosts, Stretch, stretch
from azbackup.crypto.keywrap import WrappedKey, new_data_key, unwrap_data_key, wrap_data_key
from azbackup.crypto.secret import Secret
from azbackup.errors import AzbackupError, Changed, Damaged, Exists, Missing, NothingStored, UsageError, WrongPassword
from azbackup.format import labels
from azbackup.format.labels import (
    KEY_COPY_PREFIX,
    KEY_NAME,
    RECORD_MAGIC,
    key_copy_name,
    number_of,
    record_blob,
)
from azbackup.storage.protocols import BlobStore, PlainRow, RowStore, RowValue

T = TypeVar("T", int, str, bytes)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The key record's contents. Times are `YYYY-MM-DDTHH:MM:SSZ`."""

    generation: int
    wrapped: WrappedKey
    created: str
    changed: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A data key and where it was found. `damage` says what was wrong on the way, '' if nothing."""

    data_key: Secret
    record: KeyRecord
    in_table: bool
    damage: str = ""


def change_password(keystore: Keystore, old: Secret, new: Secret, now: str) -> KeyRecord:
    """One run of change_password.py: the data key under a new password; the key record that is in force from now on.

    No data is touched, no other row is, and no other blob appears but one new copy of the key record. Raises UsageError
    if the new password is empty, Changed if somebody else changed it meanwhile, and whatever Keystore.change raises.
    """
    if not new.reveal():
        raise UsageError("the new password is empty", "give a password with --new-password")
    try:
        return keystore.change(old, new, now)
    except Changed:
        raise Changed(
            "the password was changed by somebody else meanwhile",
            "run the command again with the password of now",
        ) from None


def to_values(record: KeyRecord) -> dict[str, RowValue]:
    """The plain properties of the row; a copy is the same as a msgpack map behind RECORD_MAGIC."""
    wrapped = record.wrapped
    return {
        "format": labels.FORMAT,
        "kdf": labels.KDF_NAME,
        "memory": wrapped.costs.memory_kib,
        "passes": wrapped.costs.passes,
        "lanes": wrapped.costs.lanes,
        "salt": wrapped.salt,
        "commitment": wrapped.commitment,
        "wrapped": wrapped.wrapped,
        "generation": record.generation,
        "created": record.created,
        "changed": record.changed,
    }


def from_values(values: Mapping[str, object]) -> KeyRecord:
    """The key record of a row. Damaged when something is missing or of the wrong type; an unknown format is refused."""
    if _take(values, "format", int) != labels.FORMAT or _take(values, "kdf", str) != labels.KDF_NAME:
        raise AzbackupError(
            f"this version does not know the key record's format {values['format']} or KDF {values['kdf']}",
            "use a newer azbackup",
        )
    costs = KdfCosts(_take(values, "memory", int), _take(values, "passes", int), _take(values, "lanes", int))
    salt, commitment, wrapped = (_take(values, name, bytes) for name in ("salt", "commitment", "wrapped"))
    return KeyRecord(
        _take(values, "generation", int),
        WrappedKey(costs, salt, commitment, wrapped),
        _take(values, "created", str),
        _take(values, "changed", str),
    )


def _take(values: Mapping[str, object], name: str, kind: type[T]) -> T:
    value = values.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Damaged(f"the key record has no valid {name!r}")
    return value


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
        """The data key. NothingStored, WrongPassword, Damaged."""
        try:
            row = self._rows.get_plain(KEY_NAME)
        except Missing:
            return self._open_copies(password, "", None)
        return self._open_row(row, password)

    def _open_row(self, row: PlainRow, password: Secret) -> Opened:
        try:
            record = from_values(row.values)
            return Opened(self._unwrap(record, password), record, in_table=True)
        except (WrongPassword, Damaged) as error:
            if isinstance(error, WrongPassword) and self._is_copied(row):
                raise
            return self._open_copies(password, "the key record's row was altered", error)

    def open_or_create(self, password: Secret, now: str) -> tuple[Opened, bool]:
        """The data key, made when the partition has none and nothing else either; whether it was made.

        Of two first backups the one that creates the first copy makes the key. Damaged where there is data but no key:
        a new key beside it would hide that the old one is lost.
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
            self._put_copy(record)
        except Exists:  # another first backup came before, or the table was lost: that key is the partition's
            return self.open(password), False
        self._rows.insert_plain(KEY_NAME, to_values(record))
        return Opened(data_key, record, in_table=True), True

    def _unwrap(self, record: KeyRecord, password: Secret) -> Secret:
        return unwrap_data_key(record.wrapped, password, self._partition, self._stretched)

    def insert_row(self, opened: Opened) -> None:
        """Puts the row back where only copies were left."""
        self._rows.insert_plain(KEY_NAME, to_values(opened.record))

    def change(self, old: Secret, new: Secret, now: str) -> KeyRecord:
        """Rewraps the data key under the new password. WrongPassword, Changed when another change came between.

        The new record is opened from its own bytes before it replaces the old one, under the old one's ETag.
        """
        try:
            row = self._rows.get_plain(KEY_NAME)
        except Missing:
            self.insert_row(self._open_copies(old, "", None))
            row = self._rows.get_plain(KEY_NAME)
        before = from_values(row.values)
        data_key = self._unwrap(before, old)
        wrapped = wrap_data_key(data_key, new, self._partition)
        if unwrap_data_key(wrapped, new, self._partition).reveal() != data_key.reveal():
            raise AssertionError("the new key record does not open to the data key")
        record = self._copy_under_next_generation(KeyRecord(before.generation + 1, wrapped, before.created, now))
        self._rows.replace_plain(KEY_NAME, to_values(record), row.etag)
        return record

    # --- copies

    def _copy_under_next_generation(self, record: KeyRecord) -> KeyRecord:
        while True:
            try:
                self._put_copy(record)
                return record
            except Exists:  # left by a change that was killed before it replaced the row
                record = KeyRecord(record.generation + 1, record.wrapped, record.created, record.changed)

    def _put_copy(self, record: KeyRecord) -> None:
        data = RECORD_MAGIC + msgspec.msgpack.encode(to_values(record))
        name = record_blob(self._partition, key_copy_name(record.generation))
        self._blobs.put_new(name, data, "hot", hashlib.md5(data, usedforsecurity=False).digest())

    def _copies(self) -> list[KeyRecord]:
        """The copies that can be read, newest first."""
        found = []
        for info in self._blobs.listed(record_blob(self._partition, KEY_COPY_PREFIX)):
            try:
                number = number_of(info.name.rpartition("/")[2], KEY_COPY_PREFIX)
                data = self._blobs.get(info.name)
                values = msgspec.msgpack.decode(data.removeprefix(RECORD_MAGIC), type=dict)
                found.append((number, from_values(values)))
            except (msgspec.DecodeError, Damaged):
                continue
        return [record for _, record in sorted(found, key=lambda pair: pair[0], reverse=True)]

    def _holds_anything(self) -> bool:
        """Whether the partition has any blob."""
        return next(iter(self._blobs.listed(f"{self._partition}/")), None) is not None

    def _is_copied(self, row: PlainRow) -> bool:
        record = from_values(row.values)
        return any(copy == record for copy in self._copies())

    def _open_copies(self, password: Secret, damage: str, first: AzbackupError | None) -> Opened:
        """The newest copy that the password opens; `first` is what is raised when none does, if anything."""
        copies = self._copies()
        if not copies and first is None:
            if self._holds_anything():
                raise Damaged(f"the key record of partition {self._partition} is lost: no copy of it can be read")
            raise NothingStored(
                f"nothing is stored in partition {self._partition}",
                "check --partition, --account and --container",
            )
        for record in copies:
            try:
                key = self._unwrap(record, password)
            except (WrongPassword, Damaged) as error:
                first = first or error
                continue
            return Opened(key, record, in_table=bool(damage), damage=damage)
        assert first is not None
        raise first
