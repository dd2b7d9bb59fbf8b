"""The command line of backup.py until the key is open: what was asked for, the lock, the password.

Imports in functions: what stores is loaded when the key was derived, what else may be asked for only then.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING, NoReturn

from azbackup.cli.lock_wait import LockWait
from azbackup.cli.main import run_script
from azbackup.cli.options.backup import is_repair, rests
from azbackup.cli.options.exclude import rules_of
from azbackup.cli.options.retention import keeps
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.session import Session, Vault, open_vault
from azbackup.cli.sources import (
    Asked,
    check_begins,
    deadline,
    each_source,
    rewrite_of,
    sources_of,
    tell_misplaced,
    tell_nested,
    worst,
)
from azbackup.cli.unlock import key_of_backup, key_that_exists, opened_session
from azbackup.errors import Status
from azbackup.storage.local.lock import only_one
from azbackup.storage.prices import load_prices

if TYPE_CHECKING:
    from azbackup.commands.backup.stream import Stream


def backup_main() -> NoReturn:
    """backup.py."""
    run_script("backup", _start)


def _start(args: argparse.Namespace, show: LineProgress) -> Status:
    """What backup.py was asked for."""
    started = time.monotonic()
    rests(args)
    if is_repair(args):
        from azbackup.cli.repair import repair_command

        return repair_command(args, show)
    stream = _stream(args)
    is_over = deadline(started, args.max_duration)
    rules, prices = keeps(args), load_prices(args.prices, args.region)
    rewrite = rewrite_of(args, prices, started, rules=rules)
    asked = Asked(rules_of(args), prices, args.tier, stream, is_over, rewrite)
    if args.retention_only or args.forget or args.recall:
        session = opened_session(args, show, started)
        return worst([_retain(session, asked), _archive(session, asked)])
    sources = sources_of(args) if stream is None else [stream.source]
    tell_nested(sources, show)
    tell_misplaced(sources, asked.rules, show)
    vault = open_vault(args, show)
    if args.dry_run:
        return _dry_run(args, show, vault, sources, asked)
    first: list[Session] = []  # the one that has opened the key, for all

    def back_up(source: bytes) -> Status:
        # The lock comes before anything is asked: another run of this source is told of at once.
        name = os.fsdecode(source)
        check_begins(asked, name)
        patience = LockWait(args.lock_wait or 0.0, name, show)
        with only_one(vault.local_file("lock", name), name, patience):
            patience.end()
            if first:
                session, fresh = first[0].next(time.monotonic()), False
            else:
                key, fresh = key_of_backup(args, show, vault, sources)
                session = Session(args, show, vault, key, started)
                first.append(session)
            from azbackup.cli.backup import backup_command

            status = backup_command(session, source, asked, fresh=fresh)
            if not rules or status not in (Status.DONE, Status.INCOMPLETE):
                return status
            return worst([status, _retain(session.next(time.monotonic()), asked, source)])

    status = each_source(sources, back_up, show, goes_on=lambda: bool(first), verbose=args.verbose >= 2)
    if not first or status not in (Status.DONE, Status.INCOMPLETE):
        return status
    return worst([status, _archive(first[0], asked)])


def _archive(session: Session, asked: Asked) -> Status:
    """Packs that have rested for long enough go to the archive, where that was asked for."""
    args = session.args
    if not args.archive_after or args.recall:
        return Status.DONE
    from azbackup.cli.aging import archive_command, tell_rule

    if args.dry_run:
        tell_rule(session.vault, session.show, args.archive_after, len(session.key.earlier) + 1)
        return Status.DONE
    return archive_command(session.next(time.monotonic()), asked.prices)


def _stream(args: argparse.Namespace) -> Stream | None:
    """What is read instead of directories, None for directories."""
    if args.stdin_name is None and args.stdin_command is None:
        return None
    from azbackup.cli.stream import stream_of

    return stream_of(args)


def _retain(session: Session, asked: Asked, source: bytes | None = None) -> Status:
    from azbackup.cli.retention import retention_command

    return retention_command(session, asked.prices, source)


def _dry_run(args: argparse.Namespace, show: LineProgress, vault: Vault, sources: list[bytes], asked: Asked) -> Status:
    """What a backup would do. A partition that is not there yet needs no password."""
    vault.remembers = False
    session: Session | None = None
    if vault.keystore.exists():
        session = Session(args, show, vault, key_that_exists(args, show, vault), time.monotonic())
    elif args.existing:
        from azbackup.cli.new_partition import nothing_stored

        raise nothing_stored(vault)
    from azbackup.cli.dry_run import dry_run_command

    def look(source: bytes) -> Status:
        status = dry_run_command(args, show, session, source, asked)
        return worst([status, _retain(session, asked, source)]) if session is not None and keeps(args) else status

    status = each_source(sources, look, show, goes_on=lambda: True, verbose=args.verbose >= 2)
    if args.archive_after:
        from azbackup.cli.aging import tell_rule

        tell_rule(vault, show, args.archive_after)
    return status
