"""Opening a partition with its password: three tries at a prompt, and what a wrong one may come from."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from azbackup.cli.asking import is_attended
from azbackup.cli.new_partition import confirm_new, nothing_stored
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clock_text, write
from azbackup.cli.passwords import is_asked_for, is_written_out, password_of
from azbackup.cli.session import Session, Vault, open_vault, utc_now
from azbackup.crypto.kdf import needs_acceptance
from azbackup.crypto.secret import Secret
from azbackup.errors import NothingStored, WrongPassword
from azbackup.memory import physical_memory

if TYPE_CHECKING:
    from azbackup.records.key_upkeep import Opened

T = TypeVar("T")

_TRIES = 3
_VARIABLE = "AZBACKUP_PASSWORD"
_PID = rb"[0-9]{2,7}"
_MOST = 4_194_304  # Linux's highest process number
_LONG = 4  # digits that are hardly the process number by chance


def unlocked(
    args: argparse.Namespace,
    show: LineProgress,
    vault: Vault,
    flag: str,
    open_key: Callable[[Secret], T],
    *,
    creates: bool = False,
    twice: Callable[[], bool] = lambda: False,
) -> T:
    """What `open_key` makes of the password. On a terminal a wrong one is asked for again, twice at most.

    Raises WrongPassword after that, and whatever open_key raises.
    """
    asked = is_asked_for(args, flag, _VARIABLE)
    for left in reversed(range(_TRIES)):
        password = password_of(args, flag, _VARIABLE, twice=twice)
        memory = args.kdf_memory if creates else None
        vault.unlock(password, creates=creates, accepts=args.accept_key_costs, memory_kib=memory)
        try:
            return open_key(password)
        except WrongPassword as error:
            if not (asked and left):
                written = is_written_out(args, flag, _VARIABLE)
                raise WrongPassword(_message(error), error.hint + _pid_hint(password, written=written)) from None
            show.close()
            write(sys.stderr, f"{show.program}: {_message(error)}; try again\n")
    raise AssertionError("the last try raises")


def _message(error: WrongPassword) -> str:
    """What is wrong with the password, and when it was changed, by the clock here."""
    return error.message + (f"; it was changed on {clock_text(error.changed)}" if error.changed is not None else "")


def key_that_exists(args: argparse.Namespace, show: LineProgress, vault: Vault) -> Opened:
    """The key of a partition that is there. Raises NothingStored, which names those that are there, if it is not."""

    def open_key(password: Secret) -> Opened:
        return vault.keystore.open(password)  # of the keystore as it is by then

    check_there(args, vault, "--password")
    try:
        return unlocked(args, show, vault, "--password", open_key)
    except NothingStored:
        raise nothing_stored(vault) from None


def opened_session(args: argparse.Namespace, show: LineProgress, started: float) -> Session:
    """The session of a command that needs a partition that is there; `started` is of time.monotonic()."""
    vault = open_vault(args, show)
    return Session(args, show, vault, key_that_exists(args, show, vault), started)


def check_there(args: argparse.Namespace, vault: Vault, flag: str) -> None:
    """Raises NothingStored before a password is typed for a partition that is not there."""
    if is_asked_for(args, flag, _VARIABLE) and not vault.keystore.exists():
        raise nothing_stored(vault)


def key_of_backup(
    args: argparse.Namespace, show: LineProgress, vault: Vault, sources: Sequence[bytes]
) -> tuple[Opened, bool]:
    """The key, and whether it was made here: never with --existing, and on a terminal only after a question."""
    attended = is_attended(args)
    if attended:
        show.note(f"{vault.partition} in {vault.place}: {', '.join(map(os.fsdecode, sources))}")
    new = attended and not vault.keystore.exists()
    if new and not args.existing:
        confirm_new(vault, show)
    elif new:
        raise nothing_stored(vault)
    if args.existing:
        return key_that_exists(args, show, vault), False

    def is_new() -> bool:
        return new if attended else not vault.keystore.exists()

    def open_key(password: Secret) -> tuple[Opened, bool]:
        return vault.keystore.open_or_create(password, utc_now())

    key, fresh = unlocked(args, show, vault, "--password", open_key, creates=True, twice=is_new)
    if fresh:
        tell_of_new(show, vault, vault.password, args.kdf_memory, written=is_written_out(args, "--password", _VARIABLE))
    elif args.kdf_memory is not None and args.kdf_memory != _memory_of(key):
        show.note("--kdf-memory is for a new password: change_password.py --kdf-memory changes that of this one")
    return key, fresh


def tell_of_new(show: LineProgress, vault: Vault, new: Secret, memory_kib: int | None, *, written: bool) -> None:
    """Notes what there is to say of a password that was set; `written`: on a command line."""
    if warning := pid_warning(new, written=written):
        show.note(warning)
    warn_of_weakness(show, vault, new)
    if memory_kib is not None:
        tell_of_memory(show, memory_kib)


def _memory_of(key: Opened) -> int:
    """KiB that stretching the password took."""
    from azbackup.records.key_changes import slot_called

    return slot_called(key.record, key.name).wrapped.costs.memory_kib


def tell_of_memory(show: LineProgress, memory_kib: int) -> None:
    """Notes what follows from the memory that stretching a password takes from now on."""
    mib, there = memory_kib // 1024, physical_memory() // 1024 // 1024
    if there and mib > there // 2:
        show.note(f"each run stretches the password with {mib:,} MiB; this machine has {there:,} MiB of memory in all")
    if needs_acceptance(memory_kib):
        show.note(f"each run that opens the partition with this password needs --accept-key-costs ({mib:,} MiB)")


def warn_of_weakness(show: LineProgress, vault: Vault, password: Secret) -> None:
    """A note about a password that was set and is easy to guess."""
    import socket

    from azbackup.cli.strength import weakness  # 40 ms that other runs do without

    words = (vault.partition, vault.connection.account, vault.container, socket.gethostname(), "azbackup")
    if text := weakness(password, words):
        show.note(text)


def _pid_hint(password: Secret, *, written: bool) -> str:
    """More of a hint where the password may have had a `$$` that a shell replaced."""
    if not written or not any(1 < int(digits) <= _MOST for digits in re.findall(_PID, password.reveal())):
        return ""
    return "; it has digits: in double quotes a shell makes another number of each $$, single quotes keep it"


def pid_warning(password: Secret, *, written: bool) -> str:
    """What is wrong with a new password that holds the number of the shell that started this; '' if it does not."""
    shell = str(os.getppid()).encode()
    if not written or len(shell) < _LONG or shell not in password.reveal():
        return ""
    return (
        "the new password holds this shell's process number: if it was written with $$ in double quotes, nobody will "
        "know it tomorrow; change it now (change_password.py), and write it in single quotes"
    )
