"""Which entries are meant: examples of paths and patterns, and what holds for every choice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azbackup.errors import UsageError
from azbackup.format.model import Entry, Kind
from azbackup.records.selection import Selection

SOURCE = b"/home/user/docs"
TREE = [
    *[(b"", Kind.DIRECTORY), (b"a", Kind.DIRECTORY), (b"a/one.txt", Kind.FILE), (b"a/two.tmp", Kind.FILE)],
    *[(b"a/b", Kind.DIRECTORY), (b"a/b/one.txt", Kind.FILE), (b"ab", Kind.FILE), (b"\xff.txt", Kind.FILE)],
    *[(b"link", Kind.SYMLINK), (b"empty", Kind.DIRECTORY)],
]


def entries(tree: list[tuple[bytes, Kind]] | None = None) -> list[Entry]:
    """The entries of a tree."""
    return [Entry(path, int(kind)) for path, kind in tree or TREE]


def chosen(*paths: bytes, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[bytes]:
    """The paths that are meant."""
    return [entry.path for entry in Selection(paths, include, exclude).of(entries(), SOURCE)]


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ([b"a/b"], [b"", b"a", b"a/b", b"a/b/one.txt"]),
        ([b"a/b/"], [b"", b"a", b"a/b", b"a/b/one.txt"]),
        ([b"./ab"], [b"", b"ab"]),
        ([SOURCE + b"/a/b"], [b"", b"a", b"a/b", b"a/b/one.txt"]),
        ([SOURCE], [path for path, _ in TREE]),
        ([b"."], [path for path, _ in TREE]),
        ([b"\xff.txt"], [b"", b"\xff.txt"]),
        ([b"link", b"empty"], [b"", b"link", b"empty"]),
        ([b"nothing"], []),
        ([b"/home/user/docs2/a"], []),
        ([b"one.txt"], []),
    ],
)
def test_paths(paths: list[bytes], found: list[bytes]) -> None:
    """A path means itself, what is below it, and the directories above."""
    assert chosen(*paths) == found


@pytest.mark.parametrize(
    ("include", "exclude", "found"),
    [
        (("*.txt",), (), [b"", b"a", b"a/one.txt", b"a/b", b"a/b/one.txt", b"\xff.txt"]),
        (("/a/*.txt",), (), [b"", b"a", b"a/one.txt"]),
        (("b/",), (), [b"", b"a", b"a/b", b"a/b/one.txt"]),
        (("ab/",), (), []),
        (("*.txt", "!one.*"), (), [b"", b"\xff.txt"]),
        (("*.txt",), ("b/",), [b"", b"a", b"a/one.txt", b"\xff.txt"]),
        ((), ("a/",), [b"", b"ab", b"\xff.txt", b"link", b"empty"]),
        ((), ("*",), [b""]),
        ((), ("# a comment", "", "a", "link"), [b"", b"ab", b"\xff.txt", b"empty"]),
    ],
)
def test_patterns(include: tuple[str, ...], exclude: tuple[str, ...], found: list[bytes]) -> None:
    """Patterns as in .gitignore; exclude takes away from what include gives."""
    assert chosen(include=include, exclude=exclude) == found


def test_paths_and_patterns() -> None:
    """Both have to mean an entry; patterns are relative to the source, not to the path."""
    assert chosen(b"a", exclude=("/a/b",)) == [b"", b"a", b"a/one.txt", b"a/two.tmp"]


def test_unknown_paths() -> None:
    """Paths that the snapshot does not have are told, as they were given."""
    paths = [b"a", b"b/", SOURCE + b"/a", b"/home/user/docsa", b"/", b"a/../ab"]
    watched = Selection(paths, (), ()).watch(entries(), SOURCE)
    assert list(watched) == entries()
    assert watched.unknown == {b"b/", b"/home/user/docsa", b"/", b"a/../ab"}


def test_source_is_the_root() -> None:
    """A backup of / takes absolute paths."""
    assert [entry.path for entry in Selection([b"/a/b"], (), ()).of(entries(), b"/")][-1] == b"a/b/one.txt"


def test_line_breaks_are_characters_like_others() -> None:
    """As git has it, patterns see names with a line break in them, and whatever lies below such a directory."""
    tree = entries(
        [(b"", Kind.DIRECTORY), (b"a\nb", Kind.DIRECTORY), (b"a\nb/y.txt", Kind.FILE), (b"c\nd.txt", Kind.FILE)]
    )
    found = {}
    for pattern in ("*.txt", "y.txt", "a?b/", "**/y.txt", "a[!x]b/*.txt", "c\nd.*"):
        found[pattern] = [entry.path for entry in Selection([], [pattern], []).among(tree, SOURCE)]
    assert found == {
        "*.txt": [b"a\nb/y.txt", b"c\nd.txt"],
        "y.txt": [b"a\nb/y.txt"],
        "a?b/": [b"a\nb", b"a\nb/y.txt"],
        "**/y.txt": [b"a\nb/y.txt"],
        "a[!x]b/*.txt": [b"a\nb/y.txt"],
        "c\nd.*": [b"c\nd.txt"],
    }


def test_pattern_that_cannot_be_read() -> None:
    """A malformed pattern is a usage error that names the option."""
    with pytest.raises(UsageError, match="--exclude"):
        Selection([], (), ["a/**b/[", "!"])


names = st.sampled_from([b"a", b"b", b"c.txt", b"d"])
trees = st.lists(st.lists(names, min_size=1, max_size=4).map(b"/".join), unique=True, max_size=12).map(
    lambda paths: sorted({b"", *paths, *(path[:at] for path in paths for at in range(len(path)) if path[at] == 47)})
)
patterns = st.lists(st.sampled_from(["a", "/a", "b/", "*.txt", "!a", "a/*", "**/d", "*"]), max_size=3)


@given(trees, st.lists(names, max_size=2), patterns, patterns)
def test_always(paths: list[bytes], roots: list[bytes], include: list[str], exclude: list[str]) -> None:
    """What is meant comes in order, with every directory above it; excluding more never adds anything."""
    tree = [
        Entry(p, int(Kind.DIRECTORY if any(q.startswith(p + b"/") for q in paths) or not p else Kind.FILE))
        for p in paths
    ]
    found = [entry.path for entry in Selection(roots, include, exclude).of(tree, SOURCE)]
    assert found == [path for path in paths if path in set(found)]
    assert all(path.rpartition(b"/")[0] in found for path in found if path)
    without = {entry.path for entry in Selection(roots, include, []).of(tree, SOURCE)}
    assert set(found) <= without
    assert without <= {entry.path for entry in Selection(roots, [], []).of(tree, SOURCE)}
