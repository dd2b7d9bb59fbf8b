"""What the runs ask of a storage account: three protocols, so that they can be tested with a memory store.

The answers are values or the errors Exists, Missing, Changed and Unavailable, never an SDK's own. Every call may be
repeated after an answer that was lost: creating what is there already with the same bytes is a success.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from azbackup.format.model import SealedRecord

RowValue = str | int | bytes


class BlobInfo(msgspec.Struct, frozen=True):
    """What a listing says about one blob. `md5` is empty where the service keeps none; `pending` while it thaws.

    `priority` is the one that a thaw was asked for with, standard or high, '' for no thaw; `failed` marks a copy that
    never came. `created` and `modified` are Unix times; `moved`: when it came into its tier, 0.0 if it was sent there.
    """

    name: str
    size: int
    md5: bytes
    tier: str
    pending: bool = False
    priority: str = ""
    failed: bool = False
    created: float = 0.0
    modified: float = 0.0
    moved: float = 0.0


class PlainRow(msgspec.Struct, frozen=True):
    """The key record's row: plain properties, and the ETag under which it may be replaced."""

    values: dict[str, RowValue]
    etag: str


class BlobStore(Protocol):
    """One container. Names are full blob names."""

    def put_new(self, name: str, data: bytes, tier: str, md5: bytes) -> None:
        """Creates the blob in one request, straight in its tier. Raises Exists if other bytes have the name.

        Raises Damaged if the container is gone: a run that counts on what was in it must not begin with an empty one.
        """

    def put_first(self, name: str, data: bytes, tier: str, md5: bytes) -> None:
        """The same for the first blob of a partition, before which nothing was stored: makes a missing container."""

    def get(self, name: str) -> bytes:
        """All of a blob. Raises Missing if there is none."""

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        """Some of a blob; fewer bytes where it ends early. Raises Missing if there is none."""

    def names(self, prefix: str) -> Iterator[str]:
        """The names of the blobs under a prefix, five times as fast as all that is known of them."""

    def listed(self, prefix: str) -> Iterator[BlobInfo]:
        """The blobs under a prefix, in the order of their names; none where there is no container."""


class Removal(Protocol):
    """What deletes, of one container and one partition of a table: only retention has it. What is gone is a success."""

    def check(self) -> None:
        """Raises Unavailable if the credentials may not delete blobs and rows. Deletes nothing."""

    def blobs(self, names: Sequence[str]) -> None:
        """Deletes blobs by their full names."""

    def rows(self, names: Sequence[str]) -> None:
        """Deletes rows by their names."""


class Tiering(Protocol):
    """What moves blobs of one container to the archive tier: only a run that was asked for it has it."""

    def archive(self, names: Sequence[str]) -> int:
        """Moves blobs by their full names; how many were. What is gone, or there already, is passed over.

        Raises Unavailable if the credentials may not.
        """


class Span(NamedTuple):
    """A range of rows, first <= name < last, that is known to hold so many."""

    first: str
    last: str
    rows: int


class Look(NamedTuple):
    """What this machine knows of a partition's packs: when it looked at all of them, when at what was new, in seconds.

    `retired` is the newest retired record that it knew then, `rows` how many pack records it kept.
    """

    whole: int
    asked: int
    retired: int
    rows: int


NEVER = Look(0, 0, 0, 0)


class Looks(Protocol):
    """Remembers the last look."""

    def last(self) -> Look | None:
        """The last one, None where nothing is known of one."""

    def note(self, look: Look) -> None:
        """Remembers another one."""


class RowStore(Protocol):
    """One table, one partition of it."""

    def get_plain(self, name: str) -> PlainRow:
        """A row of plain properties. Raises Missing if there is none."""

    def insert_plain(self, name: str, values: dict[str, RowValue]) -> None:
        """Creates a row of plain properties. Raises Exists if another one is there."""

    def replace_plain(self, name: str, values: dict[str, RowValue], etag: str) -> None:
        """Replaces a row that still has this ETag. Raises Changed if it has another one by now."""

    def get(self, name: str) -> bytes:
        """A record's sealed bytes. Raises Missing if there is none."""

    def insert(self, rows: Sequence[SealedRecord]) -> dict[str, str]:
        """Creates the rows, in transactions of up to 100 rows and 4 MiB.

        Raises Exists if one is there with other bytes.

        Gives the versions, by name, of those that it created.
        """

    def replace(self, old: SealedRecord, sealed: bytes) -> None:
        """Puts other bytes in the place of a row that still has the old one's version.

        Raises Changed if it has another one by now. For a repair alone: the old bytes are of no use to anybody.
        """

    def versions(self, first: str, last: str, most: int | None = None) -> Iterator[tuple[str, str]]:
        """(name, version) of the rows with first <= name < last, in the order of their names; no contents travel.

        `most`: of so many of the first ones, None for all.
        """

    def range(self, first: str, last: str, wanted: Container[str] | None = None) -> Iterator[SealedRecord]:
        """The rows with first <= name < last, in the order of their names; none where there is no table.

        With `wanted` the others of them may be left out, where that spares something.
        """

    def first(self, first: str, last: str, most: int) -> list[SealedRecord]:
        """The rows with first <= name < last that come first by name, at most so many, by one request if it can be."""

    def kept(self, first: str, last: str) -> Iterator[SealedRecord]:
        """The rows with first <= name < last that this machine keeps, by name: nobody is asked, some may be missing."""

    def forget(self, names: Sequence[str]) -> bool:
        """Keeps rows that are kept here no more; whether that could be done."""

    def ranges(self, spans: Sequence[Span]) -> Iterator[SealedRecord]:
        """The rows of some ranges in order, which do not meet. What lies between is read only where it is little."""


class ThawStore(Protocol):
    """The staging container, where thawed copies lie under the names of their packs, and the means to thaw in place."""

    def listed(self, prefix: str) -> Iterator[BlobInfo]:
        """The copies under a prefix, pending or there; none where there is no container."""

    def thaw(self, name: str, priority: str) -> bool:
        """Asks for a copy of an archived blob; one that is there or under way stays. Whether it can be read at once."""

    def raise_priority(self, name: str) -> None:
        """Makes a pending copy's thaw one of high priority."""

    def thaw_in_place(self, name: str, priority: str) -> None:
        """Asks for the archived blob itself to come online; also raises the priority of one that is pending."""

    def archive_again(self, name: str) -> None:
        """Puts a blob that was thawed in place back into the archive tier."""

    def mark(self, name: str) -> None:
        """Writes an empty blob into the staging container, anew if it is there."""

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        """Some of a copy. Raises Missing if there is none."""

    def delete(self, name: str) -> None:
        """Removes a copy; one that is gone already is a success."""
