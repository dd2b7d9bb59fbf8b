"""Versions and the snapshots that they are in: plain data, snapshot after snapshot."""

from __future__ import annotations

from azbackup.commands.browse.history import Changes, History, Version, joined, matching, version_of
from azbackup.format.model import Entry, Kind
from azbackup.records.snapshots import Source

FILE, DIRECTORY, LINK, REMOVED = (int(kind) for kind in (Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, Kind.REMOVED))
ONE, TWO = (Version(FILE, size, 5, b"c" * 32, b"") for size in (1, 2))


def told(history: History) -> list[tuple[bytes, int, list[tuple[int, int]]]]:
    """Return (path, size, snapshots) of everything that was found."""
    return [(found.path, found.version.size, found.snapshots) for found in history.found()]


def walk(*steps: tuple[int, Changes]) -> list[tuple[bytes, int, list[tuple[int, int]]]]:
    """Return what a history of steps tells."""
    history = History(Source(b"/home", "pc"))
    for number, changes in steps:
        history.step(number, changes)
    return told(history)


# --- one layer


def test_a_layer_holds_what_matches_only() -> None:
    """What matches is a version; a removal, or a kind that no longer matches, counts only where it hides something."""
    layer = [
        *(Entry(b"a", FILE, 1), Entry(b"b", FILE, 2), Entry(b"c", REMOVED)),
        *(Entry(b"d", REMOVED), Entry(b"e", LINK), Entry(b"f", LINK)),
    ]
    found = matching(layer, lambda entry: entry.path == b"a" or entry.kind == REMOVED, known={b"c", b"e"})
    assert found == {b"a": version_of(layer[0]), b"c": None, b"e": None}


def test_what_makes_a_version() -> None:
    """Kind, size, mtime, contents and target do; owner, mode, inode and attributes do not."""
    entry = Entry(b"a", FILE, 1, 2, chunks=b"c" * 32)
    same = Entry(b"a", FILE, 1, 2, 9, 9, 9, 9, 9, 9, 9, chunks=b"c" * 32, xattrs=[(b"user.x", b"y")])
    assert version_of(entry) == version_of(same)
    others = [
        *(Entry(b"a", LINK, 1, 2, chunks=b"c" * 32), Entry(b"a", FILE, 2, 2, chunks=b"c" * 32)),
        *(Entry(b"a", FILE, 1, 3, chunks=b"c" * 32), Entry(b"a", FILE, 1, 2, chunks=b"d" * 32)),
        *(Entry(b"a", FILE, 1, 2, chunks=b"c" * 64), Entry(b"a", FILE, 1, 2, chunks=b"c" * 32, target=b"x")),
    ]
    assert len({version_of(entry), *map(version_of, others)}) == len(others) + 1


def test_many_chunks_take_no_room() -> None:
    """A version of a file of any size holds 32 bytes of contents, which still tell two files apart."""
    first, second = (version_of(Entry(b"a", FILE, chunks=bytes(32_000) + end)) for end in (b"x" * 32, b"y" * 32))
    assert len(first.contents) == len(second.contents) == 32
    assert first != second


def test_layers_joined() -> None:
    """The newest word counts, a removal too."""
    assert joined([{b"a": ONE, b"b": ONE}, {b"a": None}, {b"b": TWO}]) == {b"a": None, b"b": TWO}


# --- snapshot after snapshot


def test_unchanged_is_one_version() -> None:
    """Through all snapshots that say nothing, or the same again."""
    assert walk((1, {b"a": ONE}), (2, {}), (3, {b"a": ONE}), (7, {})) == [(b"a", 1, [(1, 7)])]


def test_changed_is_two() -> None:
    """Each from where it began to the last snapshot of the source before the other."""
    assert walk((1, {b"a": ONE}), (3, {}), (6, {b"a": TWO})) == [(b"a", 1, [(1, 3)]), (b"a", 2, [(6, 6)])]


def test_removed_and_added_again() -> None:
    """The same version again is the same line with two runs of snapshots; one that was never there is no matter."""
    steps = [(1, {b"a": ONE}), (2, {b"a": None, b"x": None}), (3, {}), (4, {b"a": ONE}), (5, {b"a": TWO})]
    assert walk(*steps) == [(b"a", 1, [(1, 1), (4, 4)]), (b"a", 2, [(5, 5)])]


def test_whole_state() -> None:
    """A snapshot that is told whole ends what is not in it and goes on with what is."""
    history = History(Source(b"/home", "pc"))
    history.become(1, {b"a": ONE, b"b": ONE, b"c": ONE})
    history.become(2, {b"a": ONE, b"b": TWO, b"d": None})
    assert told(history) == [(b"a", 1, [(1, 2)]), (b"b", 1, [(1, 1)]), (b"b", 2, [(2, 2)]), (b"c", 1, [(1, 1)])]


def test_in_path_order() -> None:
    """Paths by their components as bytes: `a/b` before `a.txt`."""
    assert [path for path, *_ in walk((1, {b"a.txt": ONE, b"\xff": ONE, b"a/b": ONE, b"a": ONE}))] == [
        *(b"a", b"a/b", b"a.txt", b"\xff")
    ]
