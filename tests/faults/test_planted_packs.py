"""Whoever has the password can add packs that claim chunks they do not hold: no genuine pack is hidden by them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from azbackup.format.labels import PACK_MAGIC, pack_blob
from azbackup.format.model import PackId, PackRecord
from azbackup.format.payloads import encode_pack
from emulator.trees import differences
from tests.contract.memory import md5_of
from tests.faults.world import PARTITION, World, make_small, make_source


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a source that was backed up into several packs."""
    make_small(monkeypatch)
    source = tmp_path / "source"
    source.mkdir()
    make_source(source)
    found = World(source)
    found.backup()
    return found


def plant(world: World, number: int, *, sealed: bool = True, plain: int = 0) -> None:
    """Add a pack that comes before all others and claims every chunk, with a record that is rightly sealed."""
    catalog, partition = world.opened()
    records = [record for pack_id, record in catalog.packs() if not pack_id.startswith("2000")]
    ids = b"".join(record.content_ids for record in records)
    sizes = [size for record in records for size in record.content_lengths]
    lengths = [plain or length for record in records for length in record.plain[: len(record.content_lengths)]]
    data = PACK_MAGIC + os.urandom(sum(sizes))
    pack_id = PackId(f"20000101T000000Z-{number:016x}")
    record = PackRecord(len(data), md5_of(data), "hot", ids, sizes, lengths)
    if sealed:
        partition.blobs.put_new(pack_blob(PARTITION, pack_id), data, "hot", record.md5)
    partition.records.insert([partition.records.seal(f"pack-{pack_id}", encode_pack(record))])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("plain", [0, 7], ids=["same lengths", "other lengths"])
def test_every_pack_that_claims_a_chunk_is_tried(world: World, tmp_path: Path, count: int, plain: int) -> None:
    """All files are restored from where they are; a pack that does not open is named."""
    for number in range(count):
        plant(world, number, plain=plain)
    outcome = world.restore(tmp_path / "restored")
    assert differences(world.source, tmp_path / "restored") == []
    assert outcome.problems == 0
    assert plain or len({each.split(",")[0] for each in outcome.damage}) == count


def test_a_record_of_a_pack_that_is_not_there(world: World, tmp_path: Path) -> None:
    """A backup does not count on it, and a restore reads the genuine ones."""
    plant(world, 1, sealed=False)
    snapshot, told = world.backup()
    assert (snapshot.totals.stored, told) == (0, [])
    outcome = world.restore(tmp_path / "restored")
    assert differences(world.source, tmp_path / "restored") == []
    assert outcome.problems == 0
