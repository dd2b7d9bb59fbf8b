"""The command line of restore.py --partitions, which needs no password: the names of partitions are plain."""

from __future__ import annotations

import argparse
import sys
import time

from azbackup.cli.new_partition import names_text, nothing_stored
from azbackup.cli.output.partition_table import is_too_old, partition_lines, partition_values
from azbackup.cli.output.results import Results
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import count_text
from azbackup.cli.session import Vault, open_vault
from azbackup.cli.status import print_error
from azbackup.commands.browse.partitions import PartitionState, survey
from azbackup.errors import NothingStored, Status


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
    names = names_text([state.name for state in old])
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
