"""Differences between two snapshots, as lines for people and as JSON values. Pure.

The JSON names are an interface: docs/operations.md describes them.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from azbackup.cli.output.names import Names
from azbackup.cli.output.text import count_text, size_text
from azbackup.commands.browse.differences import Difference, Side
from azbackup.format.model import Kind, Snapshot

_WORDS = {"mtime_ns": "time", "uid": "owner", "gid": "group", "rdev": "device", "xattrs": "attributes"}


@dataclass
class Count:
    """How many differences of each kind there were, and their bytes: of the new side, of what was removed the old."""

    numbers: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)

    def add(self, found: Difference) -> None:
        """Counts one."""
        side = found.new or found.old
        assert side is not None
        self.numbers[found.what] += 1
        self.sizes[found.what] += side.size

    def values(self) -> dict[str, int]:
        """Both as JSON values."""
        kinds = ("added", "removed", "moved", "contents", "metadata", "kind")
        return {kind: self.numbers[kind] for kind in kinds} | {f"{kind}_size": self.sizes[kind] for kind in kinds}

    def text(self, old: Snapshot, new: Snapshot) -> str:
        """The closing line."""
        parts = [
            f"{self.numbers[kind]:,} {word}" + (f" ({size_text(self.sizes[kind])})" if self.sizes[kind] else "")
            for kind, word in (("added", "added"), ("removed", "removed"), ("contents", "changed"), ("moved", "moved"))
        ]
        parts += [f"{count_text(self.numbers['kind'], 'path')} of another kind"] * bool(self.numbers["kind"])
        parts += [f"{self.numbers['metadata']:,} with other metadata alone"] * bool(self.numbers["metadata"])
        return f"from snapshot {old.number} to {new.number}: {', '.join(parts)}"


def difference_line(found: Difference, source: bytes, names: Names) -> str:
    """One difference: what, how large, the path as it is on the machine."""
    path = names.shown(_absolute(source, found.path))
    if found.what == "moved":
        path = f"{names.shown(_absolute(source, found.origin))} -> {path}"
    what, note = found.what, ""
    if what == "contents":
        what = "changed"
    elif what == "metadata":
        note = f"  ({', '.join(_WORDS.get(name, name) for name in found.fields)})"
    elif what == "kind" and found.old is not None and found.new is not None:
        note = f"  ({_kind(found.old)} -> {_kind(found.new)})"
    return f"{what:<8} {_sizes(found):>22}  {path}{note}"


def _sizes(found: Difference) -> str:
    texts = [_size(side) for side in (found.old, found.new) if side is not None]
    return " -> ".join(texts if found.what == "contents" else texts[-1:])


def _size(side: Side) -> str:
    return size_text(side.size) if side.kind == Kind.FILE else f"{_kind(side)}"


def difference_values(found: Difference) -> dict[str, Any]:
    """One difference as JSON values; sides that are not there are null."""
    values: dict[str, Any] = {"what": found.what, "path": os.fsdecode(found.path)}
    if found.what == "moved":
        values["from"] = os.fsdecode(found.origin)
    for name, side in (("old", found.old), ("new", found.new)):
        values[name] = None if side is None else _side_values(side)
    return {**values, "fields": list(found.fields)}


def _side_values(side: Side) -> dict[str, Any]:
    numbers = {name: getattr(side, name) for name in ("size", "mode", "uid", "gid")}
    time = {"mtime_ns": side.mtime_ns} if side.kind != Kind.DIRECTORY else {}
    return {"kind": _kind(side), **numbers, **time}


def _kind(side: Side) -> str:
    return Kind(side.kind).name.lower()


def _absolute(source: bytes, path: bytes) -> bytes:
    return source.rstrip(b"/") + b"/" + path if path else source
