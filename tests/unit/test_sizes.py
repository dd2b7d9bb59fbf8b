"""What is large, by directory, and what one snapshot alone has."""

from __future__ import annotations

from azbackup.commands.browse.sizes import chunks_alone, directories
from azbackup.format.model import Entry, Kind
from tests.unit.test_listing import Partition

FILE, DIRECTORY, REMOVED = (int(kind) for kind in (Kind.FILE, Kind.DIRECTORY, Kind.REMOVED))


def file(path: str, size: int, *chunks: str) -> Entry:
    """Give a file whose chunks are told by letters."""
    return Entry(path.encode(), FILE, size, chunks=b"".join(each.encode() * 32 for each in chunks))


def test_directories() -> None:
    """Each directory holds what is below it, the largest first; what is below a hundredth is left out."""
    entries = [
        *(Entry(b"", DIRECTORY), Entry(b"a", DIRECTORY), Entry(b"a/b", DIRECTORY), file("a/b/x", 600, "x")),
        *(file("a/y", 100, "y"), Entry(b"a.d", DIRECTORY), file("a.d/z", 9, "z"), file("top", 300, "x", "t")),
        *(Entry(b"u", DIRECTORY), Entry(b"u/v", DIRECTORY), file("u/v/w", 10, "w")),
    ]
    found = directories(entries, {b"x" * 32})
    assert [(each.path, each.files, each.size, each.unique) for each in found] == [
        (b"", 5, 1019, 750),
        (b"a", 2, 700, 600),
        (b"a/b", 1, 600, 600),
    ]
    assert directories([]) == directories([Entry(b"", DIRECTORY)])


def test_what_one_snapshot_alone_has() -> None:
    """Chunks that another snapshot shows are not alone, of whatever source; those that are hidden in a layer are."""
    partition = Partition()
    base = partition.add(b"/s", file("a", 1, "a"), file("b", 1, "b"), file("c", 1, "c"))
    middle = partition.add(b"/s", file("a", 1, "A"), file("c", 1, "C"), on=base)
    partition.add(b"/s", file("a", 1, "x"), Entry(b"b", REMOVED), on=middle)
    partition.add(b"/t", file("other", 1, "a"))
    catalog = partition.catalog()
    snapshots = catalog.snapshots()
    alone = [sorted(each[:1] for each in chunks_alone(catalog, one, snapshots)) for one in snapshots]
    assert alone == [[b"c"], [b"A"], [b"x"], []]
