"""The parsers of the scripts, each loaded with its options when it is asked for: a run needs one of them."""

from __future__ import annotations

from azbackup.cli.options.common import Parser

SCRIPTS = ("backup", "restore", "change_password")


def parser_of(script: str) -> Parser:
    """The parser of one of SCRIPTS."""
    if script == "backup":
        from azbackup.cli.options.backup import backup_parser

        return backup_parser()
    if script == "restore":
        from azbackup.cli.options.restore import restore_parser

        return restore_parser()
    from azbackup.cli.options.change_password import change_password_parser

    return change_password_parser()
