"""How a key record takes the place of another: first its row, then its copy, each under a number of its own.

    number above all genuine ones  ->  row replaced under the ETag of the one before  ->  copy of that number

The row decides between two that come at once, so a copy is only ever written of a record that was in force, and their
numbers have the order in which they were: the newest sound copy is the truth where the row is lost, whoever was killed
and wherever. Where there is no row the copy's number decides: whoever finds it taken was late. Killed between the two,
the new record is in force and has no copy yet: whoever sees to the key record next writes it.
"""

from __future__ import annotations

from collections.abc import Callable

from azbackup.crypto.secret import Secret
from azbackup.errors import Changed, Exists, Missing, Unavailable
from azbackup.format.labels import KEY_NAME
from azbackup.records.key_copies import KeyCopies
from azbackup.records.key_record import KeyRecord, to_values
from azbackup.storage.protocols import PlainRow, RowStore

Numbered = Callable[[int], KeyRecord]  # the record with this number, and its proof


class KeyWriter:
    """Writes one partition's key records."""

    def __init__(self, rows: RowStore, copies: KeyCopies) -> None:
        self._rows = rows
        self._copies = copies

    def row(self) -> PlainRow | None:
        """The row, None if there is none."""
        try:
            return self._rows.get_plain(KEY_NAME)
        except Missing:
            return None

    def publish(self, numbered: Numbered, key: Secret, row: PlainRow | None, least: int) -> KeyRecord:
        """Puts a record in force instead of `row`, or where that is lost after copy `least`; as it was written.

        Raises Changed if another one came between, Damaged if no number is left above `least`.
        """
        while True:
            listing = self._copies.listing()
            newest = self._copies.newest(key, self._copies.read(listing))
            if row is None and newest > least:
                raise Changed(f"the key record has a copy {newest} by now")
            number = max(newest, least) + 1
            while number in listing:  # planted, or left by a change of an earlier version that was killed
                number += 1
            record = numbered(number)
            if row is None:
                self._put_first(record)
                return record
            self._rows.replace_plain(KEY_NAME, to_values(record), row.etag)
            row = self._put_copy(record)
            if row is None:
                return record
            least = number  # the name was taken since it was listed: another number, for both

    def _put_copy(self, record: KeyRecord) -> PlainRow | None:
        """Writes the copy of what the row says. The row, if the copy's name is taken and the record still in force."""
        try:
            self._copies.put(record)
        except Exists:
            row = self.row()
            return row if row is not None and row.values == to_values(record) else None
        except Unavailable as error:
            raise Unavailable(
                f"the passwords were changed, but no copy of the key record was written: {error.message}",
                "backup.py --repair writes it, and so does the same command again",
            ) from None
        return None

    def _put_first(self, record: KeyRecord) -> None:
        """Where the table is lost: the copy alone, and the row if somebody has put an older one back meanwhile."""
        try:
            self._copies.put(record)
        except Exists:
            raise Changed(f"copy {record.generation} of the key record was written by somebody else") from None
        row = self.row()
        if row is not None and row.values != to_values(record):
            self._rows.replace_plain(KEY_NAME, to_values(record), row.etag)
