"""Lists of patterns in gitignore syntax, tried on one path at a time while a tree is walked, as git does it. Pure.

The last pattern of a list that matches decides; `!` brings back. A pattern is asked about a path itself, never about
what is below it: what is below an excluded directory is not met. Library pathspec turns a pattern into a regular
expression; here all of a list become one, so that a path that matches none costs one attempt.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import NamedTuple

from azbackup.errors import UsageError

_LINE_BREAK = "\uf8ff"  # the last character for private use: hardly in a name, and then it matches a line break too
IGNORE_FILE = b".azbackupignore"  # a file of patterns, for the directory that it is in and all below
# How pathspec ends an expression, and what that becomes for a whole path (of a directory: with a slash).
_ENDS = (("(?:(?P<ps_d>/)|$)", "/?"), ("(?P<ps_d>/)", "/"))
_STAR = "[^/]*"
_TOKENS = r"\[\^/\]\*|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|."
_ATOMIC = sys.version_info >= (3, 11)
_MOST_STARS = 3  # before that
_ANYWHERE = "(?:.+/)?"
_GAP = "(?:/.+)?"
_SPECIAL = {".": ".+", "/": ".*/.+", "(?P<ps_d>/)": ".*/"}


class Pattern(NamedTuple):
    """A line of a list, and where it comes from, as in: --exclude, d/.azbackupignore. `folded`: case is ignored."""

    text: str
    origin: str
    folded: bool = False

    @property
    def brings_back(self) -> bool:
        """Whether what matches is kept."""
        return self.text.startswith("!")

    def __str__(self) -> str:
        return f"{self.text} ({self.origin})"


class PatternList:
    """Patterns that are relative to one directory."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        """Blank lines and comments say nothing. Raises UsageError for a pattern that cannot be read."""
        names: list[tuple[int, str]] = []
        paths: list[tuple[int, str]] = []
        self.patterns: list[Pattern] = []
        for pattern in patterns:
            if regex := _expression(pattern):
                each = (len(self.patterns), f"(?i:{regex})" if pattern.folded else f"(?:{regex})")
                (names if _is_name(pattern.text) else paths).append(each)
                self.patterns.append(pattern)
        try:
            self._names = _Alternatives(names)
            self._paths = _Alternatives(paths)
        except (re.error, RecursionError, OverflowError) as error:
            numbers = [number for number, regex in (*names, *paths) if not _compiles(regex)]
            culprit = self.patterns[numbers[0] if numbers else 0]
            raise _unreadable(culprit, error) from None

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def last(self, path: str, name: str) -> Pattern | None:
        """The pattern that decides about a path: the last one that matches; None where none does.

        `path` is relative to the directory of the list, `name` its last component; both end with a slash for a
        directory.
        """
        index = max(self._names.last(name), self._paths.last(path))
        return self.patterns[index] if index >= 0 else None


class _Alternatives:
    """Regular expressions, tried as one."""

    def __init__(self, numbered: list[tuple[int, str]]) -> None:
        latest_first = numbered[::-1]
        self._numbers = [number for number, _ in latest_first]
        self._any = re.compile(_together([regex for _, regex in numbered])).fullmatch if numbered else None
        # A group for each costs three times as much: asked only for what matches.
        self._grouped = "|".join(f"({regex})" for _, regex in latest_first)
        self._which: re.Pattern[str] | None = None

    def last(self, text: str) -> int:
        """The highest number of an expression that matches the whole text, -1 for none."""
        if self._any is None:
            return -1
        if "\n" in text:
            text = one_line(text)
        if self._any(text) is None:
            return -1
        if self._which is None:
            self._which = re.compile(self._grouped)
        found = self._which.fullmatch(text)
        group = found.lastindex if found is not None else None
        assert group is not None, "it matched a moment ago"
        return self._numbers[group - 1]


def one_line(text: str) -> str:
    """A path or pattern whose line breaks a regular expression takes for any other character, as git does."""
    return text.replace("\n", _LINE_BREAK)


def _together(expressions: list[str]) -> str:
    """One expression that matches what any of some matches. Of those that begin anywhere, anywhere is tried once."""
    begins = f"(?:{_ANYWHERE}"
    inner = [each[len(begins) : -1] for each in expressions if each.startswith(begins)]
    others = [each for each in expressions if not each.startswith(begins)]
    return "|".join([*others, *([f"{_ANYWHERE}(?:{'|'.join(inner)})"] if inner else [])])


def _is_name(text: str) -> bool:
    """Whether a pattern has no slash but at its end: it is about names, wherever they are."""
    body = text if text.endswith("\\ ") else text.rstrip()
    return "/" not in body.removeprefix("!").removesuffix("/")


def _expression(pattern: Pattern) -> str:
    """The regular expression for a whole path (or name); '' for a line that says nothing.

    Raises UsageError if it cannot be read.
    """
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # 30 ms that most runs do without

    text = one_line(pattern.text)
    if not text.strip() or text.startswith("#"):
        return ""
    if text.rstrip().endswith("/**/"):
        text = text.rstrip() + "*/"  # pathspec forgets the two stars: the directories in it, not itself
    try:
        regex, _ = GitIgnoreSpecPattern.pattern_to_regex(text)
        if regex is not None and _is_name(text):
            rooted = "!/" + text[1:] if pattern.brings_back else "/" + text
            regex, _ = GitIgnoreSpecPattern.pattern_to_regex(rooted)
        if regex is None:
            raise ValueError("no path can match it")
    except ValueError as error:
        raise _unreadable(pattern, error) from None
    return _whole(regex)


def _unreadable(pattern: Pattern, error: Exception) -> UsageError:
    return UsageError(
        f"{pattern.origin} has a pattern that cannot be read: {pattern.text}: {error}", "see gitignore(5)"
    )


def _compiles(regex: str) -> bool:
    try:
        re.compile(regex)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _whole(regex: str) -> str:
    """An expression of pathspec, which also matches what is below a path, for the path itself."""
    if regex in _SPECIAL:
        return _SPECIAL[regex]
    regex = regex.removeprefix("^")
    for end, exact in _ENDS:
        if regex.endswith(end):
            return _hardened(regex.removesuffix(end)) + exact
    return _hardened(regex) + ".+"  # `directory/**`: everything in it, at any depth, and not itself


def _hardened(regex: str) -> str:
    """The expression, in which no class matches a slash, and a `*` takes the first stretch that fits.

    In a glob that is as good as any later one. Without it `*a*a*a*a*a*b` in an ignore file, which may be anybody's,
    keeps a run busy for years with one long name. Raises ValueError where that cannot be prevented.
    """
    if not _ATOMIC and (regex.count(_STAR) > _MOST_STARS or regex.count(_GAP) > _MOST_STARS):
        raise ValueError(f"more than {_MOST_STARS} stars need Python 3.11")
    parts: list[str] = []
    star = -1  # where the last `*` of this component is
    for token in re.findall(_TOKENS, regex, re.DOTALL):
        if token == _STAR:
            if star >= 0 and _ATOMIC:
                parts[star] = f"(?>{_STAR}?"
                parts.append(")")
            star = len(parts)
        elif token in ("/", "(", ")"):
            star = -1
        is_class = token.startswith("[") and not token.startswith("[^/]")
        parts.append(f"(?!/){token}" if is_class else token)
    return _with_shortest_gaps("".join(parts)) if _ATOMIC else "".join(parts)


def _with_shortest_gaps(regex: str) -> str:
    """The same of `**`: each part is matched at the first place that fits."""
    first, *others = regex.split(_GAP)
    if not others:
        return regex
    if first.startswith(_ANYWHERE):
        first = f"(?>(?:.+?/)??{first.removeprefix(_ANYWHERE)}(?=/))"
    return "".join([first, *(f"(?>(?:/.+?)??{part}(?=/))" for part in others[:-1]), _GAP, others[-1]])
