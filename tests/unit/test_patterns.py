"""Lists of patterns while a tree is walked: what git excludes is excluded, and nothing else."""

from __future__ import annotations

import os
import sys
import time

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
        ("x[!a]", ["xb", "xb/"], ["x/", "xa", "x"]),
        ("d/x[+-9]y", ["d/x.y"], ["d/x/y"]),
        ("*a*.tar", ["ba.tar", "a.a.tar", "aa.tar"], ["b.tar"]),
        ("**/a*b/**/c", ["axb/c", "x/ab/ab/x/c", "ab/d/c"], ["axb", "a/b/c"]),
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


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*a*b", "*[!b]*[!b]*[!b]*[!b]*b", "**/a/**/a/**/a/**/a/**/a/**/b"])
def test_many_stars(pattern: str) -> None:
    """Any user's ignore file may be met: no pattern takes long, whatever the name is; or it is refused."""
    started = time.process_time()
    if sys.version_info >= (3, 11):
        assert decides(patterns(pattern), "a/" * 1000 + "a" * 250) == ""
    else:
        with pytest.raises(UsageError, match="stars need Python"):
            patterns(pattern)
    assert time.process_time() - started < 1
