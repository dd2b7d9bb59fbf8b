"""The command line of a script: its parser's words, and what a profile adds where one is asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from azbackup.cli.options.common import Parser
from azbackup.cli.options.given import given_options
from azbackup.cli.options.parsers import SCRIPTS, parser_of
from azbackup.cli.output.text import write


def arguments(script: str, words: Sequence[str], environ: Mapping[str, str]) -> argparse.Namespace:
    """What a script was asked to do; `words` are those after its name. SystemExit where that cannot be right."""
    parser = parser_of(script)
    given, _ = given_options(parser, words)
    if "print-completion" in given:
        _print_completion(parser, words)
    if not given & {"profile", "config", "show-config"}:
        return _parsed(parser, words)
    from azbackup.cli.configured import configured

    return _parsed(parser, configured(parser, script, words, environ))


def _print_completion(parser: Parser, words: Sequence[str]) -> NoReturn:
    """Prints what a shell reads to complete the options of all three scripts, and ends."""
    from azbackup.cli.completion import completion_text  # with shtab, which nothing else needs

    parser.relax()
    found = parser.parse_args(words)
    write(sys.stdout, completion_text(found.print_completion, map(parser_of, SCRIPTS)))
    parser.exit(0)


def _parsed(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    found: argparse.Namespace = parser.parse_args(words)
    if found.progress == "json" and not found.json:
        parser.error("--progress json goes with --json")
    return found
