"""Rows that come from this machine's cache where the table still has the same version of them.

names and versions from the table, some thousand at a time -> same version here? these bytes -> else the row, kept
"""

from __future__ import annotations

import bisect
from collections.abc import Container, Generator, Iterator, Sequence
from itertools import islice

from azbackup.format.batches import batches
from azbackup.format.model import SealedRecord
from azbackup.storage.local.row_cache import Cache
from azbackup.storage.protocols import PlainRow, RowStore, RowValue, Span

_PUT_BYTES = 4 * 1024 * 1024  # of rows that are read, kept together
_SPANS = 4  # queries for what is missing; more gaps than these are read in one query with all between them
_LISTED = 100  # names that may lie between ranges that are read together
_SLICE = 10_000  # names that are compared at once


class CachedRows:
    """A RowStore whose ranges come from the cache where the table still has the same version."""

    def __init__(self, rows: RowStore, cache: Cache) -> None:
        self._rows = rows
        self._cache = cache

    def get_plain(self, name: str) -> PlainRow:
        """Reads the row from the table."""
        return self._rows.get_plain(name)

    def insert_plain(self, name: str, values: dict[str, RowValue]) -> None:
        """Creates the row in the table."""
        self._rows.insert_plain(name, values)

    def replace_plain(self, name: str, values: dict[str, RowValue], etag: str) -> None:
        """Replaces the row in the table."""
        self._rows.replace_plain(name, values, etag)

    def get(self, name: str) -> bytes:
        """Reads the record from the table and drops the cached one, whose bytes did not open.

        Raises Missing if there is none.
        """
        self._cache.drop([name])
        return self._rows.get(name)

    def insert(self, rows: Sequence[SealedRecord]) -> dict[str, str]:
        """Creates the rows in the table, and keeps those that it created."""
        versions = self._rows.insert(rows)
        self._cache.put([SealedRecord(row.name, row.sealed, versions.get(row.name, "")) for row in rows])
        return versions

    def replace(self, old: SealedRecord, sealed: bytes) -> None:
        """Replaces the row in the table, and forgets the old one."""
        self._cache.drop([old.name])
        self._rows.replace(old, sealed)

    def versions(self, first: str, last: str, most: int | None = None) -> Iterator[tuple[str, str]]:
        """Yields the names and versions that the table has."""
        return self._rows.versions(first, last, most)

    def range(self, first: str, last: str, wanted: Container[str] | None = None) -> Iterator[SealedRecord]:
        """The rows in the order of their names, from here where they are the table's.

        Where nothing is kept of a range it is read as it is, in no more requests than without a cache.
        """
        if not self._cache.has(first, last):
            yield from self._read(first, last)
            return
        for begin, end, listed in _slices(self._rows.versions(first, last), first, last):
            yield from self._compared(begin, end, listed, self._cache.versions(begin, end), wanted)

    def first(self, first: str, last: str, most: int) -> list[SealedRecord]:
        """The first rows of a range, read from the table and kept."""
        rows = self._rows.first(first, last, most)
        self._cache.put(rows)
        return rows

    def kept(self, first: str, last: str) -> Iterator[SealedRecord]:
        """The rows that are here."""
        return self._cache.kept(first, last)

    def forget(self, names: Sequence[str]) -> bool:
        """Drops rows that are here, for good."""
        return self._cache.forget(names)

    def ranges(self, spans: Sequence[Span]) -> Iterator[SealedRecord]:
        """The rows of some ranges. Where much lies between them, those that are here whole are taken as they are.

        Nobody asks then whether they are still the table's: verification does, and any machine that has none of them.
        """
        first, last = spans[0].first, spans[-1].last
        kept = self._cache.versions(first, last)
        if not kept:
            yield from self._keeping(self._rows.ranges(spans))
            return
        listed = list(self._rows.versions(first, last, _LISTED))
        if len(listed) < _LISTED:
            yield from self._compared(first, last, listed, kept, _Within(spans))
            return
        for span in spans:
            yield from self._whole(span, sorted(name for name in kept if span.first <= name < span.last), kept)

    def _whole(self, span: Span, names: list[str], kept: dict[str, str]) -> Iterator[SealedRecord]:
        """The rows of a range as they are here if all are, else as the table has them."""
        found = names if len(names) == span.rows else []
        rows = [SealedRecord(name, self._cache.get(name) or b"", kept[name]) for name in found]
        if rows and all(row.sealed for row in rows):
            yield from rows
        else:
            yield from self.range(span.first, span.last)

    def _compared(
        self,
        first: str,
        last: str,
        listed: list[tuple[str, str]],
        kept: dict[str, str],
        wanted: Container[str] | None,
    ) -> Iterator[SealedRecord]:
        """A range whose names and versions were listed."""
        self._cache.drop(list(kept.keys() - {name for name, _ in listed}))
        spans = _spans(listed, kept, wanted, last)
        added: list[str] = []
        for begin, end, missing in spans:
            if missing:
                added += yield from self._read(begin, end)
            elif (sealed := self._cache.get(begin)) is not None:
                yield SealedRecord(begin, sealed, kept[begin])
            else:  # the file is not what it was: one query for all that is left, and it is kept anew
                added += yield from self._read(begin, spans[-1][1])
                break
        self._cache.confirm(first, last, added)

    def _read(self, first: str, last: str) -> Generator[SealedRecord, None, list[str]]:
        """A range of the table, kept as it is read; the names that were kept."""
        return (yield from self._keeping(self._rows.range(first, last)))

    def _keeping(self, found: Iterator[SealedRecord]) -> Generator[SealedRecord, None, list[str]]:
        names: list[str] = []
        for rows in batches(found, lambda row: len(row.sealed), _PUT_BYTES):
            yield from rows
            names += self._cache.put(rows)
        return names


class _Within:
    """The names that lie in one of some ranges."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._firsts = [span.first for span in spans]
        self._lasts = [span.last for span in spans]

    def __contains__(self, name: object) -> bool:
        at = bisect.bisect_right(self._firsts, str(name)) - 1
        return at >= 0 and str(name) < self._lasts[at]


def _slices(
    listed: Iterator[tuple[str, str]], first: str, last: str
) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """(first, end, names and versions) of the parts of a range, as many names each as are held at once."""
    part = list(islice(listed, _SLICE))
    while following := list(islice(listed, _SLICE)):
        yield first, following[0][0], part
        first, part = following[0][0], following
    yield first, last, part


def _spans(
    listed: list[tuple[str, str]], kept: dict[str, str], wanted: Container[str] | None, last: str
) -> list[tuple[str, str, bool]]:
    """(first, end, whether it is to be read) in order: a kept record each, or a range with missing ones."""
    spans: list[tuple[str, str, bool]] = []
    ends = [*(name for name, _ in listed), last][1:]
    for (name, version), end in zip(listed, ends, strict=True):
        if wanted is not None and name not in wanted:
            continue
        missing = not version or kept.get(name) != version
        if missing and spans and spans[-1][2] and spans[-1][1] == name:
            spans[-1] = (spans[-1][0], end, True)
        else:
            spans.append((name, end, missing))
    gaps = [span for span in spans if span[2]]
    if len(gaps) <= _SPANS:
        return spans
    first, end = gaps[0][0], gaps[-1][1]
    before = [span for span in spans if span[0] < first]
    return [*before, (first, end, True), *(span for span in spans if span[0] >= end)]
