"""Which packs can be read now, and which are asked for: listed, never guessed; asked for once.

Promises that a pack is asked for at most once however often and from wherever restores run, that a pending standard
thaw may be raised but never lowered, and that high priority stays within the hour's budget of the account, counted
from what lies in the staging container. Other restores that still wait leave a mark there; the last one out removes
the copies.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from azbackup.background import ahead
from azbackup.formats import pack_blob
from azbackup.plan import NeededPack
from azbackup.stores import BlobInfo, BlobStore, ThawStore

HIGH_BUDGET = 10 * 1024**3  # bytes an hour and account at high priority: what Azure documents
STANDARD_HOURS = 15.0
HIGH_HOURS = 1.0
_HOUR = 3600.0
_MARK_SECONDS = 7 * 24 * 3600.0  # after which a restore that did not come back is forgotten
_ASK_AT_ONCE = 8


class State(enum.Enum):
    """Where a pack's bytes are."""

    ONLINE = "online"
    ARCHIVED = "archived"
    PENDING = "pending"
    THAWED = "thawed"
    MISSING = "missing"


@dataclass(frozen=True)
class ThawWish:
    """How to thaw: priority standard, high or mixed; `budget` bytes an hour at high; in place instead of by copy."""

    priority: str = "standard"
    budget: int = HIGH_BUDGET
    in_place: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to come: a pack, the priority, and whether it raises a thaw that is pending."""

    pack: NeededPack
    priority: str
    raises: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """What is on its way: packs, their bytes, and the Unix times of the first ask and of the latest arrival."""

    packs: int
    size: int
    since: float
    until: float


def decide(
    needed: Sequence[tuple[NeededPack, State, str]], wish: ThawWish, used: int
) -> tuple[list[Ask], list[NeededPack]]:
    """(what to ask for, what waits for the next hour's budget), from (pack, state, priority it was asked for with).

    `needed` is in the order of need; `used` is what this hour's budget has spent. Pure.
    """
    archived = [pack for pack, state, _ in needed if state is State.ARCHIVED]
    if wish.priority == "standard":
        return [Ask(pack, "standard") for pack in archived], []
    left = wish.budget - used
    asks: list[Ask] = []
    later: list[NeededPack] = []
    if wish.priority == "mixed":
        first = {pack.pack_id: place for place, pack in enumerate(archived)}
        archived.sort(key=lambda pack: (pack.record.size, first[pack.pack_id]))
    for pack in archived:
        if pack.record.size <= left:
            left -= pack.record.size
            asks.append(Ask(pack, "high"))
        elif wish.priority == "mixed":
            asks.append(Ask(pack, "standard"))
        else:
            later.append(pack)
    if wish.priority == "high":
        for pack, state, priority in needed:
            if state is State.PENDING and priority != "high" and pack.record.size <= left:
                left -= pack.record.size
                asks.append(Ask(pack, "high", raises=True))
    return asks, later


class Thawing:
    """The packs of one partition, as the listings of the packs and of the staging container show them."""

    def __init__(self, blobs: BlobStore, staging: ThawStore, partition: str, mark: str) -> None:
        """`mark` names this restore among others: the same for the same destination, and telling nothing else."""
        self._blobs = blobs
        self._staging = staging
        self._prefix = pack_blob(partition, "")
        self._marks = f"{partition}/restores/"
        self._partition = partition
        self._mark = self._marks + mark
        self._listed: dict[str, BlobInfo] = {}
        self._staged: dict[str, BlobInfo] = {}
        self._marked: dict[str, BlobInfo] = {}
        self._used_staging = False

    # --- looking

    def look(self, packs: Sequence[NeededPack]) -> list[str]:
        """Lists the packs, and the staging container when one of `packs` is archived.

        What does not agree with its record is given back in words: such a pack was cut, replaced or removed.
        """
        if not packs:
            return []
        self._listed = {info.name: info for info in self._blobs.listed(self._prefix)}
        complaints = []
        for pack in packs:
            info = self.info(pack)
            if info is None:
                complaints.append(f"pack {pack.pack_id} is missing")
            elif info.size != pack.record.size or (info.md5 and info.md5 != pack.record.md5):
                complaints.append(f"pack {pack.pack_id} does not have the size and MD5 of its record")
        if any(info is not None and info.tier == "archive" for info in map(self.info, packs)):
            self._list_staging()
        return complaints

    def _list_staging(self) -> None:
        """Lists the staging container: copies and marks."""
        self._used_staging = True
        self._staged, self._marked = {}, {}
        for info in self._staging.listed(f"{self._partition}/"):
            if info.name.startswith(self._prefix):
                self._staged[info.name] = info
            elif info.name.startswith(self._marks):
                self._marked[info.name] = info

    def refresh(self, in_place: bool) -> None:
        """Lists again what changes while thaws are pending."""
        self._list_staging()
        if in_place:
            self._listed = {info.name: info for info in self._blobs.listed(self._prefix)}

    def info(self, pack: NeededPack) -> BlobInfo | None:
        """The pack's line in the listing."""
        return self._listed.get(self._prefix + pack.pack_id)

    def state(self, pack: NeededPack) -> State:
        """What the last listings say about a pack."""
        info = self.info(pack)
        if info is None:
            return State.MISSING
        if info.tier != "archive" and not info.pending:
            return State.ONLINE
        copy = self._staged.get(info.name)
        if copy is None or copy.failed:
            return State.PENDING if info.pending else State.ARCHIVED
        return State.PENDING if copy.pending or copy.tier == "archive" else State.THAWED

    def readable(self, pack: NeededPack) -> bool:
        """Whether its bytes can be read now."""
        return self.state(pack) in (State.ONLINE, State.THAWED)

    def pending(self, packs: Iterable[NeededPack]) -> Pending | None:
        """What of the packs is on its way; None when nothing is."""
        thaws = [
            (pack.record.size, copy.created if copy else 0.0, HIGH_HOURS if priority == "high" else STANDARD_HOURS)
            for pack in packs
            if self.state(pack) is State.PENDING
            for copy, priority in [(self._staged.get(self._prefix + pack.pack_id), self._priority(pack))]
        ]
        if not thaws:
            return None
        since = [created for _, created, _ in thaws if created]
        until = [created + hours * _HOUR for _, created, hours in thaws if created]
        return Pending(len(thaws), sum(size for size, _, _ in thaws), min(since, default=0.0), max(until, default=0.0))

    def _priority(self, pack: NeededPack) -> str:
        name = self._prefix + pack.pack_id
        info = self._staged.get(name) or self._listed.get(name)
        return info.priority if info else ""

    # --- asking

    def asks(self, packs: Iterable[NeededPack], wish: ThawWish, now: float) -> tuple[list[Ask], list[NeededPack]]:
        """What `ask` would ask for, and what waits for the next hour's budget."""
        used = sum(
            info.size for info in self._staged.values() if info.priority == "high" and now - info.created < _HOUR
        )
        return decide([(pack, self.state(pack), self._priority(pack)) for pack in packs], wish, used)

    def ask(self, asks: Sequence[Ask], in_place: bool) -> None:
        """Sends the requests, and looks again unless all copies are there at once."""
        if not asks:
            return
        calls = [lambda each=ask: self._send(each, in_place) for ask in asks]
        at_once = list(ahead(calls, _ASK_AT_ONCE))
        if all(at_once):
            for ask in asks:
                name = self._prefix + ask.pack.pack_id
                self._staged[name] = BlobInfo(name, ask.pack.record.size, b"", "hot", priority=ask.priority)
            return
        self.refresh(in_place)

    def claim(self) -> None:
        """Leaves the mark of a restore that waits, so that no other one removes the copies."""
        self._staging.mark(self._mark)

    def _send(self, ask: Ask, in_place: bool) -> bool:
        name = self._prefix + ask.pack.pack_id
        if in_place:
            self._staging.thaw_in_place(name, ask.priority)
            return False
        if ask.raises:
            self._staging.raise_priority(name)
            return False
        copy = self._staged.get(name)
        if copy is not None and copy.failed:
            self._staging.delete(name)
        return self._staging.thaw(name, ask.priority)

    def read(self, pack: NeededPack, start: int, end: int) -> bytes:
        """Bytes of a pack that is online or thawed; fewer where it ends early. Missing."""
        name = self._prefix + pack.pack_id
        store = self._staging if self.state(pack) is State.THAWED else self._blobs
        return store.get_range(name, start, end - start)

    # --- cleaning up

    def leave(self, now: float) -> int:
        """This restore is complete: its mark goes, and with the last one all copies; how many other restores wait."""
        if not self._used_staging:
            return 0
        self._list_staging()
        if self._mark in self._marked:
            self._staging.delete(self._mark)
        others = [
            info for info in self._marked.values() if info.name != self._mark and now - info.modified < _MARK_SECONDS
        ]
        if not others:
            self.discard()
        return len(others)

    def discard(self) -> tuple[int, int]:
        """Removes all thawed copies of the partition, and old marks; (how many copies, their bytes)."""
        sizes = [info.size for info in self._staged.values()]
        for name in [*self._staged, *(name for name in self._marked if name != self._mark)]:
            self._staging.delete(name)
        self._staged, self._marked = {}, {}
        return len(sizes), sum(sizes)

    def discard_all(self, packs: Sequence[NeededPack]) -> tuple[int, int, int]:
        """Removes copies and marks, and puts packs that were thawed in place back; (copies, bytes, packs put back)."""
        self.look(packs)
        self._list_staging()
        copies, size = self.discard()
        back = [
            pack
            for pack in packs
            if pack.record.tier == "archive" and (info := self.info(pack)) is not None and info.tier != "archive"
        ]
        for pack in back:
            self._staging.archive_again(self._prefix + pack.pack_id)
        return copies, size, len(back)

    def staged(self) -> tuple[int, int]:
        """(copies, bytes) that lie in the staging container."""
        return len(self._staged), sum(info.size for info in self._staged.values())
