"""The command line of change_password.py: two passwords, and the key record wrapped anew."""

from __future__ import annotations

import argparse

from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.partitions import nothing_stored
from azbackup.cli.passwords import is_asked_for, is_written_out, password_of
from azbackup.cli.session import open_vault, utc_now
from azbackup.cli.status import outcome_status
from azbackup.cli.unlock import check_there, pid_warning, unlocked, warn_of_weakness
from azbackup.crypto.secret import Secret
from azbackup.errors import NothingStored, Status
from azbackup.records.key_record import KeyRecord
from azbackup.records.keystore import change_password


def change_password_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """change_password.py: opens the partition with the old password and wraps its data key under the new one."""
    vault = open_vault(args, show)
    new: Secret | None = None

    def change(old: Secret) -> KeyRecord:
        nonlocal new
        if new is None:
            if is_asked_for(args, "--old-password", "AZBACKUP_PASSWORD"):
                vault.keystore.open(old)  # a wrong one is said to be wrong before two more are typed
            new = password_of(args, "--new-password", "AZBACKUP_NEW_PASSWORD", twice=lambda: True)
        return change_password(vault.keystore, old, new, utc_now(), show.damage, args.kdf_memory)

    check_there(args, vault, "--old-password")
    try:
        record = unlocked(args, show, vault, "--old-password", change)
    except NothingStored:
        raise nothing_stored(vault) from None
    written = is_written_out(args, "--new-password", "AZBACKUP_NEW_PASSWORD")
    if new is not None and (warning := pid_warning(new, written=written)):
        show.note(warning)
    if new is not None:
        warn_of_weakness(show, vault, new)
    values = {"partition": vault.partition, "changed": record.changed}
    show.summary(values, f"partition {vault.partition} opens with the new password from now on")
    return outcome_status(show, 0)
