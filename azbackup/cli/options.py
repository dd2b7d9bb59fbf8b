"""The options of the three scripts, their help, which of them exclude each other, and nothing else."""

from __future__ import annotations

import argparse
import math
import os
from typing import Any, NoReturn

from azbackup.cli.output.text import clean
from azbackup.errors import UsageError
from azbackup.filesystem.overwrite import POLICIES
from azbackup.version import VERSION

_STATUSES = """exit status:
  0 done   1 failed   2 usage   3 done, but some files could not be read or restored (each is named)
  10 nothing is stored in that partition   11 another backup of this source is running here
  12 wrong password   13 stored data is damaged or was tampered with
  14 Azure cannot be reached or refuses   75 thawing: run the same command again later   130 interrupted
"""

_BACKUP_EXAMPLES = """examples:
  python backup.py --account mystorage --accesskey KEY --password SECRET --partition user1 /home/user/documents

  # better, for cron: nothing secret on the command line, where every user of the machine can read it
  export AZURE_STORAGE_ACCOUNT=mystorage AZURE_STORAGE_KEY=... AZBACKUP_PASSWORD=...
  python backup.py --partition user1 /home/user/documents

"""

_RESTORE_EXAMPLES = """examples:
  python restore.py --account mystorage --accesskey KEY --password SECRET --partition user1 /home/user/restored
  python restore.py --partition user1 --source /home/user/documents --snapshot 42 /home/user/restored
  python restore.py --partition user1 --plan                         # what would it take, and cost?
  python restore.py --partition user1 --wait /home/user/restored     # stay until everything has thawed
  python restore.py --partition user1 /home/user/restored letters/2024 --exclude '*.tmp'
  python restore.py --partition user1 --snapshots                    # which are there?
  python restore.py --partition user1 --list letters                 # what is in the latest one?
  python restore.py --partition user1 --find 'thesis*.odt'           # which snapshots have it?

"""

_CHANGE_EXAMPLES = """examples:
  python change_password.py --account mystorage --accesskey KEY --old-password OLD --new-password NEW --partition user1
  AZBACKUP_PASSWORD=... AZBACKUP_NEW_PASSWORD=... python change_password.py --partition user1

The stored data stays as it is: only the data key is wrapped anew, and older copies of the key record are kept. Whoever
knows the old password and can read the storage account keeps access (see docs/threat-model.md).

"""


def amount(text: str) -> float:
    """The number that a text means, 0 or more. Raises ArgumentTypeError for another text; argparse names the option."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be 0 or more")
    return value


def _interval(text: str) -> float:
    """The number that a text means, above 0. Raises ArgumentTypeError for another text."""
    value = amount(text)
    if value == 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value


# Empty ones are refused where they are used, with a better hint.
_SAY_SO_THEMSELVES = {
    *("directory", "destination", "paths", "source", "accesskey", "sas_token", "connection_string"),
    *(f"{which}password{more}" for which in ("", "old_", "new_") for more in ("", "_file", "_command")),
}


class _Parser(argparse.ArgumentParser):
    """Takes options between and after the positional arguments too (DESTINATION --wait PATH); errors as everywhere."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The options. SystemExit for a wrong command line."""
        found = self.parse_intermixed_args(args, namespace)
        for name, value in vars(found).items():
            if name not in _SAY_SO_THEMSELVES and (value == "" or (isinstance(value, list) and "" in value)):
                self.error(f"--{name.replace('_', '-')} is an empty string: was a variable not set?")
        return found

    def error(self, message: str) -> NoReturn:
        """One line and a hint; ends the process with status 2."""
        self.exit(2, f"{self.prog}: {clean(message)}\nhint: see {self.prog} --help\n")


