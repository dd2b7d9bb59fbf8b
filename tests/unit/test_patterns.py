"""Lists of patterns while a tree is walked: what git excludes is excluded, and nothing else."""

from __future__ import annotations

import os

import pytest

from azbackup.errors import UsageError
from azbackup.records.patterns import Pattern, PatternList


def patterns(*lines: str, folded: bool = False) -> PatternList:
    """A list of the lines."""
    return PatternList(Pattern(line, "a list", folded) for line in lines)


def decides(found: PatternList, path: str) -> str:
    """The text of the pattern that decides about a path, '' for none."""
    name = path.rstrip("/").rpartition("/")[2] + ("/" if path.endswith("/") else "")
    hit = found.last(path, name)
    return hit.text if hit else ""


# As `git check-ignore` has it (2.39), for a path whose parents are not excluded.
@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("*.o", ["a.o", "d/a.o", "a.o/"], ["a.oo", "o"]),
        ("a/", ["a/", "d/a/"], ["a", "d/a", "a/x"]),
        ("/a", ["a", "a/"], ["d/a", "a/x"]),
        ("d/a", ["d/a", "d/a/"], ["x/d/a", "d", "d/a/x"]),
        ("d/**", ["d/a", "d/a/", "d/a/b"], ["d", "d/"]),
        ("d/**/", ["d/a/", "d/a/b/"], ["d/", "d/a"]),
        ("**/a/b", ["a/b", "x/y/a/b"], ["xa/b"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb"]),
        ("*", ["a", "a/", "d/a"], []),
        ("*/", ["a/", "d/a/"], ["a", "d/a"]),
        ("**", ["a", "d/a"], []),
        ("/*", ["a", "a/"], ["d/a"]),
        ("/*/*", ["d/a"], ["a", "d/a/b"]),
        ("a?c", ["abc", "a\nc"], ["a/c", "ac"]),
        ("[ab]*", ["ax", "b"], ["cx"]),
        (r"\#a", ["#a"], ["a"]),
        (r"\!a", ["!a"], ["a"]),
        ("a b ", ["a b"], ["a b "]),
        ("a\\ ", ["a "], ["a"]),
        (os.fsdecode(b"\xff*"), [os.fsdecode(b"\xffa")], ["a"]),
    ],
)
def test_one_pattern(pattern: str, matches: list[str], others: list[str]) -> None:
    """A pattern matches the paths themselves that git excludes by it, not what is below them."""
    found = patterns(pattern)
    assert [path for path in matches if decides(found, path) != pattern] == []
    assert [path for path in others if decides(found, path)] == []


def test_the_last_one_decides() -> None:
    """Of several that match it is the last one, whether it is about names or about paths; `!` brings back."""
    found = patterns("*.o", "!keep.o", "/d/*", "# a comment", "", "!*.txt")
    assert decides(found, "a.o") == "*.o"
    assert decides(found, "keep.o") == "!keep.o"
    assert decides(found, "d/keep.o") == "/d/*"
    assert decides(found, "d/a.txt") == "!*.txt"
    assert decides(found, "d/") == ""
    hit = found.last("keep.o", "keep.o")
    assert hit is not None
    assert hit.brings_back
    assert str(hit) == "!keep.o (a list)"


def test_case() -> None:
    """Only a pattern that is folded matches whatever the case is."""
    mixed = PatternList([Pattern("*.JPG", "--iexclude", folded=True), Pattern("Thumbs", "--exclude")])
    assert decides(mixed, "a.jpg") == "*.JPG"
    assert decides(mixed, "thumbs") == ""


@pytest.mark.parametrize("pattern", ["!", "a\\", "[", "/", "a/[b", "[b-a]"])
def test_what_cannot_be_read(pattern: str) -> None:
    """A pattern that is malformed, or that can match nothing, is a usage error which names its list."""
    with pytest.raises(UsageError, match="a list has a pattern that cannot be read"):
        patterns("a", pattern)


def test_nothing() -> None:
    """A list without patterns is empty, and decides nothing."""
    assert not patterns("", "# only a comment", "   ")
    assert decides(patterns(), "a") == ""
