"""Files as their packs arrive: ask, restore what can be read, look again, until nothing waits or nobody does.

Promises that what is online is restored at once, whatever else is missing, pending or refused; that a thaw which Azure
refuses ends the asking but not the restoring; and that a restore which stays survives a network that goes and comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from azbackup.commands.restore.fetcher import PutOff
from azbackup.commands.restore.files import READY, WAITING, Files
from azbackup.commands.restore.losses import missing_text
from azbackup.errors import Unavailable
from azbackup.format.model import Entry
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import State, ThawOptions
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import Pending, Thawing

_MARK_AGAIN_SECONDS = 24 * 3600.0  # long before others forget a mark

_READABLE = (State.ONLINE, State.THAWED)

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

    def run(self, files: Files, packs: list[PackLayout]) -> PutOff:
        """Restores those that are ready. Those whose packs could not be read after all wait again."""


@dataclass(frozen=True)
class Waiting:
    """What still waits at the end of a run: how many files, and why.

    `pending` is what is on its way, `later_packs` how many packs wait for the next hour's budget, `refused` why Azure
    would not thaw.
    """

    files: int = 0
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
        todo: Files,
        listener: Listener,
        wait: Callable[[Pending | None, Thawing], None] | None,
        *,
        whole: bool = False,
    ) -> Waiting:
        """Restores what comes; what still waits. `wait` is called between two looks, None: do not stay.

        `whole`: nothing is restored before all of it can be.
        """
        retried = False
        last = todo.last_rank
        refused: Unavailable | None = None
        while todo.count(WAITING):
            try:
                urgent = len(todo.packs(below=last)) if last else 0
                self._ask(self._needed(todo), listener, urgent)
            except Unavailable as error:
                if wait is None or not error.passing:
                    refused = error
                else:
                    listener.note(f"{error.message}; trying again")
            self._sort(todo, listener)
            if whole and todo.count(WAITING):
                todo.turn(READY, WAITING)
            put_off = self._fetcher.run(todo, self._packs) if todo.count(READY) or not whole else PutOff()
            for note in self._thaw.notes():
                listener.note(note)
            if not todo.count(WAITING) or refused is not None:
                break
            if put_off.moved:
                pass  # other packs are tried at once, as long as there are any
            elif put_off.some and not retried:
                retried = True
            elif wait is not None:
                wait(self._pending, self._thawing(todo))
            else:
                break
            self._look_again(listener, packs_too=put_off.some, stays=wait is not None)
        count = todo.count(WAITING)
        return Waiting(count, self._pending, self._later_packs, refused) if count else Waiting()

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

    def _needed(self, todo: Files) -> list[PackLayout]:
        """The packs of the files that wait, in the order in which they are needed."""
        return [self._packs[number] for number in todo.packs()]

    def _thawing(self, todo: Files) -> Thawing:
        """How far the thawing of this restore is."""
        states = [self._thaw.states.state(pack) for pack in self._packs]
        thawed = states.count(State.THAWED)
        packs = thawed + states.count(State.PENDING) + states.count(State.ARCHIVED)
        since, until = (self._pending.since, self._pending.until) if self._pending else (0.0, 0.0)
        return Thawing(thawed, packs, self._later_packs, todo.count(WAITING), since, until)

    def _sort(self, todo: Files, listener: Listener) -> None:
        """Files whose packs can all be read now are ready; one with a pack that is missing is named and gone."""
        states = [self._thaw.states.state(pack) for pack in self._packs]
        if all(states[number] in _READABLE for number in todo.packs()):
            todo.turn(WAITING, READY)
            return
        missing = {number for number, state in enumerate(states) if state is State.MISSING}
        if missing:
            for file in todo.having(WAITING):
                gone = next((pack for pack, _ in todo.missing(file.number) if pack in missing), None)
                if gone is not None:  # since it was planned
                    listener.failed(file.entry, missing_text(self._packs[gone]))
                    file.fail(lost=True)
        todo.get_ready([state in _READABLE for state in states])
