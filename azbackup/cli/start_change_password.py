"""The command line of change_password.py: which of its tasks is asked for, the change of a password as a rule."""

from __future__ import annotations

import argparse
from typing import NoReturn

from azbackup.cli import change_password
from azbackup.cli.main import run_script
from azbackup.cli.options.change_password import tasks
from azbackup.cli.output.terminal import LineProgress
from azbackup.errors import Status


def change_password_main() -> NoReturn:
    """change_password.py."""
    run_script("change_password", _start)


def _start(args: argparse.Namespace, show: LineProgress) -> Status:
    """What change_password.py was asked for."""
    wanted = tasks(args)
    if "--export-key" in wanted or "--recover" in wanted:
        from azbackup.cli.recovery import export_command, recover_command

        return export_command(args, show) if args.recover is None else recover_command(args, show)
    if "--list-passwords" in wanted:
        return change_password.list_command(args, show)
    if "--remove-password" in wanted:
        return change_password.remove_command(args, show)
    if "--rotate-key" in wanted:
        from azbackup.cli.rotation import rotate_command

        return rotate_command(args, show)
    return change_password.set_command(args, show)
