"""One level of a tree: totals of what is below, whatever is missing in between."""

from __future__ import annotations

from azbackup.commands.browse.level import level, with_totals
from azbackup.format.model import Entry, Kind

F, D, L = int(Kind.FILE), int(Kind.DIRECTORY), int(Kind.SYMLINK)
TREE = [
    Entry(b"", D),
    Entry(b"a", D),
    Entry(b"a/b", D),
    Entry(b"a/b/c", F, size=5),
    Entry(b"a/l", L, size=9),
    Entry(b"a.txt", F, size=7),
    Entry(b"lost/x", F, size=3),
    Entry(b"lost/y/z", F, size=4),
]


def rows(entries: list[Entry], base: bytes) -> list[tuple[bytes, int, int, int]]:
    """Path, kind, files and size of each row."""
    return [(row.entry.path, row.entry.kind, row.files, row.size) for row in level(entries, base)]


def test_the_source() -> None:
    """Links count as files and not by their size; a directory that nobody knows is made up from what is in it."""
    assert rows(TREE, b"") == [(b"", D, 0, 0), (b"a", D, 2, 5), (b"a.txt", F, 0, 0), (b"lost", D, 2, 7)]


def test_a_directory_and_a_file() -> None:
    """A directory comes first and has no totals, a file stands by itself; of nothing there is no row."""
    assert rows(TREE[1:5], b"a") == [(b"a", D, 0, 0), (b"a/b", D, 1, 5), (b"a/l", L, 0, 0)]
    assert rows(TREE[3:4], b"a/b/c") == [(b"a/b/c", F, 0, 0)]
    assert rows([], b"nothing") == []


def totals(entries: list[Entry]) -> list[bytes | tuple[bytes, int, int]]:
    """Paths of entries, and (path, files, size) of directories whose totals are known."""
    return [
        each.path if isinstance(each, Entry) else (each.path, each.files, each.size) for each in with_totals(entries)
    ]


def test_totals_of_everything() -> None:
    """Each directory's come behind the last entry below it, those that no entry names count in the one above."""
    assert totals(TREE) == [
        *(b"", b"a", b"a/b", b"a/b/c", (b"a/b", 1, 5), b"a/l", (b"a", 2, 5)),
        *(b"a.txt", b"lost/x", b"lost/y/z", (b"", 5, 19)),
    ]
    assert totals([Entry(b"a", D), Entry(b"b", D), Entry(b"b.d/x", F, size=1)]) == [
        *(b"a", (b"a", 0, 0), b"b", (b"b", 0, 0), b"b.d/x")
    ]
    assert totals([]) == []
