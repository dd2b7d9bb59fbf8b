"""Which packs can be read now, and which are asked for: listed, never guessed; asked for once.

Promises that a pack is asked for at most once however often and from wherever restores run, that a pending standard
thaw may be raised but never lowered, and that high priority stays within the hour's budget of the account, counted
from what lies in the staging container. A restore that needs copies leaves a mark there while it does; the last one
out removes the copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from azbackup.errors import Missing, Unavailable
from azbackup.format.labels import SNAPSHOT_PREFIX, is_snapshot, number_of, pack_blob
from azbackup.format.model import PackId, PackRecord
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import HIGH_HOURS, STANDARD_HOURS, State, ThawOptions, ThawRequest, decide
from azbackup.storage.protocols import BlobInfo, BlobStore, ThawStore
from azbackup.workers import ahead

_HOUR = 3600.0
_MARK_SECONDS = 7 * 24 * 3600.0  # after which a restore that did not come back is forgotten
_AT_ONCE = 8
_NOT_ONLINE = {"BlobArchived", "BlobBeingRehydrated"}


@dataclass(frozen=True, slots=True)
class Pending:
    """What is on its way: packs, their bytes, and the Unix times of the first ask and of the latest arrival."""

    packs: int
    size: int
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Discarded:
    """What a clean-up removed: copies, their bytes; packs put back into the archive; packs that still thaw in place."""

    copies: int
    size: int
    archived_again: int
    still_thawing: int


class NotOnline(Exception):
    """A pack that a listing showed online cannot be read: its copy was removed, or it went back to the archive."""


class Thawing:
    """The packs of one partition, as the listings of the packs and of the staging container show them."""

    def __init__(self, blobs: BlobStore, staging: ThawStore, partition: str, mark: str) -> None:
        """`mark` names this restore among others: the same for the same wish from any host, and telling nothing."""
        self._blobs = blobs
        self._staging = staging
        self._partition = f"{partition}/"
        self._prefix = pack_blob(partition, "")
        self.newest_copy = 0  # the highest number of a snapshot's copy that was listed
        self._marks = f"{partition}/restores/"
        self._mark = self._marks + mark
        self._listed: dict[str, BlobInfo] = {}
        self._staged: dict[str, BlobInfo] = {}
        self._marked: dict[str, BlobInfo] = {}
        self._strangers: list[BlobInfo] = []  # copies of other partitions: they share the hour's budget
        self._used_staging = False
        self._has_mark = False

    # --- looking

    def look(self, packs: Sequence[PackLayout]) -> list[str]:
        """Lists the staging container when any of the partition's packs is archived, and the packs before if need be.

        What of `packs` does not agree with its record is given back in words: it was cut, replaced or removed.
        """
        if not packs:
            return []
        if not self._listed:
            self.list_packs()
        if any(info.tier == "archive" or info.pending for info in self._listed.values()):
            self._list_staging()
        return [complaint for pack in packs if (complaint := self._complaint(pack))]

    def _complaint(self, pack: PackLayout) -> str:
        if self.info(pack) is None:
            return f"pack {pack.pack_id} is missing"
        if not self.agrees(pack.pack_id, pack.record):
            return f"pack {pack.pack_id} does not have the size and MD5 of its record"
        return ""

    def agrees(self, pack_id: PackId, record: PackRecord) -> bool:
        """Whether a pack is there, with the size and MD5 of its record."""
        info = self._listed.get(self._prefix + pack_id)
        return info is not None and info.size == record.size and (not info.md5 or info.md5 == record.md5)

    def list_packs(self) -> None:
        """Lists the partition's blobs: its packs, and by the way the copies of its snapshots."""
        infos = {info.name: info for info in self._blobs.listed(self._partition)}
        self._listed = {name: info for name, info in infos.items() if name.startswith(self._prefix)}
        copies = (name.rpartition("/")[2] for name in infos)
        self.newest_copy = max((number_of(name, SNAPSHOT_PREFIX) for name in copies if is_snapshot(name)), default=0)

    def _list_staging(self) -> None:
        """Lists the staging container: copies and marks, and the copies of other partitions."""
        self._used_staging = True
        self._staged, self._marked, self._strangers = {}, {}, []
        for info in self._staging.listed(""):
            if info.name.startswith(self._prefix):
                self._staged[info.name] = info
            elif info.name.startswith(self._marks):
                self._marked[info.name] = info
                self._has_mark |= info.name == self._mark
            else:
                self._strangers.append(info)

    def refresh(self, packs_too: bool = False) -> None:
        """Lists again what changes while thaws are pending: the copies, and packs that thaw in place."""
        if packs_too or any(info.pending for info in self._listed.values()):
            self.list_packs()
        self._list_staging()

    def info(self, pack: PackLayout) -> BlobInfo | None:
        """The pack's line in the listing."""
        return self._listed.get(self._prefix + pack.pack_id)

    def state(self, pack: PackLayout) -> State:
        """What the last listings say about a pack."""
        info = self.info(pack)
        if info is None:
            return State.MISSING
        if info.tier != "archive" and not info.pending:
            return State.ONLINE
        copy = self._staged.get(info.name)
        if copy is None or _is_useless(copy, info):
            return State.PENDING if info.pending else State.ARCHIVED
        return State.PENDING if _is_coming(copy) else State.THAWED

    def pending(self, packs: Iterable[PackLayout]) -> Pending | None:
        """What of the packs is on its way; None when nothing is."""
        thaws = [(pack, self._staged.get(self._prefix + pack.pack_id)) for pack in packs]
        thaws = [(pack, copy) for pack, copy in thaws if self.state(pack) is State.PENDING]
        if not thaws:
            return None
        hours = [HIGH_HOURS if self.priority(pack) == "high" else STANDARD_HOURS for pack, _ in thaws]
        since = [copy.created if copy is not None else 0.0 for _, copy in thaws]
        until = [each + hour * _HOUR for each, hour in zip(since, hours, strict=True) if each]
        size = sum(pack.record.size for pack, _ in thaws)
        return Pending(len(thaws), size, min(filter(None, since), default=0.0), max(until, default=0.0))

    def priority(self, pack: PackLayout) -> str:
        """The priority that a pack was asked for with, '' when it was not."""
        name = self._prefix + pack.pack_id
        info = self._staged.get(name) or self._listed.get(name)
        return info.priority if info else ""

    # --- asking

    def asks(
        self, packs: Iterable[PackLayout], wish: ThawOptions, now: float
    ) -> tuple[list[ThawRequest], list[PackLayout]]:
        """What `ask` would ask for, and what waits for the next hour's budget."""
        needed = [(pack, self.state(pack), self.priority(pack)) for pack in packs]
        return decide(needed, wish, self._spent(now))

    def _spent(self, now: float) -> int:
        """Bytes of the hour's budget that are taken: asked for at high within the hour, or still on their way."""
        in_place = [info for info in self._listed.values() if info.pending]
        infos = [info for info in [*self._staged.values(), *self._strangers, *in_place] if info.priority == "high"]
        return sum(info.size for info in infos if _is_coming(info) or now - info.created < _HOUR)

    def ask(self, asks: Sequence[ThawRequest], in_place: bool) -> None:
        """Sends the requests, and looks again unless all copies are there at once. Unavailable."""
        if not asks:
            return
        at_once = list(ahead([partial(self._send, ask, in_place) for ask in asks], _AT_ONCE))
        if all(at_once):
            for ask in asks:
                original = self._listed[self._prefix + ask.pack.pack_id]
                self._staged[original.name] = BlobInfo(original.name, original.size, original.md5, "hot")
            return
        self.refresh(in_place)

    def _send(self, ask: ThawRequest, in_place: bool) -> bool:
        """One request, two when a useless copy is in the way; whether the pack can be read at once."""
        name = self._prefix + ask.pack.pack_id
        copy = self._staged.get(name)
        if ask.raises and copy is not None:
            self._staging.raise_priority(name)
            return False
        if in_place or ask.raises:
            self._staging.thaw_in_place(name, ask.priority)
            return False
        if copy is not None:
            self._staging.delete(name)
        return self._staging.thaw(name, ask.priority)

    def has_copies(self, packs: Iterable[PackLayout]) -> bool:
        """Whether some of the packs have a copy, there or on its way."""
        return any(self._prefix + pack.pack_id in self._staged for pack in packs)

    def claim(self) -> None:
        """Leaves the mark of a restore that needs copies, so that no other one removes them; or renews it."""
        self._has_mark = True
        self._staging.mark(self._mark)

    def read(self, pack: PackLayout, start: int, end: int) -> bytes:
        """Bytes of a pack that is online or thawed; fewer where it ends early. Missing, NotOnline."""
        name = self._prefix + pack.pack_id
        thawed = self.state(pack) is State.THAWED
        try:
            return (self._staging if thawed else self._blobs).get_range(name, start, end - start)
        except Missing:
            if not thawed:
                raise
            raise NotOnline from None
        except Unavailable as error:
            if error.code not in _NOT_ONLINE:
                raise
            raise NotOnline from None

    # --- cleaning up

    def leave(self, now: float) -> int:
        """This restore is complete: its mark goes, and with the last one all copies; how many other restores wait.

        The mark goes before the look: of two that complete at once, neither leaves the copies to the other.
        """
        if not self._used_staging:
            return 0
        if self._has_mark:
            self._staging.delete(self._mark)
        self._list_staging()
        self._marked.pop(self._mark, None)
        others = [info for info in self._marked.values() if now - info.modified < _MARK_SECONDS]
        if not others:
            self.discard()
        return len(others)

    def discard(self) -> tuple[int, int]:
        """Removes all copies and marks of the partition; (how many copies, their bytes)."""
        copies, size = self.staged()
        for _ in ahead([partial(self._staging.delete, name) for name in [*self._staged, *self._marked]], _AT_ONCE):
            pass
        self._staged, self._marked = {}, {}
        return copies, size

    def discard_all(self, packs: Sequence[PackLayout]) -> Discarded:
        """Removes copies and marks, and puts packs that were thawed in place back into the archive tier."""
        self.list_packs()
        self._list_staging()
        copies, size = self.discard()
        infos = [info for pack in packs if pack.record.tier == "archive" and (info := self.info(pack)) is not None]
        back = [info for info in infos if info.tier != "archive" and not info.pending]
        for info in back:
            self._staging.archive_again(info.name)
        return Discarded(copies, size, len(back), sum(info.pending for info in infos))

    def staged(self) -> tuple[int, int]:
        """(copies, bytes) of the partition that lie in the staging container."""
        return len(self._staged), sum(info.size for info in self._staged.values())


def _is_coming(copy: BlobInfo) -> bool:
    """Whether a copy is under way: Azure copies first, into the archive tier, and then thaws the copy."""
    return not copy.failed and (copy.pending or copy.tier == "archive")


def _is_useless(copy: BlobInfo, original: BlobInfo) -> bool:
    """Whether a copy failed, or is there but is not one of this pack."""
    return copy.failed or (not _is_coming(copy) and copy.size != original.size)
