"""The tree that is to stand in the destination: the entries of the snapshots that are meant, and what leads there.

Where one source lies within another, what is below the inner one is the inner one's, unless the outer one was backed up
later and had that directory: then it is all the outer one's. Never a mixture of the two.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from azbackup.errors import Damaged, NothingStored
from azbackup.format.held import HeldEntries
from azbackup.format.layers import State
from azbackup.format.model import Entry, Kind, Snapshot, order
from azbackup.format.numbers import Numbers
from azbackup.format.paths import check_path
from azbackup.records.catalog import Catalog
from azbackup.records.selection import Selection
from azbackup.records.snapshots import not_known

SOURCE_BITS = 64  # of an entry's device
Chosen = Sequence[tuple[Snapshot, bytes]]  # each snapshot with its prefix in the destination, '' for none


@dataclass
class Target:
    """What is to stand in the destination.

    `entries` are those that are meant, in path order; `paths` what may stand there, if that was asked for. `above`
    are the directories that only lead to what is meant, `tops` those that a source is restored into, with the source;
    `states` tell what of it is hidden.
    The device of an entry has the number of its source above its own SOURCE_BITS.
    """

    selection: Selection
    entries: HeldEntries = field(default_factory=HeldEntries)
    paths: Paths = field(default_factory=lambda: Paths(()))
    above: set[bytes] = field(default_factory=set)
    tops: dict[bytes, bytes] = field(default_factory=dict)
    states: dict[bytes, State] = field(default_factory=dict)

    def prefix_of(self, path: bytes) -> bytes:
        """The directory that the source of a path is restored into; the innermost one of several."""
        return max((top for top in self.tops if _is_in(path, top)), key=len, default=b"")

    def means(self, path: bytes, kind: int) -> bool:
        """Whether the selection means what stands at a path and is not in the snapshot."""
        tops = [top for top in self.tops if _is_in(path, top)]
        if not tops:
            return False
        top = max(tops, key=len)
        inside = path[len(top) + 1 :] if top else path
        return self.selection.means(Entry(inside, kind), self.tops[top])

    def may_hold(self, path: bytes) -> bool:
        """Whether a path may be in the snapshots, as far as `paths` were asked for."""
        return path in self.paths or self.hides(path)

    def hides(self, path: bytes) -> bool:
        """Whether nobody knows if something is to stand at a path."""
        return any(
            state.hides(path[len(top) + 1 :] if top else path)
            for top, state in self.states.items()
            if _is_in(path, top)
        )


def target_entries(
    catalog: Catalog, chosen: Chosen, selection: Selection, *, with_paths: bool, slips: Collection[bytes] = ()
) -> Target:
    """The tree of the chosen snapshots. Raises NothingStored if nothing is meant: mostly a slip.

    `slips`: paths that are noted among `paths` if they are there, when not all are.

    Of a part of a snapshot only that part is held in memory.
    """
    for _, prefix in chosen:
        check_path(prefix)
    target = Target(selection, tops={prefix: snapshot.source for snapshot, prefix in chosen})
    target.paths = Paths(parent for _, prefix in chosen for parent in _parents(prefix))
    meant: list[_Meant] = []
    unknown: list[set[bytes]] = []
    done: set[bytes] = set()
    for source, (snapshot, prefix) in enumerate(sorted(chosen, key=lambda pair: pair[0].number)):
        inner = {top for top in target.tops if top != prefix and _is_in(top, prefix)}
        state = target.states[prefix] = catalog.entries(snapshot)
        seen = _Seen(state, prefix, inner, None if with_paths else slips)
        watched = selection.watch(seen, snapshot.source)
        wanted = _Meant()
        leads: set[bytes] = set()
        for entry in selection.of(watched, snapshot.source):
            leading = entry.kind == Kind.DIRECTORY and not selection.means(entry, snapshot.source)
            entry.path = _under(prefix, entry.path)
            entry.device += source << SOURCE_BITS  # numbers of different sources say nothing about each other
            if leading:
                leads.add(entry.path)
            elif entry.path in target.above:
                wanted.again.add(entry.path)
            wanted.entries.append(entry)
        for path in sorted(hidden := watched.hidden(state)):
            catalog.records.report(not_known(path, snapshot))
        unknown.append(watched.unknown - hidden)
        anew = inner & done & seen.directories
        for each in meant:
            each.without |= anew
        target.paths.leave_out(anew)
        wanted.without = inner - (done & seen.directories)
        target.paths.add(seen.paths, wanted.without)
        target.above -= {path for path in wanted.again if wanted.has(path)}
        target.above |= {path for path in leads if wanted.has(path)}
        meant.append(wanted)
        done.add(prefix)
    target.entries = meant[0].entries if len(meant) == 1 and not meant[0].without else _merged(meant)
    _check(target, set.intersection(*unknown) if unknown else set(), chosen)
    return target


class _Meant:
    """What is meant of one source. What is in the directories `without`, other sources are restored to, is not."""

    def __init__(self) -> None:
        self.entries = HeldEntries()
        self.without: set[bytes] = set()
        self.again: set[bytes] = set()  # directories that only lead to what is meant of an earlier source

    def has(self, path: bytes) -> bool:
        """Whether what has a path is not left out."""
        return not any(_is_in(path, top) for top in self.without)

    def drained(self, number: int) -> Iterator[tuple[bytes, int, Entry]]:
        """The place of each entry in path order, and the entry."""
        return ((order(entry.path), number, entry) for entry in self.entries.drained() if self.has(entry.path))


def _merged(meant: Sequence[_Meant]) -> HeldEntries:
    """The entries of all sources as one row. Where several have a path, the last one's is meant."""
    found = HeldEntries()
    last: Entry | None = None
    for _, _, entry in heapq.merge(*(each.drained(-number) for number, each in enumerate(meant))):
        if last is None or entry.path != last.path:
            found.append(entry)
        last = entry
    return found


