"""Which packs can be read now: listed, never guessed; archived ones are asked for once.

Promises that a pack is asked for at most once however often a restore runs, and that nothing is asked for which a
listing shows to be missing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from azbackup.formats import pack_blob
from azbackup.plan import NeededPack
from azbackup.stores import BlobInfo, BlobStore, ThawStore


class State(enum.Enum):
    """Where a pack's bytes are."""

    ONLINE = "online"
    ARCHIVED = "archived"
    PENDING = "pending"
    THAWED = "thawed"
    MISSING = "missing"


class Thawing:
    """The packs of one partition, as the listings of the packs and of the staging container show them."""

    def __init__(self, blobs: BlobStore, staging: ThawStore, partition: str) -> None:
        self._blobs = blobs
        self._staging = staging
        self._prefix = pack_blob(partition, "")
        self._listed: dict[str, BlobInfo] = {}
        self._staged: dict[str, BlobInfo] = {}

    def look(self, packs: Iterable[NeededPack]) -> list[str]:
        """Lists the packs, and the staging container when one of `packs` is archived.

        What does not agree with its record is given back in words: such a pack was cut, replaced or removed.
        """
        needed = list(packs)
        if not needed:
            return []
        self._listed = {info.name: info for info in self._blobs.listed(self._prefix)}
        complaints = []
        archived = False
        for pack in needed:
            info = self._listed.get(self._prefix + pack.pack_id)
            if info is None:
                complaints.append(f"pack {pack.pack_id} is missing")
                continue
            if info.size != pack.record.size or (info.md5 and info.md5 != pack.record.md5):
                complaints.append(f"pack {pack.pack_id} does not have the size and MD5 of its record")
            archived = archived or info.tier == "archive"
        if archived:
            self.refresh()
        return complaints

    def refresh(self) -> None:
        """Lists the staging container again."""
        self._staged = {info.name: info for info in self._staging.listed(self._prefix)}

    def state(self, pack: NeededPack) -> State:
        """What the last listings say about a pack."""
        info = self._listed.get(self._prefix + pack.pack_id)
        if info is None:
            return State.MISSING
        if info.tier != "archive" and not info.pending:
            return State.ONLINE
        copy = self._staged.get(info.name)
        if copy is None:
            return State.PENDING if info.pending else State.ARCHIVED
        return State.PENDING if copy.pending or copy.tier == "archive" else State.THAWED

    def thaw(self, packs: Iterable[NeededPack], priority: str) -> int:
        """Asks for the archived ones among the packs; how many that were."""
        asked = 0
        for pack in packs:
            if self.state(pack) is State.ARCHIVED:
                self._staging.thaw(self._prefix + pack.pack_id, priority)
                asked += 1
        if asked:
            self.refresh()
        return asked

    def read(self, pack: NeededPack, start: int, end: int) -> bytes:
        """Bytes of a pack that is online or thawed; fewer where it ends early. Missing."""
        name = self._prefix + pack.pack_id
        store = self._staging if self.state(pack) is State.THAWED else self._blobs
        return store.get_range(name, start, end - start)

    def clean_up(self, packs: Iterable[NeededPack]) -> int:
        """Removes the thawed copies of the packs; how many there were."""
        names = [self._prefix + pack.pack_id for pack in packs]
        there = [name for name in names if name in self._staged]
        for name in there:
            self._staging.delete(name)
            del self._staged[name]
        return len(there)
