"""Which packs nothing needs: pack records beside the list of packs and the chunks that snapshots use. Pure.

And which packs no record tells of: a killed run left them, and no later one took them over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from azbackup.errors import Damaged
from azbackup.format.labels import check_stamp
from azbackup.format.model import ChunkId, PackId, PackRecord, split_ids
from azbackup.packs.choice import Holding, choose
from azbackup.packs.layout import fault_of
from azbackup.storage.protocols import BlobInfo

DAY_SECONDS = 86_400.0
LEAST_DAYS = 30.0  # a pack is this old before it is condemned: it may be of a backup that is running


class PackState(NamedTuple):
    """A pack that nothing needs. Bytes; Unix seconds of its creation, and of when the fee for deleting it is past."""

    pack_id: PackId
    size: int
    tier: str
    created: float
    free_at: float

    def is_old(self, free_by: float, made_by: float) -> bool:
        """Whether it may be deleted without a fee by some time, and was made by some other one."""
        return self.free_at <= free_by and self.created <= made_by


def free_packs(
    records: Iterable[tuple[PackId, PackRecord]],
    there: Mapping[PackId, BlobInfo],
    used: set[ChunkId],
    condemned: Container[PackId],
    days: Mapping[str, int],
) -> tuple[list[PackState], int]:
    """(the packs that nothing needs, the bytes of all packs that are sound), those that are condemned apart.

    A pack is needed for a used chunk that no other sound pack has, or whose other pack is freed: the emptiest go first,
    so that a chunk that was stored anew frees the pack that it was in (packs/choice). One that is condemned holds
    nothing for the others; of its own chunks it is asked whether they have another place; and so is one that is gone,
    of which a record tells all the same. `days`: how long a pack of a tier is paid for at least.
    """
    sound: list[_Sound] = []
    doomed: list[tuple[PackId, bytes]] = []
    states: dict[PackId, PackState] = {}
    total = 0
    for pack_id, record in records:
        info = there.get(pack_id)
        made = 0.0 if info is None else info.created or info.modified
        tier = record.tier if info is None else info.tier
        paid = max(made, info.moved if info is not None else 0.0) + days.get(tier, 0) * DAY_SECONDS
        size = 0 if info is None else record.size
        states[pack_id] = PackState(pack_id, size, tier, made, paid)
        if info is None or pack_id in condemned:
            doomed.append((pack_id, record.content_ids))
        elif not fault_of(info, record.size, record.md5):
            total += record.size
            lengths = {each: size for each, size in zip(record.chunk_ids(), record.sealed, strict=True) if each in used}
            sound.append(_Sound(pack_id, record.content_size, sum(lengths.values()), b"".join(lengths)))
    free, holders = _spare(sound)
    for pack_id, ids in doomed:
        if all(holders[each] > 0 for each in split_ids(ids) if each in used):
            free.append(pack_id)
    return [states[pack_id] for pack_id in sorted(free)], total


def unrecorded(
    there: Mapping[PackId, BlobInfo],
    recorded: Container[PackId],
    condemned: Container[PackId],
    days: Mapping[str, int],
    made_by: float,
) -> list[PackState]:
    """The packs made by some time, Unix seconds, that no record tells of; those that are condemned whatever their age.

    A name that no run gives a pack is passed over: somebody put that blob there.
    """
    found = []
    for pack_id, info in sorted(there.items()):
        made = info.created or info.modified
        is_due = pack_id in condemned or made <= made_by
        if pack_id not in recorded and is_due and _is_pack_id(pack_id):
            paid = max(made, info.moved) + days.get(info.tier, 0) * DAY_SECONDS
            found.append(PackState(pack_id, info.size, info.tier, made, paid))
    return found


def _is_pack_id(text: str) -> bool:
    try:
        check_stamp(text)
    except Damaged:
        return False
    return True


def _spare(sound: Sequence[_Sound]) -> tuple[list[PackId], Counter[ChunkId]]:
    """(the packs that the others can do without, as a restore chooses, how many packs hold each chunk)."""
    holders: Counter[ChunkId] = Counter(each for pack in sound for each in split_ids(pack.ids))
    holdings = []
    for pack in sound:
        ids = split_ids(pack.ids)
        shared = [each for each in ids if holders[each] > 1]
        holdings.append(Holding(pack.pack_id, 0, pack.size, pack.wanted, len(shared) < len(ids), shared))
    return [sound[number].pack_id for number in choose(holdings)[1]], holders


class _Sound(NamedTuple):
    """A pack, its bytes without the padding, how many of them are used, and by which chunks."""

    pack_id: PackId
    size: int
    wanted: int
    ids: bytes
