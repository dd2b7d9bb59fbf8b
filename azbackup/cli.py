"""The command line of the three scripts: wires the adapters to the runs and maps every outcome to its exit status.

This module, looking, restoring, vault and terminal are the only ones that print, prompt, and read the environment and
the clock.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import NoReturn

from azbackup import options
from azbackup.allocator import keep_freed_memory
from azbackup.backup import Backup, Clock, Job
from azbackup.catalog import Catalog
from azbackup.crypto import derive
from azbackup.errors import AzbackupError, Status
from azbackup.formats import stamp
from azbackup.journal import Journal
from azbackup.keystore import Keystore
from azbackup.lock import digest, only_one
from azbackup.model import Snapshot
from azbackup.prices import Prices, backup_cost, load_prices
from azbackup.rebuild import rebuild_table
from azbackup.records import Records
from azbackup.rekey import change_password
from azbackup.scanner import open_source
from azbackup.seen import Seen
from azbackup.terminal import Bar, Json, Lines, money_text, size_text, time_text
from azbackup.vault import absolute, cache_directory, open_vault, outcome_status, password_of, say


def backup_main() -> NoReturn:
    """backup.py."""
    _main(options.backup_parser(), _backup)


def restore_main() -> NoReturn:
    """restore.py."""
    _main(options.restore_parser(), _restore)


def change_password_main() -> NoReturn:
    """change_password.py."""
    _main(options.change_password_parser(), _change_password)


def _main(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace, Lines], Status]) -> NoReturn:
    """Runs and exits. An expected error is one line and a hint; anything else is a bug and keeps its traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _open_standard_streams()
    keep_freed_memory()
    _raise_descriptor_limit()
    args = parser.parse_args()
    show = _show(parser.prog, args)
    try:
        status = run(args, show)
    except AzbackupError as error:
        show.close()
        if args.verbose >= 2:
            traceback.print_exception(error)
        say(show, error.status, error.message, error.hint)
        status = error.status
    except KeyboardInterrupt:
        show.close()
        say(show, Status.INTERRUPTED, "interrupted", "run the same command again: what was finished is kept")
        status = Status.INTERRUPTED
    sys.exit(status)


def _open_standard_streams() -> None:
    """Descriptors 0, 1 and 2 lead somewhere: else a file or a connection would get the number of a closed one."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _raise_descriptor_limit() -> None:
    """As many open directories as the system allows: a scan holds one for every level of depth."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _show(program: str, args: argparse.Namespace) -> Lines:
    if args.json:
        return Json(program, sys.stdout, args.quiet)
    if sys.stderr is not None and sys.stderr.isatty() and not args.quiet:
        return Bar(program, sys.stderr)
    return Lines(program, sys.stderr, args.quiet)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _stamp() -> str:
    return stamp(time.time(), os.urandom(8))


def _journal(identity: tuple[str, ...]) -> Journal | None:
    """The notes of this source's backups; None where there is no place for them."""
    try:
        return Journal(cache_directory() / f"{digest(*identity)}.journal")
    except OSError:
        return None


# --- backup.py


def _backup(args: argparse.Namespace, show: Lines) -> Status:
    started = time.monotonic()
    prices = load_prices(args.prices)
    source = absolute(args.directory, "directory")
    os.close(open_source(source))  # a mistyped directory is said to be one before anything is stored
    vault = open_vault(args)
    keystore = Keystore(vault.rows, vault.blobs, vault.partition)
    password = password_of(args, "--password", "AZBACKUP_PASSWORD", twice=lambda: not keystore.exists())
    identity = (vault.where, vault.partition, os.fsdecode(source))
    with only_one(cache_directory() / f"{digest(*identity)}.lock", os.fsdecode(source)):
        opened, fresh = keystore.open_or_create(password, _now())
        keys = derive(opened.data_key)
        records = Records(vault.rows, vault.blobs, keys, vault.partition)
        records.damage += [opened.damage] if opened.damage else []
        if not opened.in_table:
            rebuild_table(records, keystore, opened, show)
        job = Job(source, socket.gethostname(), vault.partition, args.tier, fresh)
        clock = Clock(time.time_ns, _stamp)
        seen = Seen(cache_directory(), keys)
        snapshot = Backup(
            job, Catalog(records, seen.number()), vault.blobs, keys, clock, show, _journal(identity)
        ).run()
        seen.note(snapshot.number)
    show.close()
    _backup_summary(args, show, snapshot, vault.account.requests, prices, time.monotonic() - started)
    return outcome_status(show, records.damage, snapshot.totals.unreadable)


def _backup_summary(
    args: argparse.Namespace,
    show: Lines,
    snapshot: Snapshot,
    requests: Mapping[str, int],
    prices: Prices,
    seconds: float,
) -> None:
    totals = snapshot.totals
    source = os.fsdecode(snapshot.source)
    once, monthly = backup_cost(prices, requests, totals.packs, totals.stored, args.tier)
    if isinstance(show, Json):
        show.event(
            "summary",
            snapshot=snapshot.number,
            source=source,
            **{name: getattr(totals, name) for name in totals.__struct_fields__},
            requests=sum(requests.values()),
            cost=round(once, 6),
            cost_month=round(monthly, 6),
            currency=prices.currency,
            seconds=round(seconds, 3),
        )
    elif not args.quiet:
        packs = f" in {totals.packs} pack{'s' if totals.packs != 1 else ''}" if totals.packs else ""
        unreadable = f", {totals.unreadable:,} unreadable" if totals.unreadable else ""
        month = f", {money_text(monthly, prices.currency)} a month" if monthly else ""
        cost = f"estimated cost {money_text(once, prices.currency)}{month}"
        show.line(
            f"snapshot {snapshot.number} of {source}: {totals.new:,} new, {totals.changed:,} changed, "
            f"{totals.unchanged:,} unchanged, {totals.removed:,} removed{unreadable}; read {size_text(totals.read)}, "
            f"stored {size_text(totals.stored)}{packs}; {sum(requests.values())} requests, {time_text(seconds)}; {cost}"
        )


# --- restore.py


def _restore(args: argparse.Namespace, show: Lines) -> Status:
    if look := options.looks(args):
        from azbackup.looking import look_command  # who only looks starts sooner without what restores

        return look_command(args, show, look)
    from azbackup.restoring import restore_command  # the other scripts start 30 ms sooner without it

    return restore_command(args, show)


# --- change_password.py


def _change_password(args: argparse.Namespace, show: Lines) -> Status:
    vault = open_vault(args)
    old = password_of(args, "--old-password", "AZBACKUP_PASSWORD")
    new = password_of(args, "--new-password", "AZBACKUP_NEW_PASSWORD", twice=lambda: True)
    record = change_password(Keystore(vault.rows, vault.blobs, vault.partition), old, new, _now())
    if isinstance(show, Json):
        show.event("summary", partition=vault.partition, changed=record.changed)
    elif not args.quiet:
        show.line(f"partition {vault.partition} opens with the new password from now on")
    return Status.DONE
