"""Table Storage as the runs know it: one partition's rows, inserted once; only the key record is ever replaced.

    sealed record -> properties d00, d01, ... of up to 60 KiB each, at most 12

Creating what is there with the same bytes is a success: an answer may have been lost, or another run may have
finished this one's commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.data.tables import EntityProperty, TableClient, UpdateMode

from azbackup.errors import Changed, Exists, Missing
from azbackup.format.batches import batches
from azbackup.format.labels import PROPERTY_BYTES, RECORD_BYTES
from azbackup.format.model import SealedRecord
from azbackup.storage.azure.account import Account
from azbackup.storage.protocols import PlainRow, RowValue, Span

T = TypeVar("T")

_TRANSACTION_ROWS = 100
_BESIDE_BYTES = 256 * 1024  # that may be read in vain before ranges are asked for one by one
_TRANSACTION_BYTES = 4 * 1024 * 1024 - 256 * 1024  # of encoded body, with room for headers
_ENVELOPE_BYTES = 1024


def to_properties(sealed: bytes) -> dict[str, bytes]:
    """Sealed bytes as binary properties; ValueError past RECORD_BYTES (the caller splits records before)."""
    if len(sealed) > RECORD_BYTES:
        raise ValueError(f"a record of {len(sealed)} bytes does not fit a row")
    starts = range(0, len(sealed), PROPERTY_BYTES)
    return {f"d{number:02d}": sealed[at : at + PROPERTY_BYTES] for number, at in enumerate(starts)}


def from_properties(entity: Any) -> bytes:
    """The sealed bytes of an entity. A property that is missing, or is no bytes, cuts them: the seal notices."""
    parts: list[bytes] = []
    while isinstance(part := entity.get(f"d{len(parts):02d}"), bytes):
        parts.append(part)
    return b"".join(parts)


def _transactions(rows: Sequence[SealedRecord]) -> Iterator[list[SealedRecord]]:
    """The rows in order, in groups that one transaction can hold."""
    return batches(rows, _encoded_size, _TRANSACTION_BYTES, _TRANSACTION_ROWS)


def _encoded_size(row: SealedRecord) -> int:
    return len(row.sealed) * 4 // 3 + _ENVELOPE_BYTES


class AzureRows:
    """One partition of one table; with `before` only the rows that were not written since that Unix time."""

    def __init__(self, account: Account, table: str, partition: str, before: float | None = None) -> None:
        self._before = before
        self._account = account
        self._table = table
        self._partition = partition
        self._client: TableClient = account.table(table)

    def _call(self, what: str, action: Callable[[], T]) -> T:
        return self._account.call(what, action, table=True)

    # --- the key record

    def get_plain(self, name: str) -> PlainRow:
        """A row of plain properties with its ETag. Raises Missing if there is none."""
        entity = self._entity(name)
        values = {key: _value(value) for key, value in entity.items() if key not in ("PartitionKey", "RowKey")}
        return PlainRow(values, str(entity.metadata["etag"]))

    def insert_plain(self, name: str, values: dict[str, RowValue]) -> None:
        """Creates a row of plain properties. Raises Exists if another one is there."""
        try:
            self._creating(lambda: self._client.create_entity(self._keyed(name, values)), name)
        except Exists:
            if self.get_plain(name).values != values:
                raise

    def replace_plain(self, name: str, values: dict[str, RowValue], etag: str) -> None:
        """Replaces the row under its ETag. Raises Changed unless the new values are there: an answer was lost."""
        try:
            self._replace(name, values, etag)
        except Changed:
            if self.get_plain(name).values != values:
                raise

    def _replace(self, name: str, values: dict[str, Any], etag: str) -> None:
        self._call(
            f"row {name}",
            lambda: self._client.update_entity(
                self._keyed(name, values),
                mode=UpdateMode.REPLACE,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
            ),
        )

    # --- records

    def get(self, name: str) -> bytes:
        """A record's sealed bytes. Raises Missing if there is none."""
        return from_properties(self._entity(name))

    def insert(self, rows: Sequence[SealedRecord]) -> dict[str, str]:
        """Creates the rows in as few transactions as hold them, in order. Raises Exists if one has other bytes.

        Gives the ETags of those that it created. A transaction is all or nothing: before the rest of one is tried
        again, all that is there must agree.
        """
        versions: dict[str, str] = {}
        for group in _transactions(rows):
            while group:
                try:
                    versions.update(self._insert_group(group))
                    break
                except Exists:
                    rest = [row for row in group if not self._is_there(row)]
                    if len(rest) == len(group):
                        raise
                    group = rest
        return versions

    def _insert_group(self, group: list[SealedRecord]) -> Iterator[tuple[str, str]]:
        entities = [self._keyed(row.name, dict(to_properties(row.sealed))) for row in group]
        if len(entities) == 1:
            answers = [self._creating(lambda: self._client.create_entity(entities[0]), group[0].name)]
        else:
            operations: list[Any] = [("create", entity) for entity in entities]
            answers = self._creating(partial(self._submit, operations), f"{group[0].name} and more")
        return ((row.name, str(answer.get("etag") or "")) for row, answer in zip(group, answers, strict=True))

    def _submit(self, operations: list[Any]) -> Any:
        """The answers of a transaction. Raises ValueError when it is not one for each operation: that is no answer."""
        answers = self._client.submit_transaction(operations)
        if len(answers) != len(operations):
            raise ValueError("a batch was answered in part")
        return answers

    def _is_there(self, row: SealedRecord) -> bool:
        """Whether a row is there with these bytes. Raises Exists if it is there with others."""
        try:
            there = self.get(row.name)
        except Missing:
            return False
        if there != row.sealed:
            raise Exists(f"row {row.name} exists already")
        return True

    def replace(self, old: SealedRecord, sealed: bytes) -> None:
        """Replaces a row under its ETag. Raises Changed unless the new bytes are there: an answer was lost."""
        try:
            self._replace(old.name, dict(to_properties(sealed)), old.version)
        except Changed:
            if self.get(old.name) != sealed:
                raise

    def versions(self, first: str, last: str, most: int | None = None) -> Iterator[tuple[str, str]]:
        """(name, ETag) of the rows with first <= name < last; none where there is no table."""
        columns = ["RowKey", "Timestamp"]  # the ETag is made of the timestamp
        for entity in islice(self._entities(first, last, columns, most), most):
            yield entity["RowKey"], _etag(entity)

    def range(self, first: str, last: str, wanted: Container[str] | None = None) -> Iterator[SealedRecord]:  # noqa: ARG002
        """The rows with first <= name < last, page by page; none where there is no table. All of them, always."""
        for entity in self._entities(first, last, None):
            yield SealedRecord(entity["RowKey"], from_properties(entity), _etag(entity))

    def kept(self, first: str, last: str) -> Iterator[SealedRecord]:  # noqa: ARG002
        """None: nothing is kept on this machine."""
        return iter(())

    def forget(self, names: Sequence[str]) -> bool:  # noqa: ARG002
        """Nothing is kept on this machine."""
        return True

    def ranges(self, spans: Sequence[Span]) -> Iterator[SealedRecord]:
        """The rows of some ranges: by one query, by one for each from where much lies between them."""
        rest, beside = deque(spans), 0
        for row in self.range(spans[0].first, spans[-1].last):
            while rest and row.name >= rest[0].last:
                rest.popleft()
            if rest and rest[0].first <= row.name:
                yield row
            elif (beside := beside + len(row.sealed)) > _BESIDE_BYTES:
                break
        else:
            return
        for span in rest:
            yield from self.range(span.first, span.last)

    def first(self, first: str, last: str, most: int) -> list[SealedRecord]:
        """The first rows of a range; a page that is short, or empty, is followed by the next one."""
        found = islice(self._entities(first, last, None, most), most)
        return [SealedRecord(entity["RowKey"], from_properties(entity), _etag(entity)) for entity in found]

    def _entities(self, first: str, last: str, select: list[str] | None, page: int | None = None) -> Iterator[Any]:
        query = partial(
            self._client.query_entities,
            "PartitionKey eq @partition and RowKey ge @first and RowKey lt @last",
            parameters={"partition": self._partition, "first": first, "last": last},
            select=select,
            results_per_page=page,
        )
        found = self._account.pages(f"table {self._table}", query, table=True)
        return found if self._before is None else filter(self._is_older, found)

    def _is_older(self, entity: Any) -> bool:
        """Whether the service wrote a row before that time: nobody else can set its timestamp."""
        written = entity.metadata.get("timestamp")
        return written is not None and self._before is not None and written.timestamp() < self._before

    # ---

    def _entity(self, name: str) -> Any:
        entity = self._call(f"row {name}", lambda: self._client.get_entity(self._partition, name))
        if self._before is not None and not self._is_older(entity):
            raise Missing(f"row {name} was not there before that time")
        return entity

    def _keyed(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        return {"PartitionKey": self._partition, "RowKey": name, **values}

    def _creating(self, action: Callable[[], Any], name: str) -> Any:
        """An insert's answer; makes the table first where there is none."""
        what = f"table {self._table}"
        insert = partial(self._call, f"row {name}", action)
        return self._account.creating(what, self._client.create_table, insert, table=True)


def _etag(entity: Any) -> str:
    return str(entity.metadata.get("etag") or "")


def _value(value: Any) -> RowValue:
    """A property as the key record knows it: 64-bit integers come wrapped from the SDK."""
    inner = value.value if isinstance(value, EntityProperty) else value
    return inner if isinstance(inner, str | int | bytes) else str(inner)
