"""What is wrong with a command line, said as a friend would: the option that was meant, the value that needs an `=`.

Pure. No value of an option stands in what is said: it may be a password.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_NUMBER = re.compile(r"-\d+|-\d*\.\d+")
# Of difflib's likeness: --partiton and --snapshot-list, but not --foo. After one dash there may be a password.
_LIKE, _ALIKE = 0.6, 0.85


class Mistake(NamedTuple):
    """What is wrong, and what to do; '' for the usual hint."""

    message: str
    hint: str = ""


def first_mistake(words: Sequence[str], options: Mapping[str, argparse.Action]) -> Mistake | None:
    """The first option that there is not, or that lacks its value because that begins with a dash.

    `options` are the parser's, by name.
    """
    awaiting = ""  # the option whose value is to come
    for word in words:
        if word == "--":
            return None
        name = word.partition("=")[0]
        if not _is_option(word):
            awaiting = ""
        elif awaiting:
            return Mistake(
                f"{awaiting} has no value: what follows it begins with a dash",
                f"a value that begins with a dash is given as {awaiting}=-...",
            )
        elif name in options:
            awaiting = name if options[name].nargs is None and "=" not in word else ""
        elif word.startswith("--") or word[:2] not in options:
            return _unknown(name, options)
    return None


def _is_option(word: str) -> bool:
    """Whether argparse takes a word for an option, or for the beginning of one."""
    return len(word) > 1 and word.startswith("-") and " " not in word and not _NUMBER.fullmatch(word)


def _unknown(name: str, options: Iterable[str]) -> Mistake:
    from difflib import get_close_matches  # 3 ms that most runs do without

    wanted = "--" + name.lstrip("-").lower().replace("_", "-")
    sure = _LIKE if name.startswith("--") else _ALIKE
    near = get_close_matches(wanted, [each for each in options if each.startswith("--")], 1, sure)
    if near:
        return Mistake(f"there is no option {name}: did you mean {near[0]}?")
    return Mistake(f"there is no option {name if name.startswith('--') else name[:2]}")


# Words that are no options and have no place. They are not named: one may be a part of a password.
TOO_MANY = Mistake("there is a word that belongs to no option", "a value that has blanks has to be in quotes")
NO_PARTITION = Mistake("no partition is given", "give --partition NAME; restore.py --partitions lists those there are")
