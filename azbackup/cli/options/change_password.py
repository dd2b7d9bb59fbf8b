"""The options of change_password.py: the old password and the new one."""

from __future__ import annotations

import argparse
import re

from azbackup.cli.options.common import Parser, add_password, script_parser

_EVERY_DAY = {"every day": ("--account", "--accesskey", "--partition", "--old-password", "--new-password", "--profile")}

_EXAMPLES = """examples:
  python change_password.py --account mystorage --accesskey KEY \\
      --old-password OLD --new-password NEW --partition user1

The stored data stays as it is: only the data key is wrapped anew, and older
copies of the key record are kept. Whoever knows the old password and can read
the storage account keeps access (see docs/threat-model.md).

"""


def change_password_parser() -> Parser:
    """The parser of change_password.py."""
    parser = script_parser("change_password.py", "Change a partition's password. No data is touched.", _EXAMPLES)
    parser.everyday = _EVERY_DAY
    add_password(parser, "--old-password", "AZBACKUP_PASSWORD", "old password")
    add_password(parser, "--new-password", "AZBACKUP_NEW_PASSWORD", "new password")
    recovery = parser.add_mutually_exclusive_group()
    recovery.add_argument(
        "--export-key",
        metavar="FILE",
        help="change nothing: write a page that opens the partition together with twelve words, which are printed once",
    )
    recovery.add_argument(
        "--recover",
        metavar="FILE",
        help="set a new password by such a page and its words (AZBACKUP_RECOVERY_PHRASE), without the old one",
    )
    parser.add_argument(
        "--shares",
        metavar="KofN",
        type=shares,
        help="with --export-key: instead of twelve words N lines, any K of which open the page (2of3; SLIP-39)",
    )
    parser.add_argument(
        "--kdf-memory",
        metavar="MIB",
        type=kdf_memory,
        help="memory that stretching the new password takes, for whoever guesses it, too: 64 (default, or as before) "
        "to 4096; above 256 every run needs --accept-key-costs",
    )
    return parser


def shares(text: str) -> tuple[int, int]:
    """(needed, all) of a text like 2of3. Raises ArgumentTypeError for another text."""
    found = re.fullmatch(r"([1-9][0-9]?)of([1-9][0-9]?)", text)
    if found is None or not 1 < int(found[1]) <= int(found[2]) <= 16:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like 2of3: two at least are needed, and there are 16 at most"
        )
    return int(found[1]), int(found[2])


def kdf_memory(text: str) -> int:
    """The KiB that a text of MiB means. Raises ArgumentTypeError for another text, or one that is out of bounds."""
    if not (text.isascii() and text.isdigit() and 64 <= int(text[:9]) <= 4096):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of MiB from 64 to 4096")
    return int(text) * 1024
