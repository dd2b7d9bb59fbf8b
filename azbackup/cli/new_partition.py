"""What is said where a partition is not there, or new.

Partition names are plain, so this needs no password: a mistyped name is answered with those that there are.
"""

from __future__ import annotations

import sys

from azbackup.cli.asking import agrees
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clean, write
from azbackup.cli.session import Vault
from azbackup.errors import NothingStored, Unavailable

_NAMED = 10


def nothing_stored(vault: Vault) -> NothingStored:
    """The error for a partition that is not there: its hint names those that are."""
    return NothingStored(f"nothing is stored in partition {vault.partition} of {vault.place}", _there_text(vault))


def _there_text(vault: Vault) -> str:
    names = other_partitions(vault)
    if names is None:
        return "check --partition, --account and --container"
    if not names:
        return f"{vault.place} holds no partition at all: check --account and --container"
    return f"there are: {names_text(names)}"


def other_partitions(vault: Vault) -> list[str] | None:
    """The other partitions' names; None where they cannot be listed."""
    try:
        return [name for name in vault.partitions.names() if name != vault.partition]
    except Unavailable:
        return None


def names_text(names: list[str]) -> str:
    """The first names, for people, and how many there are beside them."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return clean(", ".join(names[:_NAMED])) + more


# --- a new one


def confirm_new(vault: Vault, show: LineProgress) -> None:
    """Asks whether a partition that is not there is to be made. Raises NothingStored for any answer but yes."""
    names = other_partitions(vault)
    there = f"There are: {names_text(names)}\n" if names else "It would be the first one.\n" if names == [] else ""
    show.close()
    write(sys.stderr, f'There is no partition "{vault.partition}" in {vault.place}.\n{there}')
    if not agrees(f'Make a new vault "{vault.partition}"? [y/N] ', unless_told=False):
        raise NothingStored(f"no vault {vault.partition} was made", "check --partition; answer y to make a new one")
    write(sys.stderr, "Choose its password. Whoever loses it loses the backup.\n")


def where_text(vault: Vault, others: list[str] | None, *, new: bool) -> str:
    """Partition and account; of a new one also which others there are: the name may be a mistyped one."""
    where = f"{vault.partition} on {vault.connection.account}"
    there = f" (there are also: {names_text(others)})" if others else ""
    return f"new partition {where}{there}" if new else where
