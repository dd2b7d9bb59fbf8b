"""Layers of entries: the records of a run as one stream, and streams merged layer over layer. Pure, in path order.

A record is a run of its layer's entries without a gap, and so are two that follow each other. Where one is lost, or
cannot be used, there is a Hole: the paths of which this layer might have said something. Promises that what a hole
hides is not made up for by older layers: a removed file would come back, an old version would pass for the new one.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from azbackup.errors import Damaged
from azbackup.format.entries import HIDDEN, KEPT, LOST, MORE, PARTS, PATCHED, Report, read_record
from azbackup.format.labels import CHUNK_ID_BYTES, ITEM_CHUNKS, PATH_BYTES
from azbackup.format.model import Entry, Kind, order
from azbackup.format.patches import Kept, Patch, joined, put_together, rise

END = b"\xff" * (PATH_BYTES + 1)  # behind each path


class Lost(NamedTuple):
    """Stands for a record that is not there, or cannot be used."""

    why: str


class Payload(NamedTuple):
    """A record's bytes, and where there may be better ones: those of its copy that pass a check, None for none."""

    data: bytes
    instead: Callable[[Callable[[bytes], object]], bytes | None]


class Hole(msgspec.Struct, gc=False, frozen=True):
    """Paths of which nothing is known: those whose place in path order is from `start` on and before `end`."""

    start: bytes
    end: bytes

    def hides(self, path: bytes) -> bool:
        """Whether a path is one of them."""
        return self.start <= order(path) < self.end

    def __str__(self) -> str:
        """The range, in words."""
        first, last = _shown(self.start[:-1]), _shown(self.end)
        if self.start and self.end != END:
            return f"the paths between {first} and {last}"
        return (
            f"the paths after {first}" if self.start else f"the paths before {last}" if self.end != END else "all paths"
        )


def _shown(key: bytes) -> str:
    return repr(os.fsdecode(key.replace(b"\0", b"/")))


Item = Entry | Patch | Hole


# --- one layer


def read_entries(
    records: Iterable[bytes | Payload | Lost], *, full: bool = False, report: Report | None = None
) -> Iterator[Item]:
    """The entries of one run's payloads; those of a `full` layer have no removals.

    An entry that cannot be used is told to `report`, and its path is one that is removed: what an older layer has there
    is not what was. A record that cannot be used is a Hole, which is told too. Without `report` both are Damaged.
    """
    layer = _Layer(report, full=full)
    for number, record in enumerate(records, 1):
        yield from layer.add(record, number)
    yield from layer.end()


