"""What the parsers of the three scripts share: how options are read, and those that all have."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from azbackup.cli.options.help import STATUSES, LongHelp, short_help
from azbackup.cli.options.mistakes import NO_PARTITION, TOO_MANY, Mistake, first_mistake
from azbackup.cli.options.pace import pace
from azbackup.cli.options.telling import add_telling
from azbackup.cli.output.text import clean
from azbackup.errors import UsageError
from azbackup.version import VERSION


def amount(text: str) -> float:
    """The number that a text means, 0 or more. Raises ArgumentTypeError for another text; argparse names the option."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be 0 or more")
    return value


def count(text: str) -> int:
    """The whole number above 0 that a text means. Raises ArgumentTypeError for another text."""
    if not (text.isascii() and text.isdigit() and int(text[:9])):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text[:9])


def interval(text: str) -> float:
    """The number that a text means, above 0. Raises ArgumentTypeError for another text."""
    value = amount(text)
    if value == 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value


_SECONDS = {"min": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def age(text: str) -> float:
    """The seconds that a text like 26h means. Raises ArgumentTypeError for another text."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(min|h|d|w)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age: give a number with min, h, d or w, like 26h")
    return float(found[1]) * _SECONDS[found[2]]


def duration(text: str) -> float:
    """The seconds that a text like 10m means. Raises ArgumentTypeError for another text."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|min|h|d)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: give a number with s, m, h or d, like 10m")
    return float(found[1]) * {"s": 1.0, "m": 60.0, **_SECONDS}[found[2]]


# Empty ones are refused where they are used, with a better hint.
_SAY_SO_THEMSELVES = {
    *("directories", "destination", "paths", "source", "accesskey", "sas_token", "connection_string"),
    *(f"{which}password{more}" for which in ("", "old_", "new_") for more in ("", "_file", "_command")),
}


class Parser(argparse.ArgumentParser):
    """Takes options between and after the positional arguments too (DESTINATION --wait PATH); errors as everywhere."""

    refuses: Callable[[Mistake], Exception] | None = None
    everyday: Mapping[str, Sequence[str]] = MappingProxyType({})
    places = ""  # the arguments that are no options, as usage shows them

    def format_help(self) -> str:
        """What --help prints."""
        return short_help(self, self.everyday, self.places)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The options. SystemExit for a wrong command line."""
        words = sys.argv[1:] if args is None else list(args)
        if mistake := first_mistake(words, self._option_string_actions):
            self.refuse(mistake)
        found, extra = self.parse_known_intermixed_args(words, namespace)
        if extra:
            self.refuse(TOO_MANY)
        for name, value in vars(found).items():
            if name not in _SAY_SO_THEMSELVES and (value == "" or (isinstance(value, list) and "" in value)):
                self.error(f"--{name.replace('_', '-')} is an empty string: was a variable not set?")
        return found

    def relax(self) -> None:
        """Lets everything be left out: for looking at a part of what was given."""
        for action in self._actions:
            action.required = False
            if not action.option_strings:
                action.nargs = "*"

    def not_required(self, name: str) -> None:
        """Lets an option be left out; whoever uses it says so where it is needed after all."""
        for action in self._actions:
            if action.dest == name:
                action.required = False

    def refuse(self, mistake: Mistake) -> NoReturn:
        """One line and a hint; ends the process with status 2, or raises what `refuses` makes of it."""
        if self.refuses is not None:
            raise self.refuses(mistake)
        hint = mistake.hint or f"see {self.prog} --help"
        self.exit(2, f"{self.prog}: {clean(mistake.message)}\nhint: {clean(hint)}\n")

    def error(self, message: str) -> NoReturn:
        """The same for what argparse finds wrong."""
        if message == "the following arguments are required: --partition":
            self.refuse(NO_PARTITION)
        self.refuse(Mistake(message))


def script_parser(program: str, description: str, examples: str) -> Parser:
    """The parser of a script, with the options that all three have."""
    parser = Parser(
        prog=program,
        description=description,
        epilog=examples + STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--help-all", action=LongHelp, nargs=0, help="show every option, and end")
    parser.add_argument("--version", action="version", version=f"azbackup {VERSION}", help="show the version, and end")
    parser.add_argument(
        "--print-completion",
        metavar="SHELL",
        choices=("bash", "zsh"),
        help="print what bash or zsh reads to complete the options of all three scripts, and end (docs/operations.md)",
    )
    _add_where(parser)
    _add_profiles(parser)
    _add_network(parser)
    _add_output(parser)
    add_telling(parser)
    return parser


def _add_where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("where the backup is stored")
    where.add_argument(
        "--account",
        metavar="NAME",
        help="storage account (AZURE_STORAGE_ACCOUNT); devstoreaccount1 is Azurite",
    )
    for flag, metavar, what in (
        ("--accesskey", "KEY", "account key (AZURE_STORAGE_KEY)"),
        ("--sas-token", "TOKEN", "shared access signature (AZURE_STORAGE_SAS_TOKEN)"),
        ("--connection-string", "STRING", "account, key and endpoints in one (AZURE_STORAGE_CONNECTION_STRING)"),
    ):
        where.add_argument(flag, metavar=metavar, help=f"{what}; each also as {flag}-file and {flag}-command")
        where.add_argument(f"{flag}-file", metavar="FILE", help=argparse.SUPPRESS)
        where.add_argument(f"{flag}-command", metavar="COMMAND", help=argparse.SUPPRESS)
    where.add_argument(
        "--auth-mode",
        choices=("key", "login"),
        help="login: no key, but whoever this machine is logged in as (az login, a managed or workload identity) "
        "(AZURE_STORAGE_AUTH_MODE)",
    )
    where.add_argument("--endpoint-suffix", metavar="SUFFIX", help="for sovereign clouds; default core.windows.net")
    where.add_argument("--container", metavar="NAME", default="azbackup", help="blob container; default azbackup")
    where.add_argument("--table", metavar="NAME", default="azbackup", help="table; default azbackup")
    where.add_argument("--partition", metavar="NAME", required=True, help="the user's or machine's vault")
    where.add_argument(
        "--accept-key-costs",
        action="store_true",
        help="open a key record that asks for far more memory and time than one of today",
    )


def _add_profiles(parser: argparse.ArgumentParser) -> None:
    profiles = parser.add_argument_group("options kept in a file")
    profiles.add_argument("--profile", metavar="NAME", help="take what is not given here from this profile")
    profiles.add_argument(
        "--config", metavar="FILE", help="file of profiles; default ~/.config/azbackup/config.toml (docs/operations.md)"
    )
    profiles.add_argument(
        "--show-config", action="store_true", help="print what holds and where each value comes from, and do nothing"
    )


def _add_network(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("network")
    for way in ("upload", "download"):
        network.add_argument(
            f"--limit-{way}",
            metavar="KIB",
            type=pace,
            default="0",
            help=f"{way} at most KIB KiB a second; KIB@08:00-20:00 in these hours",
        )
    network.add_argument(
        "--connections",
        metavar="N",
        type=int,
        default=0,
        help="send and fetch a large body over N connections at once (default 0: several where that is faster)",
    )
    network.add_argument(
        "--wait-for-network",
        metavar="MINUTES",
        type=float,
        help="wait so long for a network that is away or not there yet (default: 3 without a terminal, 0 on one)",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print one JSON object per line on stdout")
    output.add_argument(
        "--progress",
        choices=("auto", "lines", "json", "none"),
        default="auto",
        help="auto (default): drawn on a terminal, with -v lines elsewhere; lines: one now and then; json: an event "
        "a second (with --json)",
    )
    output.add_argument("--quiet", action="store_true", help="print problems and errors only")
    output.add_argument(
        "-v", "--verbose", action="count", default=0, help="-v: more; -vv: also a traceback for every error"
    )


def add_password(parser: argparse.ArgumentParser, flag: str, variable: str, what: str) -> None:
    """Adds a password's three options: itself, a file, a command."""
    group = parser.add_argument_group(what)
    group.add_argument(flag, metavar="SECRET", help=f"the {what} ({variable}); every user of this machine can see it")
    group.add_argument(
        f"{flag}-file", metavar="FILE", help="file whose first line is the password; refused if other users can read it"
    )
    group.add_argument(f"{flag}-command", metavar="COMMAND", help="command whose first line of output is the password")


