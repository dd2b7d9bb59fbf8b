"""The options of change_password.py: the old password and the new one, and others beside them."""

from __future__ import annotations

import argparse
import re

from azbackup.cli.options.common import Parser, add_kdf_memory, add_password, add_prices, script_parser
from azbackup.errors import UsageError

_EVERY_DAY = {"every day": ("--account", "--accesskey", "--partition", "--old-password", "--new-password", "--profile")}

_EXAMPLES = """examples:
  python change_password.py --account mystorage --accesskey KEY \\
      --old-password OLD --new-password NEW --partition user1

The stored data stays as it is: only the data key is wrapped anew, and older
copies of the key record are kept. Whoever knows the old password and can read
the storage account keeps access (see docs/threat-model.md): to what comes, too,
without --rotate-key.

"""


def change_password_parser() -> Parser:
    """The parser of change_password.py."""
    parser = script_parser("change_password.py", "Change a partition's password. No data is touched.", _EXAMPLES)
    parser.everyday = _EVERY_DAY
    add_password(parser, "--old-password", "AZBACKUP_PASSWORD", "old password")
    add_password(parser, "--new-password", "AZBACKUP_NEW_PASSWORD", "new password")
    _add_several(parser)
    _add_rotation(parser)
    parser.add_argument(
        "--export-key",
        metavar="FILE",
        help="change nothing: write a page that opens the partition together with twelve words, which are printed once",
    )
    parser.add_argument(
        "--recover",
        metavar="FILE",
        help="set a new password by such a page and its words (AZBACKUP_RECOVERY_PHRASE), without the old one; of "
        "several passwords with --add-password or --remove-password",
    )
    parser.add_argument(
        "--shares",
        metavar="KofN",
        type=shares,
        help="with --export-key: instead of twelve words N lines, any K of which open the page (2of3; SLIP-39)",
    )
    add_kdf_memory(parser, "64 (default, or as before) to 4096")
    return parser


def _add_several(parser: Parser) -> None:
    several = parser.add_argument_group("several passwords, each of which opens the partition")
    several.add_argument(
        "--list-passwords",
        action="store_true",
        help="change nothing: list the passwords by name, and when each was set; --old-password is any of them",
    )
    several.add_argument(
        "--add-password",
        metavar="NAME",
        help="make --new-password one more, and call it NAME (the machine's, the person's); --old-password is any of "
        "them, and all stay as they are",
    )
    several.add_argument(
        "--remove-password",
        metavar="NAME",
        help="remove the one of that name; --old-password is any other one. Whoever knew it may know the data key: see "
        "docs/operations.md",
    )


def _add_rotation(parser: Parser) -> None:
    rotation = parser.add_argument_group("a new data key, after a leak")
    rotation.add_argument(
        "--rotate-key",
        action="store_true",
        help="change the password, and make a new data key for what comes: the next backup stores everything anew, "
        "earlier snapshots stay readable; other passwords are dropped. It says what that costs, and asks",
    )
    rotation.add_argument("--yes", action="store_true", help="do not ask: go on with --rotate-key")
    add_prices(rotation)


def tasks(args: argparse.Namespace) -> list[str]:
    """The options that ask for something else than a change. Raises UsageError for what does not go together."""
    given = {
        "--export-key": args.export_key is not None,
        "--recover": args.recover is not None,
        "--list-passwords": args.list_passwords,
        "--add-password": args.add_password is not None,
        "--remove-password": args.remove_password is not None,
        "--rotate-key": args.rotate_key,
    }
    found = [flag for flag, there in given.items() if there]
    if len(found) > 1 and (
        found[0] != "--recover" or len(found) > 2 or {"--list-passwords", "--rotate-key"} & set(found)
    ):
        raise UsageError(f"{found[0]} and {found[1]} do not go together", "give one of them")
    if args.shares is not None and "--export-key" not in found:
        raise UsageError("--shares goes with --export-key only", "change_password.py --export-key FILE --shares 2of3")
    alone = {"--yes": args.yes, "--region": args.region is not None, "--prices": args.prices is not None}
    if not args.rotate_key and (flag := next((flag for flag, there in alone.items() if there), "")):
        raise UsageError(f"{flag} goes with --rotate-key only", "leave it out")
    idle = {"--export-key", "--list-passwords", "--remove-password"} & set(found)
    if args.kdf_memory is not None and idle:
        raise UsageError(f"--kdf-memory does not go with {idle.pop()}", "it is for a password that is set")
    return found


def shares(text: str) -> tuple[int, int]:
    """(needed, all) of a text like 2of3. Raises ArgumentTypeError for another text."""
    found = re.fullmatch(r"([1-9][0-9]?)of([1-9][0-9]?)", text)
    if found is None or not 1 < int(found[1]) <= int(found[2]) <= 16:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like 2of3: two at least are needed, and there are 16 at most"
        )
    return int(found[1]), int(found[2])
