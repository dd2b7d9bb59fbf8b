"""The copies of the key record: one blob for each record that was ever in force, numbered in that order.

Whoever can create blobs can plant copies: each that can be read is tried, cheap ones first, and none ends the search.
Which of them is the last genuine one is told by those who can open one: see `last_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, NamedTuple

import msgspec

from azbackup.crypto.secret import Secret
from azbackup.errors import Archived, AzbackupError, Damaged, Exists, Missing
from azbackup.format.checksum import md5_of
from azbackup.format.labels import (
    GENERATIONS,
    KEY_COPY_PREFIX,
    SALT_BYTES,
    key_copy_name,
    number_of,
    record_blob,
)
from azbackup.records.key_record import (
    COPY_BYTES,
    SEALED_FORMATS,
    KeyRecord,
    decode_copy,
    encode_copy,
    from_values,
    is_successor,
)
from azbackup.storage.protocols import BlobInfo, BlobStore, PlainRow


class KeyCopy(NamedTuple):
    """A copy that could be read: its number, and its values, which may be anything."""

    number: int
    values: dict[str, Any]

    @property
    def work(self) -> int:
        """What opening it would cost, as far as it says: planted ones that cost much are tried last."""
        try:
            return sum(slot.work for slot in from_values(self.values).slots)
        except AzbackupError:
            return 0  # nobody tries it


class KeyCopies:
    """The copies of one partition's key record."""

    def __init__(self, blobs: BlobStore, partition: str) -> None:
        self._blobs = blobs
        self._partition = partition
        self.archived: set[int] = set()  # numbers of copies that cannot be read now, since they are archived

    def like(self, record: KeyRecord, listing: dict[int, BlobInfo]) -> list[int]:
        """The numbers of the copies that are the same; in format 1, where nothing seals it, but for the generation."""
        found = []
        for copy in self.read(listing):
            try:
                there = from_values(copy.values)
                if not record.proof:
                    there = msgspec.structs.replace(there, generation=record.generation)
                if there == record:
                    found.append(copy.number)
            except AzbackupError:
                continue
        return found

    def generation_of(self, record: KeyRecord, listing: dict[int, BlobInfo], report: Callable[[str], None]) -> int:
        """The number of a record, which its copies know: in a row of format 1 nothing protects it."""
        if record.proof:
            return record.generation
        if record.generation in listing and self.like(record, {record.generation: listing[record.generation]}):
            return record.generation
        numbers = self.like(record, listing)
        if not numbers:
            return record.generation
        report(f"the key record's row says generation {record.generation}; its copy is number {max(numbers)}")
        return max(numbers)

    def put_after(self, last: int, record: KeyRecord, taken: Container[int]) -> KeyRecord:
        """Writes the record's copy under the next free number, which becomes its generation."""
        for generation in range(last + 1, GENERATIONS[1] + 1):
            if generation in taken:  # left by a change that was killed before it replaced the row, or planted
                continue
            try:
                numbered = msgspec.structs.replace(record, generation=generation)
                self.put(numbered)
                return numbered
            except Exists:
                continue
        raise Damaged(f"no key record can come after number {last}")

    def put(self, record: KeyRecord, *, first: bool = False) -> None:
        """Writes a copy; `first`: of a key that is made here. Only then may a missing container be made."""
        data = encode_copy(record)
        name = record_blob(self._partition, key_copy_name(record.generation))
        put = self._blobs.put_first if first else self._blobs.put_new
        put(name, data, "hot", md5_of(data))

    def listing(self) -> dict[int, BlobInfo]:
        """The blobs that have the name of a copy, by number."""
        found = {}
        for info in self._blobs.listed(record_blob(self._partition, KEY_COPY_PREFIX)):
            try:
                found[number_of(info.name.rpartition("/")[2], KEY_COPY_PREFIX)] = info
            except Damaged:
                continue
        return found

    def read(self, listing: dict[int, BlobInfo]) -> list[KeyCopy]:
        """The copies that can be read, cheap ones first, and of those the newest."""
        found = []
        for number, info in listing.items():
            if info.size > COPY_BYTES:
                continue  # planted: nobody reads it
            try:
                values = decode_copy(self._blobs.get_range(info.name, 0, COPY_BYTES + 1))
            except Archived:
                self.archived.add(number)
                continue
            except (Damaged, Missing):
                continue
            if values.get("generation") == number:
                found.append(KeyCopy(number, values))
        return sorted(found, key=lambda copy: (copy.work, -copy.number))

    def last_of(self, copy: KeyCopy, key: Secret, copies: list[KeyCopy]) -> KeyCopy:
        """The newest copy that is genuine, as far as whoever opened this one can tell; planted ones are passed over.

        A salt that a lower number has already was taken from there, and nobody writes format 1 after format 2. One of a
        later data key comes after all of an earlier one, whatever number those have: that key may be known to others.
        Raises Damaged if a later one cannot be read now.
        """
        if self.archived and max(self.archived) > copy.number:
            raise Damaged(
                f"copy {max(self.archived)} of the key record is in the archive tier: it may be of a later password",
                "set its tier to hot or cool, wait until it is thawed, and run the command again",
            )
        return self._last_of(copy, key, copies)

    def newest(self, key: Secret, copies: list[KeyCopy]) -> int:
        """The highest number that a genuine successor has, of those that can be read; 0 if there is none."""
        return self._last_of(KeyCopy(0, {}), key, copies).number

    def _last_of(self, copy: KeyCopy, key: Secret, copies: list[KeyCopy]) -> KeyCopy:
        salts: set[object] = set()
        last, since, proven, eras = copy, copy.number, _is_sealed(copy), _era(copy)
        for each in sorted(copies, key=lambda copy: copy.number):
            salt, sealed = each.values.get("salt"), _is_sealed(each)
            if each.number < 1 or not isinstance(salt, bytes):
                continue
            if not _is_sealed(copy) and not sealed and salt == copy.values.get("salt"):
                since = min(since, each.number)  # whatever number it has now: nothing seals that of format 1
            if not sealed and (proven or salt in salts):
                continue
            salts.add(salt)
            if is_successor(each.values, key, self._partition):
                era = _era(each)
                if era > eras or (era == eras and (each.number > since or (sealed and not proven))):
                    last, since, eras = each, each.number, era
                proven = proven or sealed
        return last

    def is_copied(self, row: PlainRow) -> bool:
        """Whether a copy says the same as the row, whatever that is."""
        values = row.values
        return any(
            all(values.get(name) == value for name, value in copy.values.items()) for copy in self.read(self.listing())
        )


def _is_sealed(copy: KeyCopy) -> bool:
    """Whether it is of a format that has a proof."""
    return copy.values.get("format") in SEALED_FORMATS


def _era(copy: KeyCopy) -> int:
    """The number of the data key that it is of, as it says."""
    marks = copy.values.get("marks")
    return 1 + len(marks) // SALT_BYTES if isinstance(marks, bytes) else 1
