"""Which options a command line has, before it is known what all of them mean: a profile may add to them. Pure."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def given_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> tuple[set[str], bool]:
    """(the options that a command line has, whether it has an argument that is none)."""
    actions = parser._option_string_actions  # noqa: SLF001  argparse knows which options take a value, and tells nobody
    given: set[str] = set()
    takes_value = positional = False
    for place, word in enumerate(words):
        flag, equals, _ = word.partition("=")
        if takes_value:
            takes_value = False
        elif word == "--":
            return given, positional or place + 1 < len(words)
        elif flag in actions:
            given.update(each.lstrip("-") for each in actions[flag].option_strings)
            takes_value = actions[flag].nargs is None and not equals
        elif not (word.startswith("-") and len(word) > 1):
            positional = True
    return given, positional