def _parser(program: str, description: str, examples: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        description=description,
        epilog=examples + _STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"azbackup {VERSION}")
    where = parser.add_argument_group("where the backup is stored")
    where.add_argument(
        "--account",
        metavar="NAME",
        help="storage account (AZURE_STORAGE_ACCOUNT); devstoreaccount1 is Azurite",
    )
    where.add_argument("--accesskey", metavar="KEY", help="account key (AZURE_STORAGE_KEY)")
    where.add_argument("--sas-token", metavar="TOKEN", help="shared access signature (AZURE_STORAGE_SAS_TOKEN)")
    where.add_argument(
        "--connection-string",
        metavar="STRING",
        help="account, key and endpoints in one (AZURE_STORAGE_CONNECTION_STRING)",
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
    network = parser.add_argument_group("network")
    for way in ("upload", "download"):
        network.add_argument(
            f"--limit-{way}", metavar="KIB", type=float, default=0.0, help=f"{way} at most KIB KiB a second"
        )
    network.add_argument(
        "--wait-for-network",
        metavar="MINUTES",
        type=float,
        help="wait so long for a network that is away or not there yet (default: 3 without a terminal, 0 on one)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print one JSON object per line on stdout")
    output.add_argument("--quiet", action="store_true", help="print problems and errors only")
    output.add_argument(
        "-v", "--verbose", action="count", default=0, help="-v: more; -vv: also a traceback for every error"
    )
    return parser


def _password(parser: argparse.ArgumentParser, flag: str, variable: str, what: str) -> None:
    group = parser.add_argument_group(what)
    group.add_argument(flag, metavar="SECRET", help=f"the {what} ({variable}); every user of this machine can see it")
    group.add_argument(
        f"{flag}-file", metavar="FILE", help="file whose first line is the password; refused if other users can read it"
    )
    group.add_argument(f"{flag}-command", metavar="COMMAND", help="command whose first line of output is the password")


def _prices(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--prices", metavar="FILE", help="file with your own prices; begin with a copy of azbackup/prices.json"
    )


def backup_parser() -> argparse.ArgumentParser:
    """The parser of backup.py."""
    parser = _parser(
        "backup.py",
        "Back up a directory, encrypted and deduplicated, to Azure's archive tier.",
        _BACKUP_EXAMPLES,
    )
    _password(parser, "--password", "AZBACKUP_PASSWORD", "password")
    parser.add_argument(
        "--tier",
        choices=("archive", "cold", "cool", "hot"),
        default="archive",
        help="access tier of the packs; default archive",
    )
    parser.add_argument(
        "--reread",
        action="store_true",
        help="read every file, whatever the last snapshot says of it (after an intrusion, or for a doubtful disk)",
    )
    parser.add_argument(
        "--host", metavar="NAME", help="back up as this host: goes on with what it stored (default: this host's name)"
    )
    _prices(parser)
    parser.add_argument("directory", help="the directory to back up")
    return parser


def _looking(parser: argparse.ArgumentParser) -> None:
    looking = parser.add_argument_group("listing, without restoring or thawing anything").add_mutually_exclusive_group()
    looking.add_argument("--snapshots", action="store_true", help="list all snapshots, oldest first")
    looking.add_argument(
        "--list",
        action="store_true",
        help="list the contents of the snapshot; every positional argument is then a path",
    )
    looking.add_argument(
        "--find",
        metavar="PATTERN",
        action="append",
        default=[],
        help="list the versions of files that match PATTERN (gitignore syntax), and the snapshots that contain each "
        "version",
    )


def restore_parser() -> argparse.ArgumentParser:
    """The parser of restore.py."""
    parser = _parser(
        "restore.py",
        "Restore the latest snapshot, thawing archived packs on the way.",
        _RESTORE_EXAMPLES,
    )
    _password(parser, "--password", "AZBACKUP_PASSWORD", "password")
    parser.add_argument(
        "destination", nargs="?", help="the directory to restore into; not needed with --plan and --discard-thawed"
    )
    parser.add_argument(
        "paths", nargs="*", metavar="path", help="restore only these paths, relative to the source or absolute"
    )
    _looking(parser)
    what = parser.add_argument_group("which files are restored")
    what.add_argument("--source", metavar="DIR", help="the directory that was backed up, if the partition has several")
    what.add_argument("--host", metavar="NAME", help="the host that it was backed up on, if there are several")
    what.add_argument(
        "--all", action="store_true", help="restore the latest snapshot of every source, each below its own path"
    )
    what.add_argument(
        "--snapshot", metavar="N", type=int, help="number of the snapshot to restore, instead of the latest"
    )
    what.add_argument(
        "--include",
        metavar="PATTERN",
        action="append",
        default=[],
        help="restore only paths that match (gitignore syntax)",
    )
    what.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out paths that match (gitignore syntax)",
    )
    what.add_argument(
        "--overwrite",
        choices=POLICIES,
        help="what to do with files that exist and differ from the snapshot. Without this option none is replaced: "
        "they are named, and nothing is restored",
    )
    what.add_argument(
        "--delete",
        action="store_true",
        help="remove what the restored part of the destination has and the snapshot has not, and what is in the way of "
        "a file or directory of another kind; --dry-run names it",
    )
    what.add_argument(
        "--no-special-modes",
        action="store_true",
        help="leave out what grants privileges: setuid and setgid, devices, attributes of security and trusted",
    )
    what.add_argument(
        "--check-existing",
        action="store_true",
        help="also compare the contents of files that have the right size and time",
    )
    plan = parser.add_argument_group("plan and price")
    plan.add_argument(
        "--plan",
        action="store_true",
        help="restore nothing: show the packs, bytes, hours, requests and money that it takes",
    )
    plan.add_argument(
        "--dry-run",
        action="store_true",
        help="restore nothing: list the files that would be restored, and show the plan",
    )
    plan.add_argument(
        "--max-cost",
        metavar="AMOUNT",
        type=amount,
        help="stop before anything is spent if the restore would cost more than AMOUNT",
    )
    _prices(plan)
    thaw = parser.add_argument_group("thawing archived packs")
    thaw.add_argument(
        "--priority",
        choices=("standard", "high", "mixed"),
        default="standard",
        help="standard: up to 15 hours; high: under one for the first 10 GiB, and costs more; mixed: high within the "
        "hour's budget, the rest standard; default standard",
    )
    thaw.add_argument(
        "--high-budget",
        metavar="GIB",
        type=amount,
        default=10.0,
        help="most GiB to thaw at high priority, for each hour and account; default 10",
    )
    thaw.add_argument(
        "--thaw",
        choices=("copy", "in-place"),
        default="copy",
        help="copy (default) leaves the archived packs as they are; in-place is for credentials that cannot copy, and "
        "pays the early-deletion fee",
    )
    thaw.add_argument(
        "--wait", action="store_true", help="stay and go on while packs thaw, instead of ending with status 75"
    )
    thaw.add_argument(
        "--poll-interval",
        metavar="SECONDS",
        type=_interval,
        help="with --wait: seconds between two checks; default 30 s, growing to 15 min",
    )
    thaw.add_argument(
        "--discard-thawed", action="store_true", help="remove all thawed copies of the partition, and restore nothing"
    )
    thaw.add_argument(
        "--force", action="store_true", help="with --discard-thawed: even if restores wait for the copies"
    )
    return parser


