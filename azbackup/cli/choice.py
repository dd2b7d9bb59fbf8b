"""Which snapshots are meant: the records under the password, and what --snapshot and --source choose of them."""

from __future__ import annotations

import argparse
import os

from azbackup.cli.options import absolute_path
from azbackup.cli.output.text import clean
from azbackup.cli.session import Session
from azbackup.crypto.sealing import Keys, derive
from azbackup.errors import NothingStored
from azbackup.format.model import Snapshot
from azbackup.records.catalog import Catalog, choose, latest_by_source
from azbackup.records.record_store import RecordStore
from azbackup.storage.local.cache_file import cache_directory
from azbackup.storage.local.rollback import HighestSnapshot


def open_records(session: Session, rows: bool = True) -> tuple[RecordStore, Keys]:
    """The records under the password, by way of the table's rows or without; what was wrong with the key is damage."""
    vault = session.vault
    keys = derive(session.key.data_key)
    records = RecordStore(vault.cached_rows() if rows else None, vault.blobs, keys, vault.partition)
    records.damage += [session.key.damage] if session.key.damage else []
    return records, keys


def open_catalog(session: Session) -> tuple[Catalog, Keys]:
    """The catalog under the password; read from the records' copies when the table has lost the partition."""
    if not session.key.in_table:
        session.show.note("the table has lost this partition: reading the records' copies")
    records, keys = open_records(session, rows=session.key.in_table)
    return Catalog(records, HighestSnapshot(cache_directory(os.environ), keys).number()), keys


def one_of_each(args: argparse.Namespace, snapshots: list[Snapshot], partition: str) -> list[Snapshot]:
    """The snapshot of --snapshot, else the latest of --source, else the latest of each source. NothingStored."""
    meant = all_meant(args, snapshots, partition)
    return [snapshot for _, snapshot in sorted(latest_by_source(meant).items())]


def all_meant(args: argparse.Namespace, snapshots: list[Snapshot], partition: str) -> list[Snapshot]:
    """The snapshots that --snapshot and --source leave, by number. NothingStored where there is none."""
    source = absolute_path(args.source, "--source") if args.source is not None else None
    if args.snapshot is not None:
        snapshot = choose(snapshots, args.snapshot)
        if source not in (None, snapshot.source):
            raise NothingStored(
                f"snapshot {snapshot.number} is of {os.fsdecode(snapshot.source)}", "leave out --source"
            )
        return [snapshot]
    meant = [snapshot for snapshot in snapshots if source in (None, snapshot.source)]
    if meant:
        return meant
    if source is not None:
        known = ", ".join(clean(os.fsdecode(each)) for each in sorted(latest_by_source(snapshots))) or "none"
        raise NothingStored(f"source {os.fsdecode(source)} is not in partition {partition}", f"its sources: {known}")
    raise NothingStored(
        f"partition {partition} has a key but no snapshot yet",
        "the first backup has not finished: run it again",
    )
