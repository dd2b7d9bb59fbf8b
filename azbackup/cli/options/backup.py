"""The options of backup.py: which directory is backed up, how, and as which host."""

from __future__ import annotations

import argparse

from azbackup.cli.options.common import (
    Parser,
    add_kdf_memory,
    add_password,
    add_prices,
    add_problems,
    script_parser,
)
from azbackup.cli.options.exclude import add_exclusions
from azbackup.cli.options.limits import add_limits
from azbackup.cli.options.retention import add_retention
from azbackup.cli.options.telling import add_metrics
from azbackup.cli.options.words import add_words
from azbackup.errors import UsageError

_TEN_YEARS = 3653
_EVERY_DAY = {
    "every day": ("--account", "--accesskey", "--partition", "--password"),
    "what, and how": ("--exclude", "--tier", "--dry-run", "--quiet", "--profile"),
}

_EXAMPLES = """examples:
  python backup.py --account mystorage --accesskey KEY --password SECRET \\
      --partition user1 /home/user/documents

  # for cron: nothing secret where every user of the machine can read it
  export AZURE_STORAGE_ACCOUNT=mystorage AZURE_STORAGE_KEY=...
  export AZBACKUP_PASSWORD=...
  python backup.py --partition user1 /home/user/documents

"""


def days(text: str) -> float:
    """A number of days, up to ten years."""
    try:
        value = float(text.removesuffix("d"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= _TEN_YEARS:
        raise argparse.ArgumentTypeError(f"{text}: days are expected, as in 30, up to {_TEN_YEARS}")
    return value


def backup_parser() -> Parser:
    """The parser of backup.py."""
    parser = script_parser(
        "backup.py",
        "Back up directories, encrypted and deduplicated, to Azure's archive tier.",
        _EXAMPLES,
    )
    parser.everyday, parser.places = _EVERY_DAY, "DIRECTORY ..."
    add_password(parser, "--password", "AZBACKUP_PASSWORD", "password")
    _add_tier(parser)
    parser.add_argument(
        "--reread",
        action="store_true",
        help="read every file, whatever the last snapshot says of it (after an intrusion, or for a doubtful disk)",
    )
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="make a snapshot also of a directory that has lost all its files, or of an empty one where a disk was",
    )
    parser.add_argument(
        "--host", metavar="NAME", help="back up as this host: goes on with what it stored (default: this host's name)"
    )
    add_words(parser)
    parser.add_argument(
        "--existing",
        action="store_true",
        help="refuse to make a new partition (10): for cron and timers, where a mistyped one would become a new vault",
    )
    add_kdf_memory(parser, "64 (default) to 4096; of a first backup, and change_password.py changes it")
    add_limits(parser)
    add_exclusions(parser)
    add_prices(parser)
    add_problems(parser)
    add_metrics(parser)
    add_retention(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="store nothing: name what would be stored, what left out, and the price"
    )
    _add_repair(parser)
    program = parser.add_argument_group("from a program instead of a directory")
    program.add_argument(
        "--stdin-name", metavar="NAME", help="back up stdin, as the file NAME of the source /stdin/NAME"
    )
    program.add_argument(
        "--stdin-command",
        metavar="COMMAND",
        help="read this command's output instead of stdin; no snapshot if it fails",
    )
    parser.add_argument(
        "directories", metavar="directory", nargs="*", help="a directory to back up; each is a source of its own"
    )
    return parser


def _add_tier(parser: Parser) -> None:
    parser.add_argument(
        "--tier",
        choices=("archive", "cold", "cool", "hot"),
        default="archive",
        help="access tier of the packs; default archive",
    )
    parser.add_argument(
        "--archive-after",
        metavar="DAYS",
        type=days,
        default=0.0,
        help="let packs rest in Hot (or in --tier cool, cold) so long; a later run that may moves them to the archive "
        "tier; default 0: they are sent there at once",
    )


def rests(args: argparse.Namespace) -> None:
    """With --archive-after packs are sent to Hot, or where --tier says that is online."""
    if args.archive_after and args.tier == "archive":
        args.tier = "hot"


def _add_repair(parser: Parser) -> None:
    mend = parser.add_argument_group("what is damaged")
    mend.add_argument(
        "--repair",
        action="store_true",
        help="verify, say what will be done, and mend it: rows and copies from each other, and what the directories "
        "still have of what is lost; --dry-run only says it",
    )
    mend.add_argument(
        "--settle",
        action="store_true",
        help="with --repair: acknowledge what cannot be mended, so that no run ends with 13 for it any more",
    )


def is_repair(args: argparse.Namespace) -> bool:
    """Whether a repair was asked for. Raises UsageError for what does not go with it, or not without it."""
    if args.settle and not args.repair:
        raise UsageError("--settle goes with --repair only", "backup.py --repair --settle; restore.py --verify looks")
    if args.repair and (args.stdin_name is not None or args.stdin_command is not None):
        raise UsageError("--repair and --stdin-name do not go together", "what a program prints cannot be read again")
    return bool(args.repair)