class _Layer:
    """The entry in hand, what belongs to it, and what is lost behind it."""

    def __init__(self, report: Report | None, *, full: bool) -> None:
        self._report = report
        self._full = full
        self._last: Entry | None = None
        self._parts: list[Entry] = []  # what follows the last entry and belongs to it
        self._start = b""  # the first place behind the last entry
        self._lost: list[str] = []  # why what comes next is not known

    def add(self, record: bytes | Payload | Lost, number: int) -> Iterator[Item]:
        """The entries that are complete with a further record."""
        items, keys = self._opened(record, f"file record {number}")
        if items and all(item.kind < MORE for item in items):  # nearly always
            yield from self._next(items.pop(), keys[-1], keys[0])
            yield from items
            return
        for item, key in zip(items, keys, strict=True):
            if item.kind == HIDDEN:
                self._lost.append(os.fsdecode(item.target))
            elif item.kind in PARTS:
                self._add_part(item)
            else:
                yield from self._next(item, key, key)

    def _next(self, entry: Entry, place: bytes, first: bytes) -> Iterator[Item]:
        """Gives what is in hand, and the hole behind it up to `first`; then an entry is in hand."""
        if self._last is not None:
            yield from self._finished()
        if self._lost:
            yield self._hole(first)
        self._last, self._parts, self._start = entry, [], place + b"\0"

    def end(self) -> Iterator[Item]:
        """What is in hand, and the hole behind it."""
        if self._last is not None:
            yield from self._finished()
        if self._lost:
            yield self._hole(END)

    def _opened(self, record: bytes | Payload | Lost, what: str) -> tuple[list[Entry], list[bytes]]:
        """The items of a record and their places, none where it is lost. Of one that is not whole the copy is asked."""
        try:
            if isinstance(record, Lost):
                raise Damaged(record.why)
            if isinstance(record, Payload):
                try:
                    return self._items(record.data, what, None)
                except Damaged:
                    record = record.instead(lambda data: self._items(data, what, None)) or record.data
            return self._items(record, what, self._report)
        except Damaged as error:
            self._lose(error.message)
            return [], []

    def _items(self, payload: bytes, what: str, report: Report | None) -> tuple[list[Entry], list[bytes]]:
        """The items of a payload and their places. Without `report` all of them are sound, or it is Damaged."""
        before = self._last.path if self._last is not None else None
        items, keys = read_record(payload, what, before, full=self._full, report=report)
        first = next((key for item, key in zip(items, keys, strict=True) if item.kind not in PARTS), None)
        if self._last is not None and first is not None and first < self._start:
            raise Damaged(f"the entries of {what} are out of order")
        return items, keys

    def _lose(self, why: str) -> None:
        if self._report is None:
            raise Damaged(why)
        self._lost.append(why)

    def _add_part(self, item: Entry) -> None:
        if self._last is not None and item.path == self._last.path:
            if self._lost and item.kind in (MORE, KEPT):
                self._tell_lost(self._last, "a part of its chunks is lost")
            self._parts.append(Entry(item.path, LOST) if self._lost else item)
        elif not self._lost:  # else it is of an entry that is lost
            self._lose("a file record holds chunks of no file")

    def _hole(self, end: bytes) -> Hole:
        """The hole from the last entry to the next one, told."""
        hole = Hole(self._start, end)
        if self._report is not None:
            self._report(f"{hole} are not known: {'; '.join(dict.fromkeys(self._lost))}")
        self._lost = []
        return hole

    def _finished(self) -> Iterator[Entry | Patch]:
        """The last entry with the chunks that came after it, put together once: they may be millions.

        It is lost with any of them, and where one may be in what comes next.
        """
        entry, parts = self._last, self._parts
        assert entry is not None
        whole: Entry | Patch | None = entry
        may_go_on = entry.kind == PATCHED or len((parts or [entry])[-1].chunks) == ITEM_CHUNKS * CHUNK_ID_BYTES
        if any(part.kind == LOST for part in parts):
            whole = None
        elif self._lost and may_go_on:
            whole = None
            self._tell_lost(entry, "it may go on in what is lost")
        elif parts or entry.kind == PATCHED:
            whole = _with_parts(entry, parts)
            if whole is None:
                self._tell_lost(entry, "a file record holds chunks of no file")
        if whole is not None:
            yield whole
        elif not self._full:
            yield Entry(entry.path, int(Kind.REMOVED))

    def _tell_lost(self, entry: Entry, why: str) -> None:
        if self._report is None:
            raise Damaged(why)
        self._report(f"the entry of {os.fsdecode(entry.path)!r} is not known: {why}")


def _with_parts(entry: Entry, parts: list[Entry]) -> Entry | Patch | None:
    """An entry and the further chunks and runs that came behind it, None where they do not fit."""
    runs: list[list[Entry]] = [[entry]]  # each with the further chunks behind it
    for part in parts:
        if part.kind == KEPT:
            runs.append([part])
        else:
            runs[-1].append(part)
    head, *chunks = (b"".join(item.chunks for item in run) for run in runs)
    if entry.kind == Kind.FILE and len(runs) == 1:
        entry.chunks = head
        return entry
    kept = [Kept(run[0].rdev, run[0].size, more) for run, more in zip(runs[1:], chunks, strict=True)]
    if entry.kind != PATCHED or not kept or not rise(kept):
        return None
    digest, entry.kind, entry.target, entry.chunks = entry.target, int(Kind.FILE), b"", head
    return Patch(entry, digest, kept)


