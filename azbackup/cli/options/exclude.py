"""The options of backup.py that say what is left out, and the rules that they make.

Patterns are kept in the order of the command line, whatever option gives them: the last one that matches decides.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from azbackup.commands.backup.rules import Rules
from azbackup.errors import UsageError
from azbackup.format.labels import PATH_BYTES, RULES
from azbackup.records.patterns import Pattern, PatternList

_PRESETS = Path(__file__).resolve().parent.parent.parent / "presets"
_SIZE = r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?"
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_ROOM_BYTES = 128 * 1024  # of rules in a snapshot, so that it always fits its record


def size(text: str) -> int:
    """The bytes that a text means, as in: 500M, 1.5G, 4 GiB. Raises ArgumentTypeError for another text."""
    found = re.fullmatch(_SIZE, text.strip(), re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: give bytes, or a number with K, M, G or T")
    return int(float(found[1]) * _UNITS[found[2].lower()])


class _InOrder(argparse.Action):
    """Appends a value to its option's list, and (option, value) to the one of all."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Keeps the value with the option's name."""
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), values])
        namespace.exclusions = [*namespace.exclusions, (option_string or "", values)]


def add_exclusions(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what is left out."""
    group = parser.add_argument_group("what to leave out")
    group.set_defaults(exclusions=[])
    for flags, name, text in (
        ("--exclude", "PATTERN", "leave out what matches PATTERN (gitignore syntax, '!...' brings back)"),
        ("--iexclude", "PATTERN", "the same, upper and lower case being alike"),
        ("--exclude-from", "FILE", "leave out what matches a pattern in FILE, one a line"),
        ("--preset", "NAME", "leave out a list that comes with azbackup: home (caches, trash, node_modules ...)"),
        ("--exclude-if-present", "NAME", "leave out each directory that has something called NAME in it"),
    ):
        group.add_argument(flags, metavar=name, action=_InOrder, help=text, default=[])
    group.add_argument("--exclude-caches", action="store_true", help="leave out directories that have a CACHEDIR.TAG")
    group.add_argument("--exclude-larger-than", metavar="SIZE", type=size, help="leave out files larger than SIZE (1G)")
    group.add_argument("--one-file-system", action="store_true", help="do not enter other file systems")


def rules_of(args: argparse.Namespace) -> Rules:
    """The rules that the options make. Raises UsageError for what cannot be read, or can match nothing."""
    given: list[tuple[str, str]] = args.exclusions
    if not given and not (args.exclude_caches or args.one_file_system or args.exclude_larger_than is not None):
        return Rules()
    patterns = [(flag, value, [*_patterns(flag, value)]) for flag, value in given]  # once: a file may be a pipe
    presets = [each for flag, _, each in patterns if flag == "--preset"]
    return Rules(
        patterns=PatternList(pattern for flag, _, each in patterns if flag != "--preset" for pattern in each),
        preset=PatternList(pattern for each in presets for pattern in each),
        caches=args.exclude_caches or bool(presets),
        present=tuple(_name(value) for flag, value in given if flag == "--exclude-if-present"),
        larger_than=args.exclude_larger_than,
        one_file_system=args.one_file_system,
        lines=_fitting([*_lines(args, patterns)]),
    )


def _patterns(flag: str, value: str) -> Iterator[Pattern]:
    """The patterns of one option, none for the options that give no pattern."""
    if flag == "--exclude-from":
        yield from _of_file(Path(value), value, "--exclude-from cannot be read")
    elif flag == "--preset":
        yield from _preset(value)
    elif flag in ("--exclude", "--iexclude"):
        if value.startswith("#") or not value.strip():
            raise UsageError(
                f"{flag} {value}: a pattern that begins with # is a comment, and a blank one matches nothing",
                "write \\# for a name that begins with #",
            )
        yield Pattern(value, flag, folded=flag == "--iexclude")


def _preset(name: str) -> Iterator[Pattern]:
    names = sorted(path.stem for path in _PRESETS.glob("*.txt"))
    if name not in names:
        raise UsageError(f"there is no --preset {name}", f"there is: {', '.join(names)}")
    yield from _of_file(_PRESETS / f"{name}.txt", f"--preset {name}", "the preset cannot be read")


def _of_file(path: Path, origin: str, wrong: str) -> Iterator[Pattern]:
    try:
        text = os.fsdecode(path.read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is no path"
        raise UsageError(f"{wrong}: {path}: {why}", "check the path") from None
    for line in text.removeprefix("\ufeff").split("\n"):
        yield Pattern(line.removesuffix("\r"), origin)


def _name(value: str) -> bytes:
    if "/" in value:
        raise UsageError(f"--exclude-if-present {value}: it is a name, not a path", "give the name alone")
    return os.fsencode(value)


def _lines(args: argparse.Namespace, patterns: list[tuple[str, str, list[Pattern]]]) -> Iterator[bytes]:
    """The rules as a snapshot keeps them: `option value`, the patterns of files being spelled out."""
    for flag, value, found in patterns:
        yield os.fsencode(f"{flag} {value}")
        for pattern in found if flag in ("--exclude-from", "--preset") else ():
            if pattern.text.strip() and not pattern.text.startswith("#"):
                yield os.fsencode(f"  {pattern.text}")
    if args.exclude_caches:
        yield b"--exclude-caches"
    if args.exclude_larger_than is not None:
        yield b"--exclude-larger-than %d" % args.exclude_larger_than
    if args.one_file_system:
        yield b"--one-file-system"


def _fitting(lines: list[bytes]) -> tuple[bytes, ...]:
    """The lines as far as a snapshot has room for them; the last one counts the others."""
    kept: list[bytes] = []
    room = _ROOM_BYTES
    for line in lines:
        room -= len(line) + 8
        if room < 0 or len(line) > PATH_BYTES or len(kept) >= RULES - 1:
            return (*kept, b"# and %d more" % (len(lines) - len(kept)))
        kept.append(line)
    return tuple(kept)
