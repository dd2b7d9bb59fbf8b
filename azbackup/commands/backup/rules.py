"""What a backup leaves out, as it was asked for, and as a snapshot keeps it: values, nothing that acts. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from azbackup.errors import UsageError
from azbackup.records.patterns import Pattern, PatternList

_NO_PATTERNS = PatternList(())


class Rules(msgspec.Struct, frozen=True):
    """The rules of one run, the same for each of its sources.

    `patterns` are those of the command line, in their order; `preset` those of a list that comes with azbackup, which
    a file .azbackupignore can overrule. `present`: names whose directory is left out. `larger_than`: bytes.
    `lines` is all of it as a snapshot keeps it.
    """

    patterns: PatternList = _NO_PATTERNS
    preset: PatternList = _NO_PATTERNS
    caches: bool = False
    present: tuple[bytes, ...] = ()
    larger_than: int | None = None
    one_file_system: bool = False
    lines: tuple[bytes, ...] = ()


def kept_rules(lines: Sequence[bytes]) -> Rules:
    """The rules that a snapshot keeps. Of lines that this version does not know it makes one that leaves out all."""
    patterns: list[Pattern] = []
    preset: list[Pattern] = []
    values: dict[str, list[str]] = {}
    flag = ""
    for line in map(os.fsdecode, lines):
        if line.startswith("  ") and flag in ("--exclude-from", "--preset"):
            (preset if flag == "--preset" else patterns).append(Pattern(line[2:], flag))
            continue
        flag, _, value = line.partition(" ")
        values.setdefault(flag, []).append(value)
        if flag in ("--exclude", "--iexclude"):
            patterns.append(Pattern(value, flag, folded=flag == "--iexclude"))
    try:
        return _known_rules(patterns, preset, values)
    except (UsageError, ValueError):
        return Rules(patterns=PatternList([Pattern("*", "rules that this version does not know")]))


def _known_rules(patterns: list[Pattern], preset: list[Pattern], values: dict[str, list[str]]) -> Rules:
    """Raises UsageError or ValueError for what is not known."""
    if values.keys() - _KEPT:
        raise ValueError(values)
    sizes = values.get("--exclude-larger-than")
    return Rules(
        patterns=PatternList(patterns),
        preset=PatternList(preset),
        caches="--exclude-caches" in values or "--preset" in values,
        present=tuple(map(os.fsencode, values.get("--exclude-if-present", []))),
        larger_than=int(sizes[-1]) if sizes else None,
        one_file_system="--one-file-system" in values,
    )


_KEPT = {
    *("--exclude", "--iexclude", "--exclude-from", "--preset", "--exclude-caches", "--exclude-if-present"),
    *("--exclude-larger-than", "--one-file-system"),
}
