"""A table that has lost a partition gets its rows back, of all data keys."""

from __future__ import annotations

from azbackup.cli.session import Session, ended_eras
from azbackup.commands.maintenance.repair import rebuild_rows, rebuild_table
from azbackup.records.partition import Partition


def rebuild(session: Session, partition: Partition) -> None:
    """Puts them back from their copies, those of the newest era and the key record's at the end."""
    for era in ended_eras(session, rows=True):
        rebuild_rows(era.partition.records)
    rebuild_table(partition.records, session.vault.keystore, session.key, session.show)
