"""Files as their packs arrive: ask, restore what can be read, look again, until nothing waits or nobody does.

Promises that what is online is restored at once, whatever else is missing, pending or refused; that a thaw which Azure
refuses ends the asking but not the restoring; and that a restore which stays survives a network that goes and comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol

from azbackup.commands.restore.fetcher import WantedFile
from azbackup.commands.restore.losses import missing_text
from azbackup.errors import Unavailable
from azbackup.format.model import Entry, order
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import State, ThawOptions
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import Pending, Thawing

_MARK_AGAIN_SECONDS = 24 * 3600.0  # long before others forget a mark

Now = Callable[[], float]  # Unix seconds


class Listener(Protocol):
    """What the run wants to know."""

    def failed(self, entry: Entry, why: str) -> None:
        """The file could not be restored."""

    def note(self, message: str) -> None:
        """Tells the user something that changes nothing."""

    def thaws(self, pending: Pending | None, asking: int = 0) -> None:
        """This is on its way now, and so many more packs are being asked for."""


class Fetches(Protocol):
    """What restores files whose packs can all be read: see fetcher and stream."""

    def run(self, files: list[WantedFile], packs: list[PackLayout]) -> list[WantedFile]:
        """Restores them; gives back those whose packs could not be read after all."""


@dataclass(frozen=True)
class Waiting:
    """What still waits at the end of a run: the files, and why.

    `pending` is what is on its way, `later_packs` how many packs wait for the next hour's budget, `refused` why Azure
    would not thaw.
    """

    files: list[WantedFile] = field(default_factory=list)
    pending: Pending | None = None
    later_packs: int = 0
    refused: Unavailable | None = None


class Scheduler:
    """One restore's files, round by round. Made once, run once."""

    def __init__(
        self, thaw: ThawRequests, fetcher: Fetches, packs: list[PackLayout], options: ThawOptions, now: Now
    ) -> None:
        self._thaw = thaw
        self._fetcher = fetcher
        self._packs = packs
        self._options = options
        self._now = now
        self._marked_at = 0.0
        self._pending: Pending | None = None
        self._later_packs = 0

    def run(
        self,
        todo: list[WantedFile],
        listener: Listener,
        wait: Callable[[Pending | None, Thawing], None] | None,
        *,
        whole: bool = False,
    ) -> Waiting:
        """Restores what comes; what still waits. `wait` is called between two looks, None: do not stay.

        `whole`: nothing is restored before all of it can be.
        """
        retried = False
        last = max((file.rank for file in todo), default=0)
        refused: Unavailable | None = None
        while todo:
            todo = sorted(todo, key=lambda file: file.rank)
            try:
                urgent = len(self._needed([file for file in todo if file.rank < last]))
                self._ask(self._needed(todo), listener, urgent)
            except Unavailable as error:
                if wait is None or not error.passing:
                    refused = error
                else:
                    listener.note(f"{error.message}; trying again")
            now, todo = self._sort(todo, listener)
            if whole and todo:
                now, todo = [], sorted([*now, *todo], key=lambda file: order(file.entry.path))
            put_off = self._fetch(now, whole=whole)
            todo += put_off
            for note in self._thaw.notes():
                listener.note(note)
            if not todo or refused is not None:
                break
            if any(file.moved for file in put_off):
                pass  # other packs are tried at once, as long as there are any
            elif put_off and not retried:
                retried = True
            elif wait is not None:
                wait(self._pending, self._thawing(todo))
            else:
                break
            self._look_again(listener, packs_too=bool(put_off), stays=wait is not None)
        return Waiting(todo, self._pending, self._later_packs, refused) if todo else Waiting()

    def _fetch(self, now: list[WantedFile], *, whole: bool) -> list[WantedFile]:
        """Restores files, those of a lower rank first; gives back what could not be read after all."""
        if whole or len({file.rank for file in now}) < 2:
            return self._fetcher.run(now, self._packs) if now or not whole else []
        groups = groupby(now, key=lambda file: file.rank)
        return [file for _, group in groups for file in self._fetcher.run(list(group), self._packs)]

    def _ask(self, needed: list[PackLayout], listener: Listener, urgent: int) -> None:
        """Asks for what is archived, after leaving the mark that keeps others from removing the copies."""
        states, options, now = self._thaw.states, self._options, self._now()
        asks, later = self._thaw.asks(needed, replace(options, urgent=urgent), now)
        self._pending, self._later_packs = states.pending(needed), len(later)
        copies = states.has_copies(needed) or bool(asks and not options.in_place)
        if copies and now - self._marked_at > _MARK_AGAIN_SECONDS:
            self._thaw.claim()
            self._marked_at = now
        if asks:
            listener.thaws(self._pending, len(asks))
        self._thaw.ask(asks, in_place=options.in_place)
        self._pending = states.pending(needed)
        listener.thaws(self._pending)

    def _look_again(self, listener: Listener, *, packs_too: bool, stays: bool) -> None:
        try:
            self._thaw.states.refresh(packs_too=packs_too or self._options.in_place)
        except Unavailable as error:
            if not stays or not error.passing:
                raise
            listener.note(f"{error.message}; trying again")

    def _needed(self, todo: list[WantedFile]) -> list[PackLayout]:
        """The packs of the files, in the order in which they are needed."""
        numbers = dict.fromkeys(pack for file in todo for pack, _, _ in file.pieces)
        return [self._packs[number] for number in numbers]

    def _thawing(self, todo: list[WantedFile]) -> Thawing:
        """How far the thawing of this restore is."""
        states = [self._thaw.states.state(pack) for pack in self._packs]
        thawed = states.count(State.THAWED)
        packs = thawed + states.count(State.PENDING) + states.count(State.ARCHIVED)
        since, until = (self._pending.since, self._pending.until) if self._pending else (0.0, 0.0)
        return Thawing(thawed, packs, self._later_packs, len(todo), since, until)

    def _sort(self, todo: list[WantedFile], listener: Listener) -> tuple[list[WantedFile], list[WantedFile]]:
        """(the files whose packs can all be read now, those that wait); one with a missing pack is named and gone."""
        states = [self._thaw.states.state(pack) for pack in self._packs]
        now, later = [], []
        for file in todo:
            met = {states[pack] for pack, _, _ in file.pieces}
            if State.MISSING in met:  # since it was planned
                gone = next(pack for pack, _, _ in file.pieces if states[pack] is State.MISSING)
                listener.failed(file.entry, missing_text(self._packs[gone]))
            elif met <= {State.ONLINE, State.THAWED}:
                now.append(file)
            else:
                later.append(file)
        return now, later