def change_password_parser() -> argparse.ArgumentParser:
    """The parser of change_password.py."""
    parser = _parser("change_password.py", "Change a partition's password. No data is touched.", _CHANGE_EXAMPLES)
    _password(parser, "--old-password", "AZBACKUP_PASSWORD", "old password")
    _password(parser, "--new-password", "AZBACKUP_NEW_PASSWORD", "new password")
    return parser


_OF_RESTORING = (
    *("--overwrite", "--delete", "--no-special-modes", "--check-existing", "--plan", "--dry-run", "--max-cost"),
    *("--wait", "--poll-interval", "--discard-thawed", "--force", "--all"),
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


def looks(args: argparse.Namespace) -> str:
    """The option of restore.py that only looks, '' when it is to restore.

    Raises UsageError for what does not go with it.
    """
    given = {"--snapshots": args.snapshots, "--list": args.list, "--find": args.find}
    look = next((flag for flag, value in given.items() if value), "")
    if not look:
        if args.destination is None and not (args.plan or args.discard_thawed):
            raise UsageError("no destination is given", "give the directory to restore into, or --plan")
        return ""
    for flag in _OF_RESTORING:
        value = getattr(args, flag[2:].replace("-", "_"))
        if value is not None and value is not False:  # 0 is a --max-cost
            raise UsageError(f"{look} and {flag} do not go together", f"{look} restores nothing: leave {flag} out")
    if look == "--list":
        return look
    if args.destination is not None:
        raise UsageError(
            f"{look} takes no destination and no paths: {args.destination}", "--list PATH lists what is below a path"
        )
    if args.include or args.exclude:
        hint = "give --find several times; a pattern that begins with ! takes away" if args.find else "use --list"
        raise UsageError(f"--include and --exclude do not go with {look}", hint)
    return look
