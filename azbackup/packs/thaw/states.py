"""Which packs can be read now, and from where: listed, never guessed.

Promises that a pack counts as online, pending, thawed or missing only because a listing said so, and that a pack is
read from the place that the listing named. Asks for nothing and removes nothing: see requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from azbackup.errors import Archived, Missing
from azbackup.format.labels import SNAPSHOT_PREFIX, is_snapshot, number_of, pack_blob, record_blob
from azbackup.format.model import PackId, PackRecord
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import HIGH_HOURS, STANDARD_HOURS, State
from azbackup.storage.protocols import BlobInfo, BlobStore, ThawStore

_HOUR = 3600.0
_STUCK_SECONDS = 48 * _HOUR  # Azure promises a thaw within 15 hours


@dataclass(frozen=True, slots=True)
class Pending:
    """What is on its way: packs, their bytes, and the Unix times of the first ask and of the latest arrival."""

    packs: int
    size: int
    since: float
    until: float


class Thawing(NamedTuple):
    """A restore that waits: of its `packs` that had to thaw so many have, and `files` are to come.

    `later` packs wait for the next hour's budget. Unix times, 0.0 where unknown: the first ask, the latest arrival,
    the next look.
    """

    thawed: int
    packs: int
    later: int
    files: int
    since: float
    until: float
    look_at: float = 0.0


class Staged(NamedTuple):
    """Thawed copies in the staging container: how many, and their bytes."""

    copies: int = 0
    size: int = 0


class NotOnline(Exception):
    """A pack that a listing showed online cannot be read: its copy was removed, or it went back to the archive."""


class PackStates:
    """The packs of one partition, as the listings of the packs and of the staging container show them.

    Of the last listings, by blob name: `listed` are the packs, `staged` their thawed copies, `marked` the marks of
    restores that wait; `strangers` are copies of other partitions, which share the hour's budget. `used_staging`: the
    staging container was listed at all.
    """

    def __init__(self, blobs: BlobStore, staging: ThawStore, partition: str) -> None:
        self._blobs = blobs
        self._staging = staging
        self._partition = f"{partition}/"
        self._prefix = pack_blob(partition, "")
        self.mark_prefix = f"{partition}/restores/"
        self.listed: dict[str, BlobInfo] = {}
        self.staged: dict[str, BlobInfo] = {}
        self.marked: dict[str, BlobInfo] = {}
        self.strangers: list[BlobInfo] = []
        self.used_staging = False
        self._stuck: set[str] = set()

    # --- looking

    def look(self, packs: Sequence[PackLayout]) -> list[str]:
        """Lists the staging container when any of the partition's packs is archived, and the packs before if need be.

        What of `packs` does not agree with its record is given back in words: it was cut, replaced or removed.
        """
        if not packs:
            return []
        if not self.listed:
            self.list_packs()
        self.list_copies()
        return self.complaints(packs)

    def complaints(self, packs: Sequence[PackLayout]) -> list[str]:
        """What of some packs does not agree with its record, in words, as the last listing shows them."""
        return [complaint for pack in packs if (complaint := self._complaint(pack))]

    def _complaint(self, pack: PackLayout) -> str:
        if self.info(pack) is None:
            return f"pack {pack.pack_id} is missing"
        if not self.agrees(pack.pack_id, pack.record):
            return f"pack {pack.pack_id} does not have the size and MD5 of its record"
        return ""

    def agrees(self, pack_id: PackId, record: PackRecord) -> bool:
        """Whether a pack is there, with the size and MD5 of its record."""
        info = self.listed.get(self._prefix + pack_id)
        return info is not None and info.size == record.size and (not info.md5 or info.md5 == record.md5)

    def list_copies(self) -> None:
        """Lists the staging container, if any of the partition's packs is archived."""
        if any(info.tier == "archive" or info.pending for info in self.listed.values()):
            self.list_staging()

    def list_packs(self) -> int:
        """Lists the partition's blobs: its packs; the highest number of a snapshot's copy that lies beside them."""
        infos = {info.name: info for info in self._blobs.listed(self._partition)}
        self.listed = {name: info for name, info in infos.items() if name.startswith(self._prefix)}
        records = record_blob(self._partition[:-1], "")
        copies = (name.removeprefix(records) for name in infos if name.startswith(records))
        return max((number_of(name, SNAPSHOT_PREFIX) for name in copies if is_snapshot(name)), default=0)

    def list_staging(self) -> None:
        """Lists the staging container: copies and marks, and the copies of other partitions."""
        self.used_staging = True
        self.staged, self.marked, self.strangers = {}, {}, []
        for info in self._staging.listed(""):
            if info.name.startswith(self._prefix):
                self.staged[info.name] = info
            elif info.name.startswith(self.mark_prefix):
                self.marked[info.name] = info
            else:
                self.strangers.append(info)

    def find_stuck(self, now: float) -> list[str]:
        """The packs whose copy has been on its way for longer than any thaw takes: from now on it counts for nothing.

        A rule put it back into the archive, or somebody put it there so that restores wait for ever.
        """
        old = {name for name, copy in self.staged.items() if is_coming(copy) and now - copy.created > _STUCK_SECONDS}
        found = sorted(name for name in old - self._stuck if self.staged[name].created)
        self._stuck.update(found)
        return [name.removeprefix(self._prefix) for name in found]

    def forget_copy(self, pack: PackLayout) -> None:
        """The copy of a pack is there no more."""
        self.staged.pop(self.name_of(pack), None)
        self._stuck.discard(self.name_of(pack))

    def refresh(self, *, packs_too: bool = False) -> None:
        """Lists again what changes while thaws are pending: the copies, and packs that thaw in place."""
        if packs_too or any(info.pending for info in self.listed.values()):
            self.list_packs()
        self.list_staging()

    def name_of(self, pack: PackLayout) -> str:
        """The blob name of a pack, which its thawed copy has too."""
        return self.name_of_id(pack.pack_id)

    def name_of_id(self, pack_id: PackId) -> str:
        """The same of a pack's id."""
        return self._prefix + pack_id

    def info(self, pack: PackLayout) -> BlobInfo | None:
        """The pack's line in the listing."""
        return self.listed.get(self.name_of(pack))

    def state(self, pack: PackLayout) -> State:
        """What the last listings say about a pack."""
        return self.state_of(pack.pack_id)

    def state_of(self, pack_id: PackId) -> State:
        """The same of a pack's id."""
        info = self.listed.get(self.name_of_id(pack_id))
        if info is None:
            return State.MISSING
        if info.tier != "archive" and not info.pending:
            return State.ONLINE
        copy = self.staged.get(info.name)
        if copy is None or info.name in self._stuck or _is_useless(copy, info):
            return State.PENDING if info.pending else State.ARCHIVED
        return State.PENDING if is_coming(copy) else State.THAWED

    def pending(self, packs: Iterable[PackLayout]) -> Pending | None:
        """What of the packs is on its way; None when nothing is."""
        thaws = [(pack, self.staged.get(self.name_of(pack))) for pack in packs]
        thaws = [(pack, copy) for pack, copy in thaws if self.state(pack) is State.PENDING]
        if not thaws:
            return None
        hours = [HIGH_HOURS if self.priority(pack) == "high" else STANDARD_HOURS for pack, _ in thaws]
        since = [copy.created if copy is not None else 0.0 for _, copy in thaws]
        until = [each + hour * _HOUR for each, hour in zip(since, hours, strict=True) if each]
        size = sum(pack.record.size for pack, _ in thaws)
        return Pending(len(thaws), size, min(filter(None, since), default=0.0), max(until, default=0.0))

    def coming(self) -> int:
        """How many packs of the partition are on their way, whoever asked for them, as the last listings show."""
        copies = {name for name, copy in self.staged.items() if is_coming(copy)}
        return len(copies | {name for name, info in self.listed.items() if info.pending})

    def priority(self, pack: PackLayout) -> str:
        """The priority that a pack was asked for with, '' when it was not."""
        name = self.name_of(pack)
        info = self.staged.get(name) or self.listed.get(name)
        return info.priority if info else ""

    def has_copies(self, packs: Iterable[PackLayout]) -> bool:
        """Whether some of the packs have a copy, there or on its way."""
        return any(self.name_of(pack) in self.staged for pack in packs)

    def copies(self) -> Staged:
        """The copies of the partition that lie in the staging container."""
        return Staged(len(self.staged), sum(info.size for info in self.staged.values()))

    def read(self, pack: PackLayout, start: int, end: int) -> bytes:
        """Bytes of a pack that can be read, fewer where it ends. Raises Missing or NotOnline if there are none."""
        name = self.name_of(pack)
        thawed = self.state(pack) is State.THAWED
        try:
            return (self._staging if thawed else self._blobs).get_range(name, start, end - start)
        except Missing:
            if not thawed:
                raise
            raise NotOnline from None
        except Archived:
            raise NotOnline from None


def is_coming(copy: BlobInfo) -> bool:
    """Whether a copy is under way: Azure copies first, into the archive tier, and then thaws the copy."""
    return not copy.failed and (copy.pending or copy.tier == "archive")


def _is_useless(copy: BlobInfo, original: BlobInfo) -> bool:
    """Whether a copy failed, or is there but is not one of this pack: of another size, or with another MD5."""
    differs = copy.size != original.size or bool(copy.md5 and original.md5 and copy.md5 != original.md5)
    return copy.failed or (not is_coming(copy) and differs)
