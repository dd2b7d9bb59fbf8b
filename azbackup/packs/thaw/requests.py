"""Asking for packs, and cleaning up: each is asked for once, and the last restore out removes the copies.

Promises that a pack is asked for at most once however often and from wherever restores run, that a pending standard
thaw may be raised but never lowered, and that high priority stays within the hour's budget of the account, counted
from what lies in the staging container. A restore that needs copies leaves a mark there while it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from azbackup.errors import AzbackupError
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import ThawOptions, ThawRequest, choose_requests
from azbackup.packs.thaw.states import PackStates, Staged, is_coming
from azbackup.storage.protocols import BlobInfo, ThawStore
from azbackup.workers import ahead

_HOUR = 3600.0
_MARK_SECONDS = 7 * 24 * 3600.0  # after which a restore that did not come back is forgotten
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Discarded:
    """What a clean-up removed: copies, their bytes; packs put back into the archive; packs that still thaw in place."""

    copies: int
    size: int
    archived_again: int
    still_thawing: int


class ThawRequests:
    """What one restore asks of the staging container, by the `states` that the listings show."""

    def __init__(self, states: PackStates, staging: ThawStore, mark: str) -> None:
        """`mark` names this restore among others: the same for the same request from any host, and telling nothing."""
        self.states = states
        self._staging = staging
        self._mark = states.mark_prefix + mark
        self._claimed = False

    # --- asking

    def asks(
        self, packs: Iterable[PackLayout], options: ThawOptions, now: float
    ) -> tuple[list[ThawRequest], list[PackLayout]]:
        """What `ask` would ask for, and what waits for the next hour's budget."""
        needed = [(pack, self.states.state(pack), self.states.priority(pack)) for pack in packs]
        return choose_requests(needed, options, self._spent(now))

    def _spent(self, now: float) -> int:
        """Bytes of the hour's budget that are taken: asked for at high within the hour, or still on their way."""
        in_place = [info for info in self.states.listed.values() if info.pending]
        infos = [*self.states.staged.values(), *self.states.strangers, *in_place]
        high = [info for info in infos if info.priority == "high"]
        return sum(info.size for info in high if is_coming(info) or now - info.created < _HOUR)

    def ask(self, asks: Sequence[ThawRequest], *, in_place: bool) -> None:
        """Sends the requests, and looks again unless all copies are there at once. Unavailable."""
        if not asks:
            return
        at_once = list(ahead([partial(self._send, ask, in_place=in_place) for ask in asks], _AT_ONCE))
        if all(at_once):
            for ask in asks:
                original = self.states.listed[self.states.name_of(ask.pack)]
                self.states.staged[original.name] = BlobInfo(original.name, original.size, original.md5, "hot")
            return
        self.states.refresh(packs_too=in_place)

    def _send(self, ask: ThawRequest, *, in_place: bool) -> bool:
        """One request, two when a useless copy is in the way; whether the pack can be read at once."""
        name = self.states.name_of(ask.pack)
        copy = self.states.staged.get(name)
        if ask.raises and copy is not None:
            self._staging.raise_priority(name)
            return False
        if in_place or ask.raises:
            self._staging.thaw_in_place(name, ask.priority)
            return False
        if copy is not None:
            self._staging.delete(name)
        return self._staging.thaw(name, ask.priority)

    def claim(self) -> None:
        """Leaves the mark of a restore that needs copies, so that no other one removes them; or renews it."""
        self._claimed = True
        self._staging.mark(self._mark)

    # --- cleaning up

    def leave(self, now: float) -> int:
        """This restore is complete: its mark goes, and with the last one all copies; how many other restores wait.

        The mark is deleted before the container is listed. Otherwise two restores that finish at the same moment would
        see each other's mark, and neither would remove the copies.
        """
        if not self.states.used_staging:
            return 0
        if self._claimed or self._mark in self.states.marked:
            self._staging.delete(self._mark)
        self.states.list_staging()
        self.states.marked.pop(self._mark, None)
        others = len(self._waiting(now))
        if not others:
            self.discard()
        return others

    def _waiting(self, now: float) -> list[BlobInfo]:
        """The marks of restores that wait, as last listed; one that is a week old is forgotten."""
        return [info for info in self.states.marked.values() if now - info.modified < _MARK_SECONDS]

    def discard(self) -> Staged:
        """Removes all copies and marks of the partition; what was removed."""
        found = self.states.copies()
        for _ in ahead(
            [partial(self._staging.delete, name) for name in [*self.states.staged, *self.states.marked]], _AT_ONCE
        ):
            pass
        self.states.staged, self.states.marked = {}, {}
        return found

    def discard_all(self, packs: Sequence[PackLayout], now: float, *, force: bool) -> Discarded:
        """Removes copies and marks, and puts packs that were thawed in place back into the archive tier.

        Raises AzbackupError while a restore waits for the copies, unless `force`: it would have to pay once more.
        """
        self.states.list_packs()
        self.states.list_staging()
        if (waiting := self._waiting(now)) and not force:
            raise AzbackupError(
                f"{len(waiting)} {'restore waits' if len(waiting) == 1 else 'restores wait'} for the thawed copies",
                "--force removes them all the same; what waits for them then has to thaw, and be paid for, once more",
            )
        found = self.discard()
        archived = [self.states.info(pack) for pack in packs if pack.record.tier == "archive"]
        infos = [info for info in archived if info is not None]
        back = [info for info in infos if info.tier != "archive" and not info.pending]
        for info in back:
            self._staging.archive_again(info.name)
        return Discarded(found.copies, found.size, len(back), sum(info.pending for info in infos))