def add_problems(parser: argparse.ArgumentParser) -> None:
    """Adds --problems."""
    parser.add_argument(
        "--problems",
        metavar="FILE",
        help="write each path that cannot be read or restored to FILE, a new one or an earlier file of this option; "
        "without it, and without -v, the first few of each kind are named and the others counted",
    )


def add_prices(group: argparse._ActionsContainer) -> None:
    """Adds --region and --prices."""
    group.add_argument(
        "--region", metavar="NAME", help="the account's region, for its prices (westeurope); default eastus"
    )
    group.add_argument(
        "--prices", metavar="FILE", help="file with your own prices; begin with a copy of azbackup/prices.json"
    )


def absolute_path(path: str, what: str) -> bytes:
    """A path as an absolute one, as bytes.

    Raises UsageError for an empty one: an unset variable, not the directory here.
    """
    if not path:
        raise UsageError(
            f"the {what} argument is an empty string", "give the path of a directory ('.' for the current one)"
        )
    try:
        return b"/" + os.path.abspath(os.fsencode(path)).lstrip(b"/")
    except FileNotFoundError:
        raise UsageError(
            f"the {what} {path} is relative to the current directory, which was removed",
            "change to a directory that is there, or give an absolute path",
        ) from None


def add_kdf_memory(parser: Parser, amounts: str) -> None:
    """Adds how much memory stretching a new password takes."""
    parser.add_argument(
        "--kdf-memory",
        metavar="MIB",
        type=kdf_memory,
        help=f"memory that stretching the new password takes, for whoever guesses it, too: {amounts}; above 256 every "
        "run needs --accept-key-costs",
    )


def kdf_memory(text: str) -> int:
    """The KiB that a text of MiB means. Raises ArgumentTypeError for another text, or one that is out of bounds."""
    if not (text.isascii() and text.isdigit() and 64 <= int(text[:9]) <= 4096):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of MiB from 64 to 4096")
    return int(text) * 1024