def rising(keys: Sequence[bytes]) -> list[int]:
    """The most places in a sequence whose keys do not fall: of records in an order that cannot be, those to believe."""
    tails: list[int] = []  # the last place of the best rise of each length
    before = [-1] * len(keys)
    for place, key in enumerate(keys):
        at = bisect.bisect_right(tails, key, key=keys.__getitem__)
        before[place] = tails[at - 1] if at else -1
        tails[at : at + 1] = [place]
    found = []
    place = tails[-1] if tails else -1
    while place >= 0:
        found.append(place)
        place = before[place]
    return found[::-1]


# --- layer over layer


def merge(below: Iterator[Item], above: Iterator[Item], report: Report | None, *, final: bool) -> Iterator[Item]:
    """Two layers as one: where both have a path, or `above` a hole, `above` wins; a patch is put together.

    `final` drops removals: the result is a state, and the holes in it. A patch whose path `below` does not have as it
    should is told to `report`, and is a hole; without `report` it is Damaged.
    """
    upper = next(above, None)
    place = _place(upper)
    dark = unlit = b""  # up to here what is below is hidden, or not known
    for lower in below:
        key = lower.start if isinstance(lower, Hole) else lower.path.replace(b"/", b"\0")  # as `_place` has it
        while upper is not None and place <= key and (place < key or isinstance(upper, Hole)):
            if isinstance(upper, Hole):
                dark = max(dark, upper.end)
            yield from _given(upper, max(dark, unlit), report, final=final)
            upper = next(above, None)
            place = _place(upper)
        if isinstance(lower, Hole):
            unlit = max(unlit, lower.end)
            yield lower
        elif key == place:
            if isinstance(upper, Patch) and key >= dark:
                upper = _over(lower, upper, report)
        elif key >= dark and not (final and lower.kind == Kind.REMOVED):
            yield lower
    while upper is not None:
        if isinstance(upper, Hole):
            dark = max(dark, upper.end)
        yield from _given(upper, max(dark, unlit), report, final=final)
        upper = next(above, None)


def _given(item: Item, dark: bytes, report: Report | None, *, final: bool) -> Iterable[Item]:
    """What becomes of an item of the upper layer below which there is none; up to `dark` nobody knows."""
    if isinstance(item, Patch) and (final or order(item.path) < dark):
        item = _unknown(item, _NOTHING_BELOW, report)
    return () if final and not isinstance(item, Hole) and item.kind == Kind.REMOVED else (item,)


_NOTHING_BELOW = "the version that it keeps chunks of is not there"


def _over(lower: Entry | Patch, upper: Patch, report: Report | None) -> Item:
    """What a patch makes of what is below it."""
    try:
        if isinstance(lower, Patch):
            return joined(upper, lower)
        return put_together(upper, lower)
    except Damaged as error:
        return _unknown(upper, error.message, report)


def _unknown(patch: Patch, why: str, report: Report | None) -> Hole:
    """What stands for a file of which nobody knows what is in it."""
    text = f"the entry of {os.fsdecode(patch.path)!r} is not known: {why}"
    if report is None:
        raise Damaged(text)
    report(text)
    place = order(patch.path)
    return Hole(place, place + b"\0")


def _place(item: Item | None) -> bytes:
    """Where an item comes in path order: a hole before what it may hide. No item comes last."""
    if item is None:
        return END
    return item.start if isinstance(item, Hole) else order(item.path)


class State:
    """What a snapshot's layers say, merged: entries in path order. What they do not tell any more is `hidden`."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self.hidden: list[Hole] = []  # as far as the entries were gone through

    def __iter__(self) -> Iterator[Entry]:
        for item in self._items:
            if isinstance(item, Entry):
                yield item
            else:
                assert isinstance(item, Hole)  # no patch is left in a state
                self.hidden.append(item)

    def hides(self, path: bytes) -> bool:
        """Whether nobody knows if a path was there."""
        return any(hole.hides(path) for hole in self.hidden)
