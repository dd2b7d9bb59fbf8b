"""What is different between two snapshots: two streams of entries in path order, merged. Reads records only.

    entries, entries -> paired by path -> added, removed, changed -> removed and added with the same contents: moved

Holds no more than MOST differences; what comes beyond goes out as it comes, and nothing is told to be moved then. A
path that a lost record hides on one side is no difference: nobody knows. Of two snapshots under different data keys the
contents of a file are taken to be the same where size and time are: nothing else can be compared.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from azbackup.commands.browse.history import looks_same, version_of
from azbackup.format.model import Entry, Kind, Snapshot, order
from azbackup.records.catalog import Catalog
from azbackup.records.eras import era_of
from azbackup.records.selection import Selection

MOST = 50_000


class Side(NamedTuple):
    """What of an entry makes a difference; `contents` and `xattrs` are as good as what they stand for, and short."""

    kind: int
    size: int
    contents: bytes
    target: bytes
    mtime_ns: int
    mode: int
    uid: int
    gid: int
    rdev: int
    xattrs: bytes


_METADATA = ("mtime_ns", "mode", "uid", "gid", "rdev", "xattrs")


@dataclass(frozen=True)
class Difference:
    """One path. `what`: added, removed, moved (from `origin`), kind, contents or metadata, of which `fields` differ."""

    what: str
    path: bytes
    old: Side | None
    new: Side | None
    fields: tuple[str, ...] = ()
    origin: bytes = b""


def side_of(entry: Entry) -> Side:
    """The side that an entry is. A directory's time is none of its own: it moves with what is in it."""
    version = version_of(entry)
    mtime_ns = 0 if entry.kind == Kind.DIRECTORY else entry.mtime_ns
    attributes = hashlib.blake2b(repr(entry.xattrs).encode(), digest_size=16).digest() if entry.xattrs else b""
    owner = (entry.mode, entry.uid, entry.gid, entry.rdev)
    return Side(entry.kind, entry.size, version.contents, entry.target, mtime_ns, *owner, attributes)


def difference(path: bytes, old: Side | None, new: Side | None) -> Difference | None:
    """How two sides of a path differ, None where they do not."""
    if old is None or new is None:
        return Difference("removed" if new is None else "added", path, old, new)
    if old == new:
        return None
    fields = tuple(name for name in _METADATA if getattr(old, name) != getattr(new, name))
    if old.kind != new.kind:
        return Difference("kind", path, old, new, fields)
    same = (old.size, old.contents, old.target) == (new.size, new.contents, new.target)
    return Difference("metadata" if same else "contents", path, old, new, fields)


def paired(old: Iterator[Entry], new: Iterator[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    """(old, new) for every path of either stream, in path order; None where a stream does not have it."""
    before, after = next(old, None), next(new, None)
    while before is not None or after is not None:
        if before is not None and after is not None and before.path == after.path:
            yield before, after
            before, after = next(old, None), next(new, None)
        elif after is None or (before is not None and order(before.path) < order(after.path)):
            yield before, None
            before = next(old, None)
        else:
            yield None, after
            after = next(new, None)


class Differences:
    """What a selection means of two snapshots, and how it differs. Made once, gone through once."""

    def __init__(self, catalog: Catalog, selection: Selection) -> None:
        self._catalog = catalog
        self._selection = selection
        self.unknown: list[bytes] = []  # the paths, as they were given, that neither snapshot has
        self.too_many = False  # whether more differed than are held to find what was moved

    def between(self, old: Snapshot, new: Snapshot) -> Iterator[Difference]:
        """The differences in path order."""
        found = self._found(old, new)
        held: list[Difference] = []
        for each in found:
            held.append(each)
            if len(held) > MOST:
                self.too_many = True
                yield from held
                yield from found
                return
        yield from moved(held)

    def _found(self, old: Snapshot, new: Snapshot) -> Iterator[Difference]:
        states = [self._catalog.entries(snapshot) for snapshot in (old, new)]
        apart = era_of(self._catalog, old.number) != era_of(self._catalog, new.number)
        watched = [self._selection.watch(states[0], old.source), self._selection.watch(states[1], new.source)]
        meant = [self._selection.among(watched[0], old.source), self._selection.among(watched[1], new.source)]
        for before, after in paired(*meant):
            path = (before or after or Entry(b"", 0)).path
            hidden = (before is None and states[0].hides(path)) or (after is None and states[1].hides(path))
            if hidden:
                continue
            old_side = side_of(before) if before is not None else None
            new_side = side_of(after) if after is not None else None
            if apart and old_side is not None and new_side is not None and looks_same(old_side, new_side):
                old_side = old_side._replace(contents=new_side.contents)
            found = difference(path, old_side, new_side)
            if found is not None:
                yield found
        unknown = watched[0].unknown & watched[1].unknown
        self.unknown = sorted(unknown - watched[0].hidden(states[0]) - watched[1].hidden(states[1]))


def moved(found: Iterable[Difference]) -> Iterator[Difference]:
    """The differences, a file that was removed and one that was added with its contents being one: it was moved.

    Of several the one with the same name is believed, else the first.
    """
    found = list(found)
    gone: dict[tuple[int, bytes], list[Difference]] = defaultdict(list)
    for each in found:
        if each.what == "removed" and (key := _contents(each.old)):
            gone[key].append(each)
    origins: dict[bytes, Difference] = {}
    for each in found:
        key = _contents(each.new) if each.what == "added" else None
        candidates = gone.get(key) if key else None
        if candidates:
            name = each.path.rpartition(b"/")[2]
            origin = next((one for one in candidates if one.path.rpartition(b"/")[2] == name), candidates[0])
            candidates.remove(origin)
            origins[each.path] = origin
    left = {origin.path for origin in origins.values()}
    for each in found:
        if each.what == "added" and each.path in origins:
            origin = origins[each.path]
            yield Difference("moved", each.path, origin.old, each.new, (), origin.path)
        elif not (each.what == "removed" and each.path in left):
            yield each


def _contents(side: Side | None) -> tuple[int, bytes] | None:
    """What a file is known by wherever it lies; None for what has no contents."""
    return (side.size, side.contents) if side is not None and side.kind == Kind.FILE and side.contents else None
