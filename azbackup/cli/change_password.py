"""The command line of change_password.py: a password changed, added or removed, and all of them listed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TypeVar

from azbackup.cli.new_partition import nothing_stored
from azbackup.cli.output.results import Results
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clock_text, count_text
from azbackup.cli.passwords import is_asked_for, is_written_out, password_of
from azbackup.cli.session import Vault, open_vault, utc_now
from azbackup.cli.status import outcome_status
from azbackup.cli.unlock import check_there, tell_of_new, unlocked
from azbackup.crypto.secret import Secret
from azbackup.errors import NothingStored, Status
from azbackup.records.key_changes import (
    Circumstances,
    add_password,
    change_password,
    check_free,
    check_name,
    remove_password,
)
from azbackup.records.key_record import KeyRecord
from azbackup.records.key_upkeep import Opened

T = TypeVar("T")

OLD, OLD_VARIABLE = "--old-password", "AZBACKUP_PASSWORD"
NEW, NEW_VARIABLE = "--new-password", "AZBACKUP_NEW_PASSWORD"


def set_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """Changes a password, or with --add-password adds one: the data key is wrapped under the new one."""
    vault = open_vault(args, show)
    name: str | None = args.add_password
    new: Secret | None = None

    def rewrite(old: Secret) -> KeyRecord:
        nonlocal new
        if new is None:
            if is_asked_for(args, OLD, OLD_VARIABLE):
                opened = vault.keystore.open(old)  # a wrong one is said to be wrong before two more are typed
                if name is not None:
                    check_free(opened.record, name)
            new = password_of(args, NEW, NEW_VARIABLE, twice=lambda: True)
        around = circumstances(args, show, vault)
        if name is not None:
            return add_password(vault.keystore, old, name, new, around)
        return change_password(vault.keystore, old, new, around)

    if name is not None:
        check_name(name)
    record = opened_by(args, show, vault, rewrite)
    if new is not None:
        tell_of_new(show, vault, new, args.kdf_memory, written=is_written_out(args, NEW, NEW_VARIABLE))
    return summary(show, vault, record, set_text(record, name))


def remove_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """Removes a password, by another one."""
    vault = open_vault(args, show)
    check_name(args.remove_password)

    def remove(by: Secret) -> KeyRecord:
        return remove_password(vault.keystore, by, args.remove_password, circumstances(args, show, vault))

    record = opened_by(args, show, vault, remove)
    return summary(show, vault, record, removed_text(args.remove_password))


def list_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """Lists the passwords on stdout."""
    vault = open_vault(args, show)

    def open_key(password: Secret) -> Opened:
        return vault.keystore.open(password)

    opened = opened_by(args, show, vault, open_key)
    if opened.damage:
        show.damage(opened.damage)
    if not vault.keystore.is_copied(opened):
        show.damage("no copy of the key record in force is left: backup.py --repair writes one")
    show.close()
    results = Results(sys.stdout)
    width = max(len(slot.name) for slot in opened.record.slots)
    for slot in opened.record.slots:
        mib, is_this = slot.wrapped.costs.memory_kib // 1024, slot.name == opened.name
        if show.json:
            results.event("password", name=slot.name, set=slot.made or None, memory_mib=mib, given=is_this)
        else:
            day = clock_text(slot.made) if slot.made else "at no known time"
            results.add(f"{slot.name:{width}}  set {day}  {mib:,} MiB{'  (the one that was given)' if is_this else ''}")
    results.flush()
    if show.json:
        show.summary({"partition": vault.partition, "passwords": len(opened.record.slots)})
    return outcome_status(show, 0)


def opened_by(args: argparse.Namespace, show: LineProgress, vault: Vault, action: Callable[[Secret], T]) -> T:
    """What an action makes of the old password. Raises NothingStored, which names the partitions that there are."""
    check_there(args, vault, OLD)
    try:
        return unlocked(args, show, vault, OLD, action)
    except NothingStored:
        raise nothing_stored(vault) from None


def circumstances(args: argparse.Namespace, show: LineProgress, vault: Vault) -> Circumstances:
    """What a change needs beside passwords."""
    return Circumstances(vault.partition, utc_now(), args.kdf_memory, show.damage)


def set_text(record: KeyRecord, name: str | None) -> str:
    """What is true once a password was changed, or added as `name`."""
    if name is not None:
        return f"opens with the new password, called {name}, from now on, and with the others as before"
    others = f"; {count_text(len(record.slots) - 1, 'other password')} as before" if len(record.slots) > 1 else ""
    return f"opens with the new password from now on{others}"


def removed_text(name: str) -> str:
    """What is true once a password was removed."""
    return f"opens with the password {name} no more; whoever knew it may have kept the data key"


def summary(show: LineProgress, vault: Vault, record: KeyRecord, words: str) -> Status:
    """The end of a change."""
    names = [slot.name for slot in record.slots]
    values = {"partition": vault.partition, "changed": record.changed, "passwords": names}
    show.summary(values, f"partition {vault.partition} {words}")
    return outcome_status(show, 0)
