"""What a backup leaves out, as it was asked for: values, nothing that acts."""

from __future__ import annotations

from dataclasses import dataclass

from azbackup.records.patterns import PatternList

_NO_PATTERNS = PatternList(())


@dataclass(frozen=True)
class Rules:
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
