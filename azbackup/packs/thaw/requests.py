"""Asking for packs, and cleaning up: each is asked for once, and the last restore out removes the copies.

Promises that a pack is asked for at most once however often and from wherever restores run, that a pending standard
thaw may be raised but never lowered, and that high priority stays within the hour's budget of the account, counted
from what lies in the staging container. A restore that needs copies leaves a mark there while it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from azbackup.errors import AzbackupError, Missing
from azbackup.format.checksum import md5_of
from azbackup.format.labels import PACK_BYTES
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import State, ThawOptions, ThawRequest, choose_requests
from azbackup.packs.thaw.states import PackStates, Staged, is_coming
from azbackup.storage.protocols import BlobInfo, ThawStore
from azbackup.workers import ahead

_HOUR = 3600.0
_HIGH_SECONDS = 15 * _HOUR  # after which no thaw of high priority is still on its way, whatever a blob looks like
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

    def __init__(self, states: PackStates, staging: ThawStore, mark: str, heir_of: str = "") -> None:
        """`mark` names this restore among others: the same for the same request from any host, and telling nothing.

        `heir_of` is the mark of a run that only thawed, for this restore: it goes with its own.
        """
        self.states = states
        self._staging = staging
        self._mark = states.mark_prefix + mark
        self._heir_of = states.mark_prefix + heir_of
        self._claimed = False
        self._notes: list[str] = []
        self._told_of_strangers = False

    def notes(self) -> list[str]:
        """What was in the way since this was last asked for."""
        found, self._notes = self._notes, []
        return found

    # --- asking

    def asks(
        self, packs: Iterable[PackLayout], options: ThawOptions, now: float
    ) -> tuple[list[ThawRequest], list[PackLayout]]:
        """What `ask` would ask for, and what waits for the next hour's budget."""
        for pack_id in self.states.find_stuck(now):
            self._notes.append(f"the thawed copy of pack {pack_id} was on its way for two days: it is made anew")
        needed = [(pack, self.states.state(pack), self.states.priority(pack)) for pack in packs]
        in_place = [info for info in self.states.listed.values() if info.pending]
        own = _spent([*self.states.staged.values(), *in_place], now)
        others = _spent(filter(_is_pack, self.states.strangers), now)
        asks, later = choose_requests(needed, options, own + others)
        if later and others and not self._told_of_strangers:
            self._told_of_strangers = True
            self._notes.append(
                f"{others:,} bytes of the hour's budget are taken by thawed copies of other partitions; "
                "--priority standard, or mixed, does not wait for them"
            )
        return asks, later

    def ask(self, asks: Sequence[ThawRequest], *, in_place: bool) -> None:
        """Sends the requests, and looks again unless all copies are there at once.

        Raises Unavailable if Azure refuses.
        """
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
            self.states.forget_copy(ask.pack)
        return self._staging.thaw(name, ask.priority)

    def reject(self, pack: PackLayout) -> bool:
        """Whether what was read of a pack is a thawed copy that is not the pack: then it is removed, to be made anew.

        The MD5 of the pack's record tells, which is sealed: whoever can write to the staging container can put anything
        under a copy's name, with any MD5 that a listing shows. A pack that is damaged itself is not thawed again.
        """
        if self.states.state(pack) is not State.THAWED or not self.states.agrees(pack.pack_id, pack.record):
            return False
        name = self.states.name_of(pack)
        try:
            data = self._staging.get_range(name, 0, pack.record.size)
        except Missing:
            data = b""
        if md5_of(data) == pack.record.md5:
            return False
        self._staging.delete(name)
        self.states.forget_copy(pack)
        self._notes.append(f"the thawed copy of pack {pack.pack_id} was not the pack: it was removed, and is made anew")
        return True

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
        if self._heir_of in self.states.marked:
            self._staging.delete(self._heir_of)
        self.states.list_staging()
        for mark in (self._mark, self._heir_of):
            self.states.marked.pop(mark, None)
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
                "--force removes them anyway; the waiting restores then have to thaw, and pay, once more",
            )
        found = self.discard()
        archived = [self.states.info(pack) for pack in packs if pack.record.tier == "archive"]
        infos = [info for info in archived if info is not None]
        back = [info for info in infos if info.tier != "archive" and not info.pending]
        for info in back:
            self._staging.archive_again(info.name)
        return Discarded(found.copies, found.size, len(back), sum(info.pending for info in infos))


def _spent(infos: Iterable[BlobInfo], now: float) -> int:
    """Bytes of the hour's budget that are taken: asked for at high within the hour, or still on their way."""
    high = [info for info in infos if info.priority == "high"]
    return sum(info.size for info in high if now - info.created < (_HIGH_SECONDS if is_coming(info) else _HOUR))


def _is_pack(info: BlobInfo) -> bool:
    """Whether a blob can be the copy of a pack of some partition: nothing else takes a part of the hour's budget."""
    return "/packs/" in info.name and info.size <= PACK_BYTES
