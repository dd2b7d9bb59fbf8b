"""Differences between two snapshots, from records in memory."""

from __future__ import annotations

import pytest

from azbackup.commands.browse import differences
from azbackup.commands.browse.differences import Differences
from azbackup.format.model import Entry, Kind, Layer
from azbackup.records.selection import Selection
from tests.unit.test_listing import Partition

FILE, DIRECTORY, LINK, REMOVED = (int(kind) for kind in (Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, Kind.REMOVED))


def file(path: str, contents: str = "", **fields: int) -> Entry:
    """Give a file whose contents are told by a letter."""
    return Entry(
        path.encode(), FILE, len(contents), chunks=contents.encode().ljust(32)[: 32 * bool(contents)], **fields
    )


def told(partition: Partition, *paths: bytes, old: int = 1, new: int = 2) -> list[tuple[str, str, str]]:
    """Return (what, path, where it was or which metadata differ) of two snapshots, and what is in neither."""
    catalog = partition.catalog()
    snapshots = {snapshot.number: snapshot for snapshot in catalog.snapshots()}
    found = Differences(catalog, Selection(paths, (), ()))
    lines = [
        (each.what, each.path.decode(), each.origin.decode() or " ".join(each.fields))
        for each in found.between(snapshots[old], snapshots[new])
    ]
    return lines + [("unknown", path.decode(), "") for path in found.unknown]


@pytest.fixture
def two() -> Partition:
    """Give two snapshots: everything that can happen to a path has happened."""
    partition = Partition()
    layers = partition.add(
        b"/s",
        *(Entry(b"", DIRECTORY, mtime_ns=1), Entry(b"d", DIRECTORY), Entry(b"d/x", LINK, target=b"a")),
        *(file("d/same", "s"), file("gone", "g"), file("mode", "m", mode=0o600), file("moved", "v")),
        *(file("text", "t"), file("turned", "u"), file("empty")),
    )
    partition.add(
        b"/s",
        *(Entry(b"", DIRECTORY, mtime_ns=2), Entry(b"d/x", LINK, target=b"b"), file("d.new", "n"), file("empty2")),
        *(Entry(b"gone", REMOVED), file("mode", "m", mode=0o640), Entry(b"moved", REMOVED), file("d/moved", "v")),
        *(file("text", "two"), Entry(b"turned", DIRECTORY), Entry(b"empty", REMOVED)),
        on=layers,
    )
    return partition


def test_everything_that_can_differ(two: Partition) -> None:
    """Added, removed, moved, contents, kind, metadata; no difference is a directory's time; both ways round."""
    assert told(two) == [
        ("moved", "d/moved", "moved"),
        ("contents", "d/x", ""),
        ("added", "d.new", ""),
        ("removed", "empty", ""),
        ("added", "empty2", ""),
        ("removed", "gone", ""),
        ("metadata", "mode", "mode"),
        ("contents", "text", ""),
        ("kind", "turned", ""),
    ]
    back = {"added": "removed", "removed": "added"}
    others = [(back.get(what, what), path, more) for what, path, more in told(two) if what != "moved"]
    found = told(two, old=2, new=1)
    assert [line for line in found if line[0] != "moved"] == others
    assert ("moved", "moved", "d/moved") in found
    assert told(two, old=2, new=2) == []


def test_paths(two: Partition) -> None:
    """Paths narrow it; what is in neither snapshot is named."""
    assert told(two, b"d", b"other") == [("added", "d/moved", ""), ("contents", "d/x", ""), ("unknown", "other", "")]


def test_more_than_are_held(two: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more differs than is held nothing is told to be moved, and nothing is lost."""
    everything = {(what, path) for what, path, _ in told(two)}
    monkeypatch.setattr(differences, "MOST", 3)
    expected = everything - {("moved", "d/moved")} | {("added", "d/moved"), ("removed", "moved")}
    assert {(what, path) for what, path, _ in told(two)} == expected


def test_what_is_hidden_is_no_difference() -> None:
    """Paths that a lost record hides are not told as removed."""
    partition = Partition(most=200)
    layers = partition.add(b"/s", *(file(f"{name}", name) for name in "abcdef"))
    partition.add(b"/s", *(file(f"{name}", name) for name in "abcdef"), file("g", "g"))
    assert layers[0].records > 1
    partition.lose(Layer(f"20261122T210800Z-{2:016x}", 1, 1))
    found = told(partition)
    assert ("added", "g", "") in found
    assert not [line for line in found if line[0] == "removed"]
    assert partition.show.damaged
