"""The file records of layers: found by their names, opened, and in an order that they can have.

Promises that a record which is missing, does not open or stands where it cannot costs only itself: `Lost` takes its
place. However many records a layer claims, only those that there are cost anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from azbackup.errors import Damaged
from azbackup.format.entries import first_path, read_record
from azbackup.format.labels import FILES_PREFIX, files_name
from azbackup.format.layers import END, Lost, Payload, rising
from azbackup.format.model import Layer, SealedRecord, order
from azbackup.records.record_store import RecordStore
from azbackup.storage.protocols import Span

Rows = dict[str, SealedRecord]  # by name, still sealed

_ENTRY_BYTES = 64  # sealed, about
_RECORD_BYTES = 500_000  # sealed, about, of all records of a layer but its last: chunk lists are more than entries say


def size_of(layer: Layer) -> int:
    """About how many bytes the records of a layer have; nothing is asked for that."""
    return max(layer.entries * _ENTRY_BYTES, (layer.records - 1) * _RECORD_BYTES)


class _FileNames:
    """The names of the file records of some layers. Told by their form: a layer may claim a million that are not."""

    def __init__(self, layers: list[Layer]) -> None:
        self._records: dict[str, int] = {}
        for layer in layers:
            self._records[layer.run] = max(layer.records, self._records.get(layer.run, 0))

    def counts(self) -> list[tuple[str, int]]:
        """(run, how many records) in the order of their names."""
        return sorted(self._records.items())

    def __contains__(self, name: object) -> bool:
        run, _, digits = str(name).removeprefix(FILES_PREFIX).rpartition("-")
        if run not in self._records or not (digits.isascii() and digits.isdigit()):
            return False
        return 1 <= int(digits) <= self._records[run] and name == files_name(run, int(digits))


def layer_rows(records: RecordStore, layers: list[Layer]) -> Rows:
    """The sealed rows of some layers, in as few queries as that takes without reading much of other runs."""
    if not layers:
        return {}
    wanted = _FileNames(layers)
    spans = [Span(f"{FILES_PREFIX}{run}-", f"{FILES_PREFIX}{run}.", count) for run, count in wanted.counts()]
    return {row.name: row for row in records.ranges(spans) if row.name in wanted}


class _Found(NamedTuple):
    """A record that opens: its number, its bytes, the place of its first entry."""

    number: int
    row: SealedRecord
    first: bytes


def layer_payloads(records: RecordStore, layer: Layer, rows: Rows) -> Iterator[Payload | Lost]:
    """What the records of a layer say, in their order, or why one is lost. Takes from `rows` what is the layer's."""
    if layer.records == 1:
        try:
            name = files_name(layer.run, 1)
            yield _payload(records, name, records.read(name, rows.pop(name, None))[1])
        except Damaged as error:
            yield Lost(error.message)
        return
    found, why = _opened(records, layer, rows)
    in_order, doubts = _in_order(records, found, why)
    believed = deque(in_order)
    found.clear()  # each is let go when it was read
    del in_order
    done = 0
    while believed:
        record = believed.popleft()
        yield from _gap(layer, done, record.number, why)
        if record.number in doubts:
            yield Lost(doubts[record.number])
        yield _payload(records, record.row.name, records.open_sealed(record.row))
        done = record.number
    yield from _gap(layer, done, layer.records + 1, why)
    if layer.records + 1 in doubts:
        yield Lost(doubts[layer.records + 1])


def _payload(records: RecordStore, name: str, data: bytes) -> Payload:
    return Payload(data, partial(records.instead, name))


def _opened(records: RecordStore, layer: Layer, rows: Rows) -> tuple[list[_Found], dict[int, str]]:
    """The records of a layer that open, and why others do not, by number."""
    names = {name for name in rows if name.startswith(f"{FILES_PREFIX}{layer.run}-")}
    if len(names) < layer.records:
        known = _FileNames([layer])
        names |= {name for name in records.copies.files_of(layer.run) if name in known}
    found: list[_Found] = []
    why: dict[int, str] = {}
    first = b""
    for number in sorted(int(name.rpartition("-")[2]) for name in names):
        name = files_name(layer.run, number)
        try:
            row, payload = records.read(name, rows.pop(name, None))
        except Damaged as error:
            why[number] = error.message
            continue
        path = first_path(payload)
        first = first if path is None else order(path)  # one that is none is found out when it is read
        found.append(_Found(number, row, first))
    return found, why


def _in_order(
    records: RecordStore, found: list[_Found], why: dict[int, str]
) -> tuple[Sequence[_Found], dict[int, str]]:
    """The records whose order can be, and before which of them the entries of the others may belong."""
    places = rising([record.first for record in found])
    doubts: dict[int, str] = {}
    if len(places) == len(found):
        return list(found), doubts
    believed = [found[place] for place in places]
    kept = set(places)
    for record in (record for place, record in enumerate(found) if place not in kept):
        why[record.number] = f"record {record.row.name} is out of order"
        first, last = _span(records, record)
        below = b""
        for each in believed:
            if below <= last and first <= each.first:
                doubts[each.number] = why[record.number]
            below = each.first
        if below <= last:
            doubts[believed[-1].number + 1] = why[record.number]
    return believed, doubts


def _span(records: RecordStore, record: _Found) -> tuple[bytes, bytes]:
    """The places of a record's first and last entry; from the first to the last that there can be where it is none."""
    name = record.row.name
    try:
        _, keys = read_record(records.open_sealed(record.row), name, None, full=False, report=lambda _: None)
    except Damaged:
        return b"", END
    return record.first, max(keys, default=b"")


def _gap(layer: Layer, done: int, following: int, why: dict[int, str]) -> Iterator[Lost]:
    """What stands for the records between two that there are."""
    reasons = [reason for number, reason in why.items() if done < number < following]
    absent = following - done - 1 - len(reasons)
    if absent == 1:
        name = files_name(layer.run, next(number for number in range(done + 1, following) if number not in why))
        reasons.append(f"record {name} is missing")
    elif absent:
        first, last = files_name(layer.run, done + 1), files_name(layer.run, following - 1)
        reasons.append(f"{absent:,} of the records {first} to {last} are missing")
    if reasons:
        yield Lost("; ".join(reasons))
