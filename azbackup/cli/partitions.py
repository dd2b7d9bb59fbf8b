"""The command line of restore.py --partitions, and what is said where a partition is not there, or new.

Partition names are plain, so all of this needs no password: a mistyped name is answered with those that there are.
"""

from __future__ import annotations

import argparse
import sys
import time

from azbackup.cli.asking import agrees
from azbackup.cli.output.partition_table import is_too_old, partition_lines, partition_values
from azbackup.cli.output.results import Results
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clean, count_text, write
from azbackup.cli.session import Vault, open_vault
from azbackup.cli.status import print_error
from azbackup.commands.browse.partitions import PartitionState, survey
from azbackup.errors import NothingStored, Status, Unavailable

_NAMED = 10


def partitions_command(args: argparse.Namespace, show: LineProgress) -> Status:
    """Lists the partitions; with --max-age, TOO_OLD if the newest backup of one is older. Raises NothingStored."""
    started = time.monotonic()
    vault = open_vault(args, show)
    states = survey(vault.partitions, args.partition)
    if not states:
        raise nothing_found(args, vault)
    now = time.time()
    old = [state for state in states if is_too_old(state, now, args.max_age)]
    _show(states if not args.quiet or args.max_age is None else old, now, args.max_age, show)
    figures = {"requests": vault.account.requests.total(), "seconds": round(time.monotonic() - started, 3)}
    show.summary({"results": len(states), "too_old": len(old), **figures})
    if not old:
        return Status.DONE
    names = _names_text([state.name for state in old])
    message = f"{count_text(len(old), 'partition')} without a backup that is new enough: {names}"
    print_error(
        show,
        Status.TOO_OLD,
        message,
        "see why no backup came to its end since then",
    )
    return Status.TOO_OLD


def nothing_found(args: argparse.Namespace, vault: Vault) -> NothingStored:
    """The error for a container without partitions, or without the one that was asked for."""
    if args.partition is not None:
        return nothing_stored(vault)
    return NothingStored(f"{vault.place} holds no partition", "check --account, --container and --table")


def _show(states: list[PartitionState], now: float, max_age: float | None, show: LineProgress) -> None:
    results = Results(sys.stdout)
    if show.json:
        for state in states:
            results.event("partition", **partition_values(state, now, max_age))
    elif states:
        for line in partition_lines(states, now, max_age):
            results.add(line)
    results.flush()


# --- a partition that is not there


def nothing_stored(vault: Vault) -> NothingStored:
    """The error for a partition that is not there: its hint names those that are."""
    return NothingStored(f"nothing is stored in partition {vault.partition} of {vault.place}", _there_text(vault))


def _there_text(vault: Vault) -> str:
    names = other_partitions(vault)
    if names is None:
        return "check --partition, --account and --container"
    if not names:
        return f"{vault.place} holds no partition at all: check --account and --container"
    return f"there are: {_names_text(names)}"


def other_partitions(vault: Vault) -> list[str] | None:
    """The other partitions' names; None where they cannot be listed."""
    try:
        return [name for name in vault.partitions.names() if name != vault.partition]
    except Unavailable:
        return None


def _names_text(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return clean(", ".join(names[:_NAMED])) + more


# --- a new one


def confirm_new(vault: Vault, show: LineProgress) -> None:
    """Asks whether a partition that is not there is to be made. Raises NothingStored for any answer but yes."""
    names = other_partitions(vault)
    there = f"There are: {_names_text(names)}\n" if names else "It would be the first one.\n" if names == [] else ""
    show.close()
    write(sys.stderr, f'There is no partition "{vault.partition}" in {vault.place}.\n{there}')
    if not agrees(f'Make a new vault "{vault.partition}"? [y/N] ', unless_told=False):
        raise NothingStored(f"no vault {vault.partition} was made", "check --partition; answer y to make a new one")
    write(sys.stderr, "Choose its password. Whoever loses it loses the backup.\n")


def where_text(vault: Vault, others: list[str] | None, *, new: bool) -> str:
    """Partition and account; of a new one also which others there are: the name may be a mistyped one."""
    where = f"{vault.partition} on {vault.connection.account}"
    there = f" (there are also: {_names_text(others)})" if others else ""
    return f"new partition {where}{there}" if new else where
