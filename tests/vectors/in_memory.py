"""What a partition of the memory store holds, as the directory that tests/vectors/storage.py describes; and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from azbackup.storage.protocols import PlainRow
from tests.contract.memory import Blob, MemoryBlobs, MemoryTable, md5_of
from tests.vectors.storage import _FOLDERS, _from_json, _to_json

_PROPERTY_BYTES = 61_440  # docs/format.md, section 5


def dump(blobs: MemoryBlobs, table: MemoryTable, partition: str, directory: Path) -> None:
    """Write all rows and blobs of a partition into a new directory."""
    for folder in _FOLDERS:
        (directory / folder).mkdir(parents=True)
    for name, blob in blobs.blobs.items():
        if name.startswith(f"{partition}/"):
            file = directory / name.removeprefix(f"{partition}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(blob.data)
    rows = []
    for (owner, name), row in sorted(table.rows.items()):
        if owner == partition or owner.startswith(f".{partition}."):
            era = {} if owner == partition else {"PartitionKey": owner}
            rows.append({**era, **_to_json(_properties(name, row))})
    (directory / "rows.json").write_text(json.dumps(rows, indent=1) + "\n")


def load(directory: Path, partition: str, blobs: MemoryBlobs, table: MemoryTable) -> None:
    """Put what was dumped into a partition of empty stores; packs are online."""
    for file in (file for file in directory.glob("*/**/*") if file.is_file()):
        data = file.read_bytes()
        name = f"{partition}/{file.relative_to(directory)}"
        blobs.blobs[name] = Blob(data, "hot", md5_of(data), created=blobs.now)
    for row in json.loads((directory / "rows.json").read_text(), object_hook=_from_json):
        name, owner = row.pop("RowKey"), row.pop("PartitionKey", partition)
        parts = [row[key] for key in sorted(row) if key[1:].isdigit() and isinstance(row[key], bytes)]
        table.rows[owner, name] = b"".join(parts) if len(parts) == len(row) else PlainRow(row, "0")


def _properties(name: str, row: bytes | PlainRow) -> dict[str, Any]:
    if isinstance(row, PlainRow):
        return {"RowKey": name, **row.values}
    parts = [row[at : at + _PROPERTY_BYTES] for at in range(0, len(row), _PROPERTY_BYTES)]
    return {"RowKey": name, **{f"d{number:02d}": part for number, part in enumerate(parts)}}
