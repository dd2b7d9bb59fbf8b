"""A restore of snapshots that are under several data keys: those of each are restored by themselves."""

from __future__ import annotations

import argparse

from azbackup.cli.options.places import stream
from azbackup.cli.session import Session
from azbackup.commands.restore.tree import Chosen
from azbackup.errors import UsageError
from azbackup.format.model import Snapshot
from azbackup.packs.thaw.states import PackStates
from azbackup.records.catalog import Catalog
from azbackup.records.eras import AllEras, Era


def states_of(session: Session, era: Era) -> PackStates:
    """What can be read of an era's packs, nothing of it listed yet."""
    return PackStates(session.vault.blobs, session.vault.staging, era.partition.name)


def by_era(args: argparse.Namespace, newest: Era, catalog: Catalog, chosen: Chosen) -> list[tuple[Era, Chosen]]:
    """The snapshots by their eras; `catalog` is that of all. Raises UsageError for what takes those of one alone."""
    if not isinstance(catalog, AllEras):
        return [(newest, chosen)]
    groups: dict[str, tuple[Era, list[tuple[Snapshot, bytes]]]] = {}
    for snapshot, prefix in chosen:
        era = catalog.past_of(snapshot.number) or newest
        groups.setdefault(era.partition.name, (era, []))[1].append((snapshot, prefix))
    if len(groups) > 1 and (stream(args) or args.delete):
        raise UsageError(
            "the data key was renewed between these snapshots: they are restored one after the other",
            "choose one by --source DIR: --tar, --stdout and --delete take what is under one data key",
        )
    return [(era, its) for era, its in groups.values()]
