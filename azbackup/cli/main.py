"""The command line of the three scripts: what comes before a run, and the exit status of every outcome.

Only the modules of this room print, prompt, and read the environment and the clock.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from azbackup.cli.command_line import arguments
from azbackup.cli.installed import words
from azbackup.cli.interrupts import Interrupts
from azbackup.cli.lock_wait import LockWait
from azbackup.cli.options.backup import is_repair, rests
from azbackup.cli.options.change_password import tasks
from azbackup.cli.options.common import absolute_path
from azbackup.cli.options.exclude import rules_of
from azbackup.cli.options.restore import looks, second_snapshot
from azbackup.cli.options.retention import keeps
from azbackup.cli.output.again import GO_ON
from azbackup.cli.output.levels import Level, is_journal
from azbackup.cli.output.problem_file import open_problem_file
from azbackup.cli.output.problems import Problems
from azbackup.cli.output.terminal import JsonProgress, LineProgress
from azbackup.cli.output.watching import watch
from azbackup.cli.partitions import nothing_stored, partitions_command
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
from azbackup.cli.status import print_error, print_traceback, show_bug, show_damages
from azbackup.cli.stream import source_of_stream, stream_of
from azbackup.cli.told import Told
from azbackup.cli.unlock import key_of_backup, key_that_exists
from azbackup.errors import AzbackupError, Status
from azbackup.memory import collect_seldom, keep_freed_memory
from azbackup.records.selection import Matcher, Selection, matcher
from azbackup.storage.local.lock import only_one
from azbackup.storage.prices import load_prices

_DESCRIPTORS = 10240  # OPEN_MAX of macOS
_GO_ON = f"what was done is kept; {GO_ON}"


def backup_main() -> NoReturn:
    """backup.py."""
    _main("backup", _backup)


def restore_main() -> NoReturn:
    """restore.py."""
    _main("restore", _restore)


def change_password_main() -> NoReturn:
    """change_password.py."""
    _main("change_password", _change_password)


def _main(script: str, run: Callable[[argparse.Namespace, LineProgress], Status]) -> NoReturn:
    """Runs and exits. An expected error is one line and a hint; anything else is a bug and keeps its traceback."""
    interrupts = Interrupts()
    sys.excepthook = show_bug
    _open_standard_streams()
    keep_freed_memory()
    collect_seldom()
    _raise_descriptor_limit()
    args = arguments(script, sys.argv[1:], os.environ)
    show = _show(f"{script}.py", args)
    told = Told(script, args, show)
    try:
        interrupts.watch(lambda: _say_interrupted(show))
        status = _status_of(run, args, show, told)
        interrupts.disarm()
    except KeyboardInterrupt:
        show.close()
        interrupts.say()
        status = Status.INTERRUPTED
    _tell(told, status, interrupts)
    # Taking the SDK's and the run's objects apart one by one would take a tenth of a short run. All that was said has
    # been written, and what is open is of no use to anybody: a killed process must leave it right as well.
    os._exit(status)


def _tell(told: Told, status: Status, interrupts: Interrupts) -> None:
    """Tells whoever is to be told how the run ended. Nothing that happens there changes its status."""

    def leave() -> None:
        told.stop()
        os._exit(status)

    interrupts.over(leave)
    try:
        told.end(status)
    except Exception as bug:  # noqa: BLE001  the run has ended, and its status holds
        print_traceback(bug)


def _say_interrupted(show: LineProgress) -> None:
    show.close()
    print_error(show, Status.INTERRUPTED, "interrupted", _GO_ON)


def _status_of(
    run: Callable[[argparse.Namespace, LineProgress], Status],
    args: argparse.Namespace,
    show: LineProgress,
    told: Told,
) -> Status:
    """The status of a run, whose error is shown. One that nobody expected keeps its traceback."""
    try:
        told.begin()
        if name := getattr(args, "problems", None):
            complain = show.note if show.json else show.line
            show.problems.file = open_problem_file(name, show.program, time.time(), complain)
        return run(args, show)
    except AzbackupError as error:
        show.close()
        if args.verbose >= 2:
            print_traceback(error, show.mark(Level.ERROR))
        show_damages(show)
        print_error(show, error.status, error.message, error.hint)
        return error.status
    except ModuleNotFoundError as missing:  # of a library that only some runs need
        show.close()
        print_error(show, Status.FAILED, *words(show.program, missing))
        return Status.FAILED
    except Exception as bug:  # noqa: BLE001  not swallowed: shown whole
        show.close()
        print_traceback(bug, show.mark(Level.ERROR))
        if show.heard is not None:
            show.heard.error(f"a bug: {bug!r}", "report the traceback")
        return Status.FAILED


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
    for limit in (most, _DESCRIPTORS):  # where there is no limit, more than the system has may not be asked for (macOS)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
        except (ValueError, OSError):
            continue
        return


def _show(program: str, args: argparse.Namespace) -> LineProgress:
    kind, out = (JsonProgress, sys.stdout) if args.json else (LineProgress, sys.stderr)
    show = kind(program, out, quiet=args.quiet)
    show.problems = Problems(each=args.verbose > 0)
    show.journal = is_journal(2, os.environ)
    watch(show, args, os.environ)
    return show


# --- imports in functions: listing does not load the modules of restoring, and the key is derived before both load


def _backup(args: argparse.Namespace, show: LineProgress) -> Status:
    started = time.monotonic()
    rests(args)
    if is_repair(args):
        from azbackup.cli.repair import repair_command

        return repair_command(args, show)
    stream = stream_of(args)
    is_over = deadline(started, args.max_duration)
    rules, prices = keeps(args), load_prices(args.prices, args.region)
    rewrite = rewrite_of(args, prices, started, rules=rules)
    asked = Asked(rules_of(args), prices, args.tier, stream, is_over, rewrite)
    if args.retention_only or args.forget or args.recall:
        session = _opened(args, show, started)
        return worst([_retain(session, asked), _archive(session, asked)])
    sources = sources_of(args) if stream is None else [source_of_stream(stream)]
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
    if not args.archive_after or args.dry_run or args.recall:
        return Status.DONE
    from azbackup.cli.aging import archive_command

    return archive_command(session.next(time.monotonic()), asked.prices)


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
        raise nothing_stored(vault)
    from azbackup.cli.dry_run import dry_run_command

    def look(source: bytes) -> Status:
        status = dry_run_command(args, show, session, source, asked)
        return worst([status, _retain(session, asked, source)]) if session is not None and keeps(args) else status

    return each_source(sources, look, show, goes_on=lambda: True, verbose=args.verbose >= 2)


def _change_password(args: argparse.Namespace, show: LineProgress) -> Status:
    wanted = tasks(args)
    if "--export-key" in wanted or "--recover" in wanted:
        from azbackup.cli.recovery import export_command, recover_command

        return export_command(args, show) if args.recover is None else recover_command(args, show)
    from azbackup.cli import change_password

    if "--list-passwords" in wanted:
        return change_password.list_command(args, show)
    if "--remove-password" in wanted:
        return change_password.remove_command(args, show)
    return change_password.set_command(args, show)


def _restore(args: argparse.Namespace, show: LineProgress) -> Status:
    started = time.monotonic()
    if (look := looks(args)) in ("--partitions", "--account-check"):
        return _without_password(args, show, look)
    if look == "--report":
        return _report(args, show, started)
    if look == "--diff":
        second = second_snapshot(args)
        chosen = _selection(args, args.paths if second else _positionals(args))
        from azbackup.cli.diff import diff_command

        return diff_command(_opened(args, show, started), chosen, (args.diff, second))
    if look == "--verify":
        session = _opened(args, show, started)
        from azbackup.cli.verify import verify_command

        return verify_command(session)
    if look:
        wanted = _wanted(args, look)
        session = _opened(args, show, started)
        from azbackup.cli.browse import look_command

        return look_command(session, wanted)
    prices = load_prices(args.prices, args.region)
    selection = _selection(args, args.paths)
    first = [matcher("--first", [pattern]) for pattern in args.first]
    destination = absolute_path(args.destination, "destination") if args.destination is not None else None
    session = _opened(args, show, started)
    from azbackup.cli.restore import Wish, restore_command

    return restore_command(session, Wish(selection, first, destination, prices))


def _report(args: argparse.Namespace, show: LineProgress, started: float) -> Status:
    prices = load_prices(args.prices, args.region)
    from azbackup.cli.report import check_output, fleet_command, report_command

    check_output(args.report)
    if args.all_partitions:
        return fleet_command(args, show, prices)
    return report_command(_opened(args, show, started), prices)


def _without_password(args: argparse.Namespace, show: LineProgress, look: str) -> Status:
    if look == "--partitions":
        return partitions_command(args, show)
    from azbackup.cli.account_check import account_check_command

    return account_check_command(args, show)


def _wanted(args: argparse.Namespace, look: str) -> Selection | Matcher | None:
    """What --list selects, what --find matches, None for --snapshots.

    Raises UsageError for a pattern that cannot be read.
    """
    if look == "--snapshots":
        return None
    if look == "--find":
        return matcher(look, args.find)
    return _selection(args, _positionals(args))


def _positionals(args: argparse.Namespace) -> list[str]:
    return [args.destination, *args.paths] if args.destination is not None else []


def _selection(args: argparse.Namespace, paths: list[str]) -> Selection:
    return Selection([os.fsencode(path) for path in paths], args.include, args.exclude)


def _opened(args: argparse.Namespace, show: LineProgress, started: float) -> Session:
    vault = open_vault(args, show)
    return Session(args, show, vault, key_that_exists(args, show, vault), started)
