"""The command line of change_password.py: two passwords, and the key record wrapped anew."""

from __future__ import annotations

import argparse

from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.passwords import password_of
from azbackup.cli.session import open_vault, utc_now
from azbackup.cli.status import outcome_status
from azbackup.errors import Status
from azbackup.records.keystore import change_password


def change_password_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """change_password.py: opens the partition with the old password and wraps its data key under the new one."""
    vault = open_vault(args, show)
    vault.unlock(password_of(args, "--old-password", "AZBACKUP_PASSWORD"), accepts=args.accept_key_costs)
    new = password_of(args, "--new-password", "AZBACKUP_NEW_PASSWORD", twice=lambda: True)
    record = change_password(vault.keystore, vault.password, new, utc_now(), show.damage)
    values = {"partition": vault.partition, "changed": record.changed}
    show.summary(values, f"partition {vault.partition} opens with the new password from now on")
    return outcome_status(show, 0)
