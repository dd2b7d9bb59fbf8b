"""The command line: the only place that prints, prompts, reads the environment and the clock, and ends the process.

Wires the adapters to the runs, and maps every outcome to its exit status, once.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from azbackup import options, settings
from azbackup.account import Account
from azbackup.archive import AzureThaw
from azbackup.backup import Backup, Clock, Job
from azbackup.blobs import AzureBlobs
from azbackup.catalog import Catalog, choose, latest_by_source
from azbackup.crypto import Secret, derive
from azbackup.errors import AzbackupError, NothingStored, Status, UsageError
from azbackup.formats import check_partition, stamp
from azbackup.keystore import Keystore
from azbackup.lock import only_one
from azbackup.model import Snapshot
from azbackup.rebuild import rebuild_table
from azbackup.records import CopiedRows, Records
from azbackup.rekey import change_password
from azbackup.restore import Outcome, Restore, Wish
from azbackup.tables import AzureRows
from azbackup.terminal import Bar, Json, Lines, clean, size_text, time_text
from azbackup.thawing import Thawing

_FIRST_POLL_SECONDS = 30.0
_LAST_POLL_SECONDS = 900.0


@dataclass(frozen=True)
class Vault:
    """One partition of one account, as the adapters give it."""

    partition: str
    account: Account
    rows: AzureRows
    blobs: AzureBlobs
    staging: AzureThaw
    where: str


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
    args = parser.parse_args()
    show = _show(parser.prog, args)
    try:
        status = run(args, show)
    except AzbackupError as error:
        status = _report(args, show, error)
    except KeyboardInterrupt:
        show.close()
        _say(
            show,
            Status.INTERRUPTED,
            "interrupted",
            "run the same command again: what was finished is kept",
        )
        status = Status.INTERRUPTED
    except BrokenPipeError:
        status = Status.FAILED
    sys.stdout.flush()
    sys.exit(status)


def _show(program: str, args: argparse.Namespace) -> Lines:
    if args.json:
        return Json(program, sys.stdout, args.quiet)
    if sys.stderr.isatty() and not args.quiet:
        return Bar(program, sys.stderr)
    return Lines(program, sys.stderr, args.quiet)


def _report(args: argparse.Namespace, show: Lines, error: AzbackupError) -> Status:
    show.close()
    if args.verbose >= 2:
        traceback.print_exception(error)
    _say(show, error.status, error.message, error.hint)
    return error.status


def _say(show: Lines, status: Status, message: str, hint: str) -> None:
    """An error and its hint, on stderr always, and as an event with --json."""
    print(f"{show.program}: {clean(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {clean(hint)}", file=sys.stderr)
    if isinstance(show, Json):
        show.event("error", status=int(status), message=message, hint=hint)


# --- what the runs are made of


def _vault(args: argparse.Namespace) -> Vault:
    partition = check_partition(args.partition)
    if not re.fullmatch(r"[a-z0-9](-?[a-z0-9]){2,54}", args.container):
        raise UsageError(
            f"{args.container!r} is not a container name",
            "3 to 55 lower-case letters, digits and single hyphens",
        )
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{2,62}", args.table):
        raise UsageError(f"{args.table!r} is not a table name", "3 to 63 letters and digits, a letter first")
    names = ("account", "accesskey", "sas_token", "connection_string", "endpoint_suffix")
    connection = settings.connection({name: getattr(args, name) for name in names}, os.environ)
    account = Account(connection)
    return Vault(
        partition,
        account,
        AzureRows(account, args.table, partition),
        AzureBlobs(account, args.container),
        AzureThaw(account, args.container),
        f"{connection.blob_endpoint}/{args.container}",
    )


def _password(args: argparse.Namespace, flag: str, variable: str, twice: bool = False) -> Secret:
    name = flag.strip("-").replace("-", "_")
    sources = settings.PasswordSources(
        flag,
        variable,
        getattr(args, name),
        getattr(args, f"{name}_file"),
        getattr(args, f"{name}_command"),
    )
    return settings.password(sources, os.environ, lambda: _prompt(name.replace("_", " "), twice))


def _prompt(what: str, twice: bool) -> str | None:
    if not sys.stdin.isatty():
        return None
    first = getpass.getpass(f"{what}: ")
    if twice and getpass.getpass(f"{what} again: ") != first:
        raise UsageError("the two passwords differ", "type the same one twice")
    return first


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _stamp() -> str:
    return stamp(time.time(), os.urandom(8))


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "azbackup"


# --- backup.py


def _backup(args: argparse.Namespace, show: Lines) -> Status:
    started = time.monotonic()
    source = os.path.abspath(os.fsencode(args.directory))
    vault = _vault(args)
    password = _password(args, "--password", "AZBACKUP_PASSWORD")
    with only_one(_cache() / "locks", vault.where, vault.partition, os.fsdecode(source)):
        keystore = Keystore(vault.rows, vault.blobs, vault.partition)
        opened, fresh = keystore.open_or_create(password, _now())
        keys = derive(opened.data_key)
        records = Records(vault.rows, vault.blobs, keys, vault.partition)
        if opened.damage:
            records.damage.append(opened.damage)
        if not opened.in_table:
            rebuild_table(records, keystore, opened, show)
        job = Job(source, socket.gethostname(), vault.partition, args.tier, fresh)
        run = Backup(job, Catalog(records), vault.blobs, keys, Clock(time.time_ns, _stamp), show)
        snapshot = run.run()
    show.close()
    _backup_summary(args, show, snapshot, vault, time.monotonic() - started)
    return _outcome(show, records.damage, snapshot.totals.unreadable)


def _backup_summary(args: argparse.Namespace, show: Lines, snapshot: Snapshot, vault: Vault, seconds: float) -> None:
    totals = snapshot.totals
    requests = sum(vault.account.requests.values())
    if isinstance(show, Json):
        counts = {name: getattr(totals, name) for name in totals.__struct_fields__}
        show.event(
            "summary",
            snapshot=snapshot.number,
            source=os.fsdecode(snapshot.source),
            **counts,
            requests=requests,
            seconds=round(seconds, 3),
        )
    elif not args.quiet:
        packs = f" in {totals.packs} pack{'s' if totals.packs != 1 else ''}" if totals.packs else ""
        unreadable = f", {totals.unreadable:,} unreadable" if totals.unreadable else ""
        show.line(
            f"snapshot {snapshot.number} of {os.fsdecode(snapshot.source)}: "
            f"{totals.new:,} new, {totals.changed:,} changed, "
            f"{totals.unchanged:,} unchanged, {totals.removed:,} removed{unreadable}; read {size_text(totals.read)}, "
            f"stored {size_text(totals.stored)}{packs}; {requests} requests, {time_text(seconds)}"
        )


def _outcome(show: Lines, damage: list[str], problems: int) -> Status:
    """The status of a run that came to its end; damage is named, and weighs more than what could not be read."""
    if not damage:
        return Status.INCOMPLETE if problems else Status.DONE
    for line in damage[:20]:
        show.line(line) if not isinstance(show, Json) else show.note(line)
    more = f" and {len(damage) - 20} more" if len(damage) > 20 else ""
    hint = "keep the storage as it is; docs/operations.md says how to find out what happened"
    _say(
        show,
        Status.DAMAGED,
        f"stored data is damaged or was tampered with: {damage[0]}{more}",
        hint,
    )
    return Status.DAMAGED


# --- restore.py


def _restore(args: argparse.Namespace, show: Lines) -> Status:
    started = time.monotonic()
    vault = _vault(args)
    password = _password(args, "--password", "AZBACKUP_PASSWORD")
    opened = Keystore(vault.rows, vault.blobs, vault.partition).open(password)
    keys = derive(opened.data_key)
    rows = vault.rows if opened.in_table else CopiedRows(vault.blobs, vault.partition)
    if not opened.in_table:
        show.note("the table has lost this partition: reading the records' copies")
    records = Records(rows, vault.blobs, keys, vault.partition)
    if opened.damage:
        records.damage.append(opened.damage)
    catalog = Catalog(records)
    wish = Wish(
        snapshots=_chosen(args, catalog, vault, show),
        destination=os.path.abspath(os.fsencode(args.destination)),
        foreign=args.overwrite is not None,
        priority=args.priority,
        wait=_waiter(args.poll_interval, show) if args.wait else None,
    )
    outcome = Restore(wish, catalog, Thawing(vault.blobs, vault.staging, vault.partition), keys, show).run()
    show.close()
    _restore_summary(args, show, outcome, vault, time.monotonic() - started)
    status = _outcome(show, outcome.damage, outcome.problems)
    if status is not Status.DAMAGED and outcome.pending:
        return Status.THAWING
    return status


def _chosen(args: argparse.Namespace, catalog: Catalog, vault: Vault, show: Lines) -> list[tuple[Snapshot, bytes]]:
    """The snapshots to restore, each with its prefix in the destination."""
    snapshots = catalog.snapshots()
    if args.snapshot is not None:
        return [(choose(snapshots, args.snapshot), b"")]
    latest = latest_by_source(snapshots)
    if args.source is not None:
        source = os.path.abspath(os.fsencode(args.source))
        if source not in latest:
            known = ", ".join(clean(os.fsdecode(each)) for each in sorted(latest)) or "none"
            raise NothingStored(
                f"source {os.fsdecode(source)} is not in partition {vault.partition}",
                f"its sources: {known}",
            )
        return [(latest[source], b"")]
    if not latest:
        raise NothingStored(
            f"partition {vault.partition} has a key but no snapshot yet",
            "the first backup has not finished: run it again",
        )
    if len(latest) == 1:
        return [(snapshot, b"") for snapshot in latest.values()]
    show.note(f"partition {vault.partition} has {len(latest)} sources: each goes under the destination, by its path")
    return [(snapshot, source.strip(b"/")) for source, snapshot in sorted(latest.items())]


def _waiter(interval: float | None, show: Lines) -> Callable[[], None]:
    """Sleeps between two looks at what thaws, longer each time unless an interval was given."""
    seconds = interval or _FIRST_POLL_SECONDS

    def wait() -> None:
        nonlocal seconds
        show.note(f"still thawing; looking again in {time_text(seconds)}")
        time.sleep(seconds)
        if interval is None:
            seconds = min(seconds * 1.5, _LAST_POLL_SECONDS)

    return wait


def _restore_summary(args: argparse.Namespace, show: Lines, outcome: Outcome, vault: Vault, seconds: float) -> None:
    requests = sum(vault.account.requests.values())
    if isinstance(show, Json):
        counts = {name: value for name, value in vars(outcome).items() if isinstance(value, int)}
        show.event("summary", **counts, requests=requests, seconds=round(seconds, 3))
        return
    if outcome.pending:
        hours = "under an hour" if args.priority == "high" else "up to 15 hours"
        show.line(
            f"{outcome.pending_files:,} files wait for {outcome.pending} packs that are thawing, which takes {hours}; "
            "run the same command again: it goes on where it stopped"
        )
    if not args.quiet:
        already = f", {outcome.already:,} were there already" if outcome.already else ""
        problems = f", {outcome.problems:,} could not be restored" if outcome.problems else ""
        show.line(
            f"restored {outcome.files:,} files, {size_text(outcome.size)}{already}{problems}; "
            f"{requests} requests, {time_text(seconds)}"
        )


# --- change_password.py


def _change_password(args: argparse.Namespace, show: Lines) -> Status:
    vault = _vault(args)
    old = _password(args, "--old-password", "AZBACKUP_PASSWORD")
    new = _password(args, "--new-password", "AZBACKUP_NEW_PASSWORD", twice=True)
    record = change_password(Keystore(vault.rows, vault.blobs, vault.partition), old, new, _now())
    if isinstance(show, Json):
        show.event("summary", partition=vault.partition, changed=record.changed)
    elif not args.quiet:
        show.line(f"the password of partition {vault.partition} was changed; the old one no longer opens it")
    return Status.DONE
