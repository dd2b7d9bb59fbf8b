"""The options of change_password.py: the old password and the new one."""

from __future__ import annotations

import argparse

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
        "--kdf-memory",
        metavar="MIB",
        type=kdf_memory,
        help="memory that stretching the new password takes, for whoever guesses it, too: 64 (default, or as before) "
        "to 4096; above 256 every run needs --accept-key-costs",
    )
    return parser


def kdf_memory(text: str) -> int:
    """The KiB that a text of MiB means. Raises ArgumentTypeError for another text, or one that is out of bounds."""
    if not (text.isascii() and text.isdigit() and 64 <= int(text[:9]) <= 4096):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of MiB from 64 to 4096")
    return int(text) * 1024
