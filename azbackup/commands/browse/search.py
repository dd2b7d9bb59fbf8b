"""The versions of an entry in all snapshots. Reads records only, never a pack.

Each layer is read once, however many snapshots have it, and only what matches is held. What a lost record hides is
reported as damage; the rest is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from azbackup.commands.browse.history import Changes, FoundVersion, History, joined, matching
from azbackup.format.layers import Hole, Item
from azbackup.format.model import Entry, Snapshot
from azbackup.records.catalog import Catalog
from azbackup.records.eras import era_of
from azbackup.records.layer_rows import size_of
from azbackup.records.snapshots import Source, source_of

_TOGETHER_BYTES = 8 * 1024 * 1024  # of layers that are read by one query


def search(catalog: Catalog, snapshots: Sequence[Snapshot], matches: Callable[[Entry], bool]) -> Iterator[FoundVersion]:
    """The versions of what matches in the snapshots, which are in order of number: source by source, in path order."""
    by_source: dict[Source, list[Snapshot]] = {}
    for snapshot in snapshots:
        by_source.setdefault(source_of(snapshot), []).append(snapshot)
    for _, of_source in sorted(by_source.items()):
        yield from _Search(catalog, of_source, matches).run()


class _Search:
    """The search in the snapshots of one source."""

    def __init__(self, catalog: Catalog, snapshots: list[Snapshot], matches: Callable[[Entry], bool]) -> None:
        self._catalog = catalog
        self._snapshots = snapshots
        self._matches = matches
        self._history = History(source_of(snapshots[0]))
        self._read: dict[str, Changes] = {}  # by run
        self._holed: set[str] = set()  # runs of which something is not known
        self._searched_in_part: list[int] = []
        self._era = era_of(catalog, snapshots[0].number)
        self._last_use = {layer.run: snapshot.number for snapshot in snapshots for layer in snapshot.layers}

    def run(self) -> Iterator[FoundVersion]:
        """Goes through the snapshots once, then tells."""
        at: list[str] = []  # the layers of the state in hand
        for place, snapshot in enumerate(self._snapshots):
            runs = [layer.run for layer in snapshot.layers]
            self._forget(snapshot.number)
            self._need(place)
            if not self._holed.isdisjoint(runs):
                self._searched_in_part.append(snapshot.number)
            layers = [self._read[run] for run in runs]
            if at and runs[: len(at)] == at:
                self._history.step(snapshot.number, joined(layers[len(at) :]))
            else:
                era = era_of(self._catalog, snapshot.number)
                self._history.become(snapshot.number, joined(layers), apart=era != self._era)
                self._era = era
            at = runs
        self._tell_hidden()
        yield from self._history.found()

    def _tell_hidden(self) -> None:
        if numbers := self._searched_in_part:
            which = f"snapshot {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} snapshots from {numbers[0]} on"
            self._catalog.records.report(f"{which} of {source_of(self._snapshots[0])} could be searched in part only")

    def _noted(self, run: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items of a run, which is noted where it has a hole."""
        for item in items:
            if isinstance(item, Hole):
                self._holed.add(run)
            yield item

    def _need(self, place: int) -> None:
        """Reads the layers of a snapshot that are not read, and with them those of the next ones, some megabytes."""
        snapshot = self._snapshots[place]
        unread = {layer.run: layer for layer in snapshot.layers if layer.run not in self._read}
        if not unread:
            return
        full, size = snapshot.layers[0].run in unread, sum(map(size_of, unread.values()))
        for each in self._snapshots[place + 1 :]:
            if each.layers[0].run != snapshot.layers[0].run or size > _TOGETHER_BYTES:
                break
            more = {
                layer.run: layer for layer in each.layers if layer.run not in self._read and layer.run not in unread
            }
            unread.update(more)
            size += sum(map(size_of, more.values()))
        known = {path for changes in self._read.values() for path in changes}
        for run, entries in zip(unread, self._catalog.layers(list(unread.values()), full=full), strict=True):
            self._read[run] = matching(self._noted(run, entries), self._matches, known)
            known.update(self._read[run])

    def _forget(self, number: int) -> None:
        """Drops the layers that no snapshot from this number on has."""
        for run in [run for run in self._read if self._last_use[run] < number]:
            del self._read[run]
