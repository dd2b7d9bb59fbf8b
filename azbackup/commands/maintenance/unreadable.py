"""Which files of which snapshots a drill's unreadable chunks touch: those that no other sound pack holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from azbackup.commands.maintenance.findings import Findings, What
from azbackup.commands.maintenance.layer_check import LayerCheck
from azbackup.commands.maintenance.touched import touched_files
from azbackup.format.model import ChunkId, Snapshot, split_ids
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.states import PackStates
from azbackup.progress import Progress
from azbackup.records.catalog import Catalog


class _AllBut:
    """All chunk ids there are, but for some."""

    def __init__(self, ids: set[ChunkId]) -> None:
        self._ids = ids

    def has_all(self, ids: bytes) -> bool:
        """Whether none of the ids of a concatenation is one of them."""
        return self._ids.isdisjoint(split_ids(ids))


def tell_touched(
    catalog: Catalog,
    snapshots: list[Snapshot],
    packs: Sequence[PackLayout],
    faulty: Mapping[str, list[int]],
    to: tuple[PackStates, Findings, Progress],
) -> None:
    """Adds the files that need one of the chunks, by one more pass over pack records and file records."""
    states, findings, progress = to
    lost = {pack.chunk_id(chunk) for pack in packs for chunk in faulty.get(pack.pack_id, [])}
    for pack_id, record in catalog.packs():
        if pack_id not in faulty and states.agrees(pack_id, record):
            lost.difference_update(split_ids(record.content_ids))
    if not lost:
        return
    layers = LayerCheck(catalog.records, findings, lambda _: None, _AllBut(lost), progress)
    layers.run(snapshots)
    for file in touched_files(catalog, snapshots, layers.lost):
        findings.add(What.CHUNKS, file.subject, str(file), file.size)
    if layers.more_lost:
        findings.add(What.CHUNKS, "", f"and {layers.more_lost:,} more files")
