"""The tree that is to stand in the destination: the entries of the snapshots that are meant, and what leads there.

Where one source lies within another, what is below the inner one is the inner one's, unless the outer one was backed up
later and had that directory: then it is all the outer one's. Never a mixture of the two.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from azbackup.errors import Damaged, NothingStored
from azbackup.format.layers import State
from azbackup.format.model import Entry, Kind, Snapshot, order
from azbackup.format.paths import check_path
from azbackup.records.catalog import Catalog
from azbackup.records.selection import Selection
from azbackup.records.snapshots import not_known

SOURCE_BITS = 64  # of an entry's device
Chosen = Sequence[tuple[Snapshot, bytes]]  # each snapshot with its prefix in the destination, '' for none


@dataclass
class Target:
    """What is to stand in the destination.

    `entries` are those that are meant, in path order; `paths` all that may stand there, if they were asked for. `above`
    are the directories that only lead to what is meant, `tops` those that a source is restored into, with the source;
    `states` tell what of it is hidden.
    The device of an entry has the number of its source above its own SOURCE_BITS.
    """

    selection: Selection
    entries: list[Entry] = field(default_factory=list)
    paths: set[bytes] = field(default_factory=set)
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
    target.paths = {parent for _, prefix in chosen for parent in _parents(prefix)}
    meant: dict[bytes, Entry] = {}
    unknown: list[set[bytes]] = []
    done: set[bytes] = set()
    for source, (snapshot, prefix) in enumerate(sorted(chosen, key=lambda pair: pair[0].number)):
        inner = {top for top in target.tops if top != prefix and _is_in(top, prefix)}
        state = target.states[prefix] = catalog.entries(snapshot)
        seen = _Seen(state, prefix, inner, None if with_paths else slips)
        watched = selection.watch(seen, snapshot.source)
        wanted = selection.of(watched, snapshot.source)
        for path in sorted(hidden := watched.hidden(state)):
            catalog.records.report(not_known(path, snapshot))
        unknown.append(watched.unknown - hidden)
        if state.hidden:  # directories that are not known are made for what is in them
            seen.paths += {parent for path in seen.paths for parent in _parents(path)}
        _leave_out(meant, target.paths, inner & done & seen.directories)
        others = inner - (done & seen.directories)
        target.paths.update(path for path in seen.paths if not any(_is_in(path, top) for top in others))
        for entry in wanted:
            leads = entry.kind == Kind.DIRECTORY and not selection.means(entry, snapshot.source)
            entry.path = _under(prefix, entry.path)
            entry.device += source << SOURCE_BITS  # numbers of different sources say nothing about each other
            if not any(_is_in(entry.path, top) for top in others):
                meant[entry.path] = entry
                (target.above.add if leads else target.above.discard)(entry.path)
        done.add(prefix)
    _check(target, meant, set.intersection(*unknown) if unknown else set(), chosen)
    ordered = meant if len(chosen) == 1 else sorted(meant, key=order)
    target.entries = [meant[path] for path in ordered]
    return target


def _leave_out(meant: dict[bytes, Entry], paths: set[bytes], tops: Collection[bytes]) -> None:
    """Forgets inner sources that an outer one has anew."""
    if tops:
        for path in [path for path in meant if any(_is_in(path, top) for top in tops)]:
            del meant[path]
        paths -= {path for path in paths if any(_is_in(path, top) for top in tops)}


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
        self.paths: list[bytes] = []
        self.directories: set[bytes] = set()

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            if self._noted is None or self._noted or self._tops:
                path = _under(self._prefix, entry.path)
                if self._noted is None or path in self._noted:
                    self.paths.append(path)
                if path in self._tops and entry.kind == Kind.DIRECTORY:
                    self.directories.add(path)
            yield entry


def _is_in(path: bytes, top: bytes) -> bool:
    return not top or path == top or path.startswith(top + b"/")


def _under(prefix: bytes, path: bytes) -> bytes:
    return prefix + b"/" + path if prefix and path else prefix or path


def _check(target: Target, meant: Mapping[bytes, Entry], unknown: set[bytes], chosen: Chosen) -> None:
    """NothingStored for a path that no snapshot has, and where nothing at all is meant; Damaged where it is hidden."""
    sources = ", ".join(os.fsdecode(snapshot.source) for snapshot, _ in chosen)
    hint = f"give paths as they are below {sources}, patterns as in .gitignore"
    if unknown:
        raise NothingStored(f"{os.fsdecode(min(unknown))} is not in the snapshot", hint)
    if not meant and any(state.hidden for state in target.states.values()):
        raise Damaged(
            "nothing of what was asked for is known any more: it was in file records that are lost",
            "an older snapshot may have it: see --find and --snapshot",
        )
    if not meant:
        raise NothingStored("nothing in the snapshot matches the paths and patterns", hint)


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]
