"""Which chunks are lost, and which files of a snapshot need them, by docs/reader.py alone."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.conftest import REPOSITORY
from tests.soak.world import World
from tests.vectors.storage import rows


@dataclass(frozen=True)
class Reading:
    """The records of a partition, and the chunks that are in none of its packs any more."""

    reader: ModuleType
    records: dict[str, Any]
    lost: set[bytes]

    def touched(self, number: int) -> set[bytes]:
        """The files of a snapshot that need a lost chunk."""
        state: dict[bytes, list[Any]] = {}
        for run, count, _ in self.records[f"snapshot-{number:08}"]["layers"]:
            items = [item for part in range(1, count + 1) for item in self.records[f"files-{run}-{part:04d}"]]
            its = self.reader.join_more(items)
            state.update((entry[0], self.reader.put_together(entry, state.get(entry[0]))) for entry in its)
        files = {path: entry for path, entry in state.items() if entry[1] == self.reader.FILE}
        return {path for path, entry in files.items() if self.lost & _ids(entry[12])}


def read(world: World) -> Reading:
    """Reads all records with the password, and asks which packs are there."""
    reader = _load()
    by_name = {row["RowKey"]: row for row in rows(world.vault)}
    partition = world.vault.partition.encode()
    data_key = reader.open_key(by_name["key"], world.model.password.encode(), partition)
    record_key = reader.hkdf(data_key, b"azbackup/1 record")
    records = {name: reader.open_record(by_name, name, record_key, partition) for name in by_name if name != "key"}
    there = {name.rpartition("/")[2] for name in world.blobs("/packs/")}
    packs = {name.removeprefix("pack-"): _contents(each) for name, each in records.items() if name[:5] == "pack-"}
    sound = {each for name, ids in packs.items() if name in there for each in ids}
    return Reading(reader, records, {each for ids in packs.values() for each in ids} - sound)


def _contents(record: dict[str, Any]) -> set[bytes]:
    """The chunks of a pack but for its padding, which is in no other one."""
    ids = record["ids"]
    return _ids(ids[: len(ids) - 32 * record.get("padding", 0)])


def _ids(joined: bytes) -> set[bytes]:
    return {joined[at : at + 32] for at in range(0, len(joined), 32)}


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reader", REPOSITORY / "docs" / "reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
