"""--help on one screen of 80 columns, with what is used every day; --help-all has every option."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = 80
_FLAG_COLUMNS = 24

STATUSES = """exit status (docs/operations.md says what to do about each):
   0  done                             11  another backup of this is running
   1  failed                           12  wrong password
   2  usage                            13  stored data is damaged, or altered
   3  done, but for files named        14  Azure cannot be reached, or refuses
  10  nothing is stored there          15  a backup is older than --max-age
 130  interrupted                      75  not finished: run it again later
"""


class LongHelp(argparse.Action):
    """Prints every option, and ends the process."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Prints it."""
        parser._print_message(argparse.ArgumentParser.format_help(parser), sys.stdout)  # noqa: SLF001
        parser.exit()


def short_help(parser: argparse.ArgumentParser, everyday: Mapping[str, Sequence[str]], places: str) -> str:
    """The help of one screen: `everyday` are the options that it has, by heading, `places` what follows them."""
    formatter = argparse.RawDescriptionHelpFormatter(parser.prog, max_help_position=_FLAG_COLUMNS, width=_COLUMNS)
    actions = parser._option_string_actions  # noqa: SLF001
    arguments = [each for each in parser._actions if not each.option_strings]  # noqa: SLF001
    formatter.add_text(parser.description)
    for heading, flags in everyday.items():
        formatter.start_section(heading)
        formatter.add_arguments([*arguments, *(actions[flag] for flag in flags)])
        formatter.end_section()
        arguments = []
    formatter.add_text(parser.epilog)
    head = f"usage: {parser.prog} [option ...] {places}".rstrip()
    return f"{head}\n\n{formatter.format_help()}\nAll options: {parser.prog} --help-all\n"
