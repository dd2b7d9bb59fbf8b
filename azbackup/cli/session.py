"""What every command begins with: a vault, which has the adapters of one partition, and the session once it is open."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from azbackup.cli.asking import waited_seconds
from azbackup.cli.options.common import absolute_path
from azbackup.cli.options.pace import kib_at, limits_of
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.passwords import credential_of
from azbackup.crypto.secret import Secret
from azbackup.errors import UsageError
from azbackup.format.labels import check_partition, row_partition, space_of
from azbackup.storage.azure import credentials
from azbackup.storage.azure.credentials import Connection
from azbackup.storage.azure.patience import Patience
from azbackup.storage.azure.throttle import Limits, Throttle
from azbackup.storage.local.cache_file import NOWHERE, cache_directory, digest
from azbackup.storage.local.salt import RememberedSalt

if TYPE_CHECKING:
    from azbackup.format.model import Snapshot
    from azbackup.records.catalog import Catalog
    from azbackup.records.eras import Era
    from azbackup.records.key_upkeep import Opened
    from azbackup.records.keystore import Keystore
    from azbackup.records.partition import Partition
    from azbackup.records.past import PastCatalog
    from azbackup.storage.azure.account import Account
    from azbackup.storage.azure.blobs import AzureBlobs
    from azbackup.storage.azure.checkup import Checkup
    from azbackup.storage.azure.partitions import AzurePartitions
    from azbackup.storage.azure.removal import AzureRemoval
    from azbackup.storage.azure.staging import AzureStaging
    from azbackup.storage.azure.tables import AzureRows
    from azbackup.storage.azure.tiering import AzureTiering
    from azbackup.storage.local.cached_rows import CachedRows

_MOST_CONNECTIONS = 16
_UNATTENDED_SECONDS = 180.0


class Vault:
    """One partition of one account, its adapters, and the password.

    The SDK is loaded when the first adapter is asked for, after the password was stretched: see storage/local/salt.py.
    """

    def __init__(self, partition: str, connection: Connection, limits: Limits, container: str, table: str) -> None:
        self.partition = partition
        self.connection = connection
        self.limits = limits
        self.container = container
        self.table = table
        self.patience = Patience(clock=time.monotonic)
        self.password = Secret(b"")
        self.remembers = True  # whether anything may be written on this machine
        self._head: RememberedSalt | None = None

    @property
    def place(self) -> str:
        """The account and container, for people."""
        return f"{self.connection.account}/{self.container}"

    @property
    def where(self) -> str:
        """The container's address."""
        return f"{self.connection.blob_endpoint}/{self.container}"

    @cached_property
    def account(self) -> Account:
        """The account's clients."""
        import logging  # comes with the SDK

        from azbackup.storage.azure.account import Account

        # What the libraries would log on stderr is in the error that comes of it, or was repeated and is no news.
        for library in ("azure", "urllib3", "requests", "charset_normalizer"):
            logging.getLogger(library).addHandler(logging.NullHandler())
        return Account(self.connection, self.limits, self.patience, self._login())

    def _login(self) -> Any:
        """What gives the tokens of a login, None where there is a key: it takes a fifth of a second to load."""
        if not self.connection.login:
            return None
        from azbackup.storage.azure.login import Login

        return Login(time.time)

    @cached_property
    def rows(self) -> AzureRows:
        """The partition's rows."""
        from azbackup.storage.azure.tables import AzureRows

        return AzureRows(self.account, self.table, self.partition)

    def rows_before(self, before: float, space: str) -> AzureRows:
        """Those of an era that were not written since a Unix time."""
        from azbackup.storage.azure.tables import AzureRows

        return AzureRows(self.account, self.table, row_partition(space), before)

    @cached_property
    def blobs(self) -> AzureBlobs:
        """The container of packs and copies."""
        from azbackup.storage.azure.blobs import AzureBlobs

        return AzureBlobs(self.account, self.container)

    @cached_property
    def staging(self) -> AzureStaging:
        """The container of thawed copies."""
        from azbackup.storage.azure.staging import AzureStaging

        return AzureStaging(self.account, self.container)

    @cached_property
    def removal(self) -> AzureRemoval:
        """What deletes, for retention."""
        from azbackup.storage.azure.removal import AzureRemoval

        return AzureRemoval(self.account, self.container, self.table, self.partition)

    @cached_property
    def tiering(self) -> AzureTiering:
        """What moves packs to the archive tier, for --archive-after."""
        from azbackup.storage.azure.tiering import AzureTiering

        return AzureTiering(self.account, self.container)

    @cached_property
    def partitions(self) -> AzurePartitions:
        """Whatever partitions there are, beside this one."""
        from azbackup.storage.azure.partitions import AzurePartitions

        return AzurePartitions(self.account, self.container, self.table)

    def checkup(self, now: Callable[[], float]) -> Checkup:
        """What is looked at of the account, without a password."""
        from azbackup.storage.azure.checkup import Checkup

        return Checkup(self.account, self.container, self.table, now)

    def rows_of(self, space: str) -> AzureRows:
        """The rows of an era, by its space."""
        from azbackup.storage.azure.tables import AzureRows

        return self.rows if space == self.partition else AzureRows(self.account, self.table, row_partition(space))

    def removal_of(self, space: str) -> AzureRemoval:
        """What deletes of an era, by its space."""
        from azbackup.storage.azure.removal import AzureRemoval

        if space == self.partition:
            return self.removal
        return AzureRemoval(self.account, self.container, self.table, row_partition(space))

    def cached_rows(self, space: str) -> CachedRows:
        """The rows of an era by way of this machine's cache, for everything but the key record."""
        from azbackup.storage.local.cached_rows import CachedRows
        from azbackup.storage.local.row_cache import Cache

        file = self.local_file("records", space=space)
        return CachedRows(self.rows_of(space), Cache(file, today=int(time.time()) // 86400))

    def local_file(self, kind: str, source: str = "", space: str = "") -> Path:
        """What this machine remembers of the partition, of a source in it, or of an era. Nothing depends on it."""
        directory = cache_directory(os.environ) if self.remembers else NOWHERE
        return directory / f"{digest(self.where, self.table, space or self.partition, source)}.{kind}"

    def unlock(
        self, password: Secret, *, creates: bool = False, accepts: bool = False, memory_kib: int | None = None
    ) -> None:
        """Takes the password, and stretches it where a salt is known.

        `creates`: a run that may make the key, with `memory_kib`; `accepts`: whatever the key record asks for is spent.
        """
        self.password = password
        path = self.local_file("salt")
        self._head = RememberedSalt(path, password, creates=creates, accepts=accepts, memory_kib=memory_kib)

    @property
    def keystore(self) -> Keystore:
        """The key record."""
        from azbackup.records.keystore import Keystore

        return Keystore(self.rows, self.blobs, self.partition, self._head)


class Session(msgspec.Struct, frozen=True):
    """What a command has once the vault is open; `started` is of time.monotonic().

    `before` are the requests, by billing class, that were for something else: another directory of the same command.
    """

    args: argparse.Namespace
    show: LineProgress
    vault: Vault
    key: Opened
    started: float
    before: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def space(self) -> str:
        """Where the era is in which backups work."""
        return space_of(self.vault.partition, len(self.key.earlier) + 1)

    @property
    def seconds(self) -> float:
        """How long the command has run, without the time in which it waited for somebody's answer."""
        return time.monotonic() - self.started - waited_seconds(self.started)

    def next(self, started: float) -> Session:
        """The session of what the same command does next. What was wrong with the key has been said and mended."""
        key = msgspec.structs.replace(self.key, in_table=True, damage="")
        return msgspec.structs.replace(self, key=key, started=started, before=Counter(self.vault.account.requests))

    @property
    def billed(self) -> Counter[str]:
        """The requests that have left, by billing class."""
        return self.vault.account.requests - self.before

    @property
    def requests(self) -> int:
        """How many requests have left."""
        return self.billed.total()


def open_partition(session: Session, *, rows: bool = True) -> Partition:
    """The partition under the password, its records by way of the table's rows or without: the newest era of it.

    What was wrong with the key record is damage.
    """
    from azbackup.cli.known_damage import KnownDamage
    from azbackup.crypto.sealing import derive
    from azbackup.records.bounds import Bounds
    from azbackup.records.partition import Partition
    from azbackup.records.record_store import RecordStore

    vault, show, key = session.vault, session.show, session.key
    keys, space = derive(key.data_key), session.space
    records = RecordStore(vault.cached_rows(space) if rows else None, vault.blobs, keys, space, show.damage)
    after = key.earlier[-1].last if key.earlier else 0
    records.bounds = Bounds(after, is_current=lambda: vault.keystore.is_current(key))
    show.is_known = KnownDamage(records)
    if key.damage:
        show.damage(key.damage)
    return Partition(space, keys, vault.blobs, records)


def open_catalog(session: Session) -> tuple[Partition, Catalog]:
    """The partition and its catalog; read from the records' copies when the table has lost the partition.

    With --before of what was there then.
    """
    if getattr(session.args, "before", None) is not None:
        return _open_past(session)
    from azbackup.records.catalog import Catalog
    from azbackup.storage.local.rollback import HighestSnapshot

    if not session.key.in_table:
        session.show.note("the table has lost this partition: reading the records' copies")
    partition = open_partition(session, rows=session.key.in_table)
    seen = HighestSnapshot(cache_directory(os.environ), partition.keys).number()
    catalog = Catalog(partition.records, seen)
    if not session.key.earlier:
        return partition, catalog
    from azbackup.records.eras import AllEras, Era

    return partition, AllEras(ended_eras(session, rows=session.key.in_table), Era(partition, catalog))


def ended_eras(session: Session, *, rows: bool) -> list[Era]:
    """The eras whose data keys were given up, the first one first; by way of the table's rows or without."""
    if not session.key.earlier:
        return []
    from azbackup.cli.eras import opened_eras

    vault, show = session.vault, session.show
    table = vault.cached_rows if rows else lambda _: None
    return opened_eras(session.key.earlier, vault.partition, table, vault.blobs, show.damage)


def _open_past(session: Session) -> tuple[Partition, Catalog]:
    """The partition and its catalog, of older records alone; its packs are all that there are."""
    from azbackup.cli.before import note_past
    from azbackup.cli.known_damage import KnownDamage
    from azbackup.records.eras import AllEras, Era

    show, before_ns = session.show, session.args.before
    newest = open_partition(session, rows=session.key.in_table)
    ended = [era.partition for era in ended_eras(session, rows=session.key.in_table)]
    eras = [_older(session, partition) for partition in (*ended, newest)]
    partition, own = eras[-1]
    show.is_known = KnownDamage(partition.records)
    catalog = AllEras([Era(*era) for era in eras[:-1]], Era(*eras[-1])) if ended else own
    if not session.args.verify:  # which hears for itself what is wrong with them
        catalog.snapshots(session.args.snapshot)
        note_past(show, [its for _, its in eras], before_ns)
    return partition, catalog


def _older(session: Session, partition: Partition) -> tuple[Partition, PastCatalog]:
    """An era as it was."""
    from azbackup.records.older import OlderBlobs
    from azbackup.records.past import PastCatalog
    from azbackup.records.record_store import RecordStore

    vault, before = session.vault, session.args.before / 1e9
    partition.records.report = lambda _: None  # what is wrong with what came later is no news
    rows = vault.rows_before(before, partition.name) if session.key.in_table else None
    blobs = OlderBlobs(vault.blobs, before)
    records = RecordStore(rows, blobs, partition.keys, partition.name, session.show.damage)
    records.misses_rows = False  # those that were put back since are later than what they say
    records.bounds = partition.records.bounds
    return msgspec.structs.replace(partition, records=records), PastCatalog(records, partition.records)


def chosen_snapshots(args: argparse.Namespace, catalog: Catalog, partition: str) -> list[Snapshot]:
    """The snapshots that --snapshot, --source, --host, --tag and --as-of leave, by number.

    Raises NothingStored if there is none.
    """
    from azbackup.records.snapshots import Wanted, matching_snapshots

    path = absolute_path(args.source, "--source") if args.source is not None else None
    wanted = Wanted(args.snapshot, path, args.host, tuple(args.tag), args.as_of)
    return matching_snapshots(catalog.snapshots(args.snapshot), partition, wanted)


def utc_now() -> str:
    """The time as the key record has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def open_vault(args: argparse.Namespace, show: LineProgress) -> Vault:
    """The adapters that the options and the environment describe; nothing is sent yet.

    Raises UsageError for what cannot be right.
    """
    partition = check_partition(args.partition) if args.partition is not None else ""  # --partitions looks at all
    if not re.fullmatch(r"[a-z0-9](-?[a-z0-9]){2,54}", args.container):
        raise UsageError(
            f"--container: {args.container!r} is not a container name",
            "3 to 55 lower-case letters, digits and single hyphens",
        )
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{2,62}", args.table):
        raise UsageError(f"--table: {args.table!r} is not a table name", "3 to 63 letters and digits, a letter first")
    options = {name: getattr(args, name) for name in ("account", "auth_mode", "endpoint_suffix")}
    secrets = {name: credential_of(args, name) for name in ("accesskey", "sas_token", "connection_string")}
    connection = credentials.connection({**options, **secrets}, os.environ)
    show.account = connection.account
    if not 0 <= args.connections <= _MOST_CONNECTIONS:
        raise UsageError(f"--connections {args.connections}: it is a number from 0 to {_MOST_CONNECTIONS}", "as in: 4")
    limits = Limits(_pace(args.limit_upload), _pace(args.limit_download), show.traffic, args.connections)
    vault = Vault(partition, connection, limits, args.container, args.table)
    stays = bool(getattr(args, "wait", False))
    vault.patience = Patience(_network_seconds(args), stays, report=show.note, clock=time.monotonic)
    return vault


def _network_seconds(args: argparse.Namespace) -> float:
    """How long a network is waited for: whoever sits at a terminal can see to it, a timer at resume cannot."""
    minutes: float | None = args.wait_for_network
    if minutes is None:
        return 0.0 if sys.stderr is not None and sys.stderr.isatty() else _UNATTENDED_SECONDS
    if not minutes >= 0:
        raise UsageError("--wait-for-network is a number of minutes", "give 0 or more")
    return minutes * 60


def _pace(text: str) -> Throttle | None:
    """The pace of a limit, None where there is none at any time of the day."""
    limits = limits_of(text)

    def bytes_per_second() -> float:
        now = time.localtime()
        return kib_at(limits, now.tm_hour * 60 + now.tm_min) * 1024

    return Throttle(bytes_per_second, time.monotonic, time.sleep) if any(limit.kib for limit in limits) else None
