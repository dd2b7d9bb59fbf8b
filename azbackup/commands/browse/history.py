"""Which versions of an entry there are, and in which snapshots: what layers say, snapshot after snapshot. Pure.

    layers -> what each says of the paths that match -> History: the state at each snapshot -> runs of snapshots

Holds what matches and nothing else, once for each version and not once for each snapshot. Two entries at one path are
the same version when kind, size, mtime, contents and target are the same; owner and mode make no new one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from azbackup.format.labels import CHUNK_ID_BYTES
from azbackup.format.layers import Hole, Item
from azbackup.format.model import Entry, Kind, order
from azbackup.format.patches import Patch, list_digest
from azbackup.records.snapshots import Source


class Version(NamedTuple):
    """What tells two entries at one path apart. `contents` stands for the chunk ids, which may be many."""

    kind: int
    size: int
    mtime_ns: int
    contents: bytes
    target: bytes


Changes = dict[bytes, Version | None]  # by path; None: nothing that matches is there any more


@dataclass(frozen=True)
class FoundVersion:
    """A version, and the snapshots that it is in: from (first) to (last), in all of the source's between them."""

    source: Source
    path: bytes
    version: Version
    snapshots: list[tuple[int, int]]


class _Seen(Protocol):
    """What is known of an entry beside its contents."""

    @property
    def kind(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...
    @property
    def target(self) -> bytes: ...


def looks_same(one: _Seen, other: _Seen) -> bool:
    """Whether two are the same for all that is known without their contents."""
    return (one.kind, one.size, one.mtime_ns, one.target) == (other.kind, other.size, other.mtime_ns, other.target)


def version_of(entry: Entry | Patch) -> Version:
    """The version that an entry is."""
    if isinstance(entry, Patch):
        file = entry.entry
        return Version(file.kind, file.size, file.mtime_ns, entry.digest, file.target)
    chunks = entry.chunks
    # A digest only to hold less: nothing is read under it, and the ids are a keyed hash already.
    contents = chunks if len(chunks) <= CHUNK_ID_BYTES else list_digest(chunks)
    return Version(entry.kind, entry.size, entry.mtime_ns, contents, entry.target)


def matching(items: Iterable[Item], matches: Callable[[Entry], bool], known: Collection[bytes]) -> Changes:
    """What one layer says of the paths that match.

    `known` holds the paths that layers below it have: what is removed, is now of a kind that does not match, or is not
    known any more matters only there.
    """
    found: Changes = {}
    for entry in items:
        if isinstance(entry, Hole):
            found.update((path, None) for path in known if entry.hides(path))
        elif entry.kind != Kind.REMOVED and matches(entry if isinstance(entry, Entry) else entry.entry):
            found[entry.path] = version_of(entry)
        elif entry.path in known:
            found[entry.path] = None
    return found


def joined(layers: Iterable[Changes]) -> Changes:
    """Some layers, older ones first, as one: the newest word on a path counts."""
    found: Changes = {}
    for layer in layers:
        found.update(layer)
    return found


class History:
    """What matches in the snapshots of one source, which come oldest first."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._now: dict[bytes, tuple[Version, int]] = {}  # the version, and the snapshot since which it is there
        self._past: dict[bytes, dict[Version, list[tuple[int, int]]]] = {}
        self._last = 0

    def step(self, number: int, changes: Changes) -> None:
        """The next snapshot, as what changed since the one before."""
        for path, version in changes.items():
            before = self._now.get(path)
            if before is not None:
                if before[0] == version:
                    continue
                self._end(path, *before)
                del self._now[path]
            if version is not None:
                self._now[path] = (version, number)
        self._last = number

    def become(self, number: int, state: Changes, *, apart: bool = False) -> None:
        """The next snapshot, as all that matches in it.

        `apart`: it is under another data key, and what looks the same goes on: contents cannot be compared.
        """
        for path, (before, first) in list(self._now.items()) if apart else ():
            version = state.get(path)
            if version is not None and looks_same(before, version):
                self._now[path] = (version, first)
        gone: Changes = {path: None for path in self._now if path not in state}
        self.step(number, {**gone, **state})

    def _end(self, path: bytes, version: Version, first: int) -> None:
        self._past.setdefault(path, {}).setdefault(version, []).append((first, self._last))

    def found(self) -> Iterator[FoundVersion]:
        """Every version, in path order, at one path by its first snapshot. Ends the history."""
        for path, (version, first) in self._now.items():
            self._end(path, version, first)
        self._now = {}
        for path in sorted(self._past, key=order):
            for version, snapshots in sorted(self._past[path].items(), key=lambda item: item[1]):
                yield FoundVersion(self._source, path, version, snapshots)