class Paths:
    """Which paths there are: some by name, those of whole snapshots by a hash of eight bytes that few share."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._named = set(paths)
        self._hashed: list[tuple[Numbers, set[bytes]]] = []  # each without what is in some directories

    def __contains__(self, path: object) -> bool:
        assert isinstance(path, bytes)
        if path in self._named:
            return True
        number = _hash(path)
        return any(
            number in numbers and not any(_is_in(path, top) for top in without) for numbers, without in self._hashed
        )

    def add(self, numbers: Numbers, without: Collection[bytes]) -> None:
        """The paths of a snapshot, but for those in some directories."""
        self._hashed.append((numbers, set(without)))

    def leave_out(self, tops: Collection[bytes]) -> None:
        """Forgets the paths in some directories."""
        self._named = {path for path in self._named if not any(_is_in(path, top) for top in tops)}
        for _, without in self._hashed:
            without.update(tops)


def _hash(path: bytes) -> int:
    """Python's own hash, keyed anew for each process: nobody can make paths that have the same."""
    return hash(path) & 0xFFFFFFFFFFFFFFFF


class _Seen:
    """Entries on their way through, their paths and which of some paths are directories noted."""

    def __init__(
        self, entries: Iterable[Entry], prefix: bytes, tops: Collection[bytes], noted: Collection[bytes] | None
    ) -> None:
        """`noted`: which paths are, None for all."""
        self._entries = entries
        self._prefix = prefix
        self._tops = tops
        self._noted = noted
        self.paths = Numbers()
        self.directories: set[bytes] = set()

    def __iter__(self) -> Iterator[Entry]:
        above = b""
        for entry in self._entries:
            if self._noted is None or self._noted or self._tops:
                path = _under(self._prefix, entry.path)
                if self._noted is None or path in self._noted:
                    self.paths.add(_hash(path))
                    if (parent := path.rpartition(b"/")[0]) != above:
                        # Directories that are not known are made for what is in them.
                        self.paths.update(map(_hash, _parents(path)))
                        above = parent
                if path in self._tops and entry.kind == Kind.DIRECTORY:
                    self.directories.add(path)
            yield entry
        self.paths.sort()


def _is_in(path: bytes, top: bytes) -> bool:
    return not top or path == top or path.startswith(top + b"/")


def _under(prefix: bytes, path: bytes) -> bytes:
    return prefix + b"/" + path if prefix and path else prefix or path


def _check(target: Target, unknown: set[bytes], chosen: Chosen) -> None:
    """NothingStored for a path that no snapshot has, and where nothing at all is meant; Damaged where it is hidden."""
    sources = ", ".join(os.fsdecode(snapshot.source) for snapshot, _ in chosen)
    hint = f"give paths as they are below {sources}, patterns as in .gitignore"
    if unknown:
        raise NothingStored(f"{os.fsdecode(min(unknown))} is not in the snapshot", hint)
    if not len(target.entries) and any(state.hidden for state in target.states.values()):
        raise Damaged(
            "nothing of what was asked for is known any more: it was in file records that are lost",
            "an older snapshot may have it: see --find and --snapshot",
        )
    if not len(target.entries):
        raise NothingStored("nothing in the snapshot matches the paths and patterns", hint)


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]
