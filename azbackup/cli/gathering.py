"""What a report's figures are made of: records and listings of one partition, asked for once each.

A full restore is planned, as --plan does, and nothing is thawed or read for it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from azbackup.cli.by_era import states_of
from azbackup.cli.output.verify_report import result_text
from azbackup.cli.session import Session, chosen_snapshots, open_catalog
from azbackup.commands.browse.growth import PathGrowth, PathSizes, growth_of
from azbackup.commands.browse.report import (
    Check,
    FullRestore,
    Month,
    Pack,
    Report,
    Staging,
    months_of,
    notable,
    ordered_sources,
    points,
    source_states,
)
from azbackup.commands.restore.outcome import RestoreRequest
from azbackup.commands.restore.run import Restore
from azbackup.format.model import Snapshot
from azbackup.format.verdicts import Verified
from azbackup.packs.layout import PackLayout
from azbackup.packs.thaw.policy import ThawOptions
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import PackStates, is_coming
from azbackup.records.catalog import Catalog
from azbackup.records.eras import Era, eras_of
from azbackup.records.record_store import RecordStore
from azbackup.records.selection import Selection
from azbackup.records.snapshots import latest_of_each_source, source_of
from azbackup.records.verified import newest_results
from azbackup.storage.prices import Prices

_BACK_SECONDS = 30 * 86400.0  # what paths are compared with


def gathered(session: Session, prices: Prices) -> Report:
    """The figures of the partition. Raises NothingStored if it holds no snapshot."""
    vault, now = session.vault, time.time()
    partition, catalog = open_catalog(session)
    snapshots = chosen_snapshots(session.args, catalog, vault.partition)
    eras = [(era, states_of(session, era)) for era in eras_of(partition, catalog)]
    packs = [pack for era, states in eras for pack in _packs(era.catalog, states)]
    newest = latest_of_each_source(snapshots)
    what = (newest, prices, now)
    restores = [_full_restore(session, era, states, what) for era, states in eras]
    months = months_of(packs, now, prices)
    versions = points(snapshots, packs)
    return Report(
        partition=vault.partition,
        place=vault.place,
        made=now,
        sources=source_states(snapshots, now, session.args.max_age),
        snapshots=versions,
        protected=versions[-1].protected,
        versions=sum(snapshot.totals.size for snapshot in snapshots),
        stored=sum(pack.size for pack in packs),
        packs=len(packs),
        tiers=months[-1].total if months else {},
        month_cost=_month_cost(months),
        months=months,
        growth=notable(_growth(catalog, snapshots, now)),
        restore=_together([each for each in restores if each is not None]),
        staging=_staging([states for _, states in eras]),
        checks=_checks(partition.records),
        currency=prices.currency,
        prices=f"{prices.region}, {prices.as_of}",
        damage=list(session.show.damaged),
    )


def _packs(catalog: Catalog, states: PackStates) -> list[Pack]:
    """The packs that have a record and are there, in the tiers that the listing shows: others may be anything."""
    states.list_packs()
    found = []
    for pack_id, record in catalog.packs():
        info = states.info(PackLayout(pack_id, record))
        if info is not None:
            found.append(Pack(pack_id, record.size, info.tier))
    return found


def _month_cost(months: Sequence[Month]) -> float:
    return sum(months[-1].cost.values()) if months else 0.0


def _full_restore(
    session: Session, era: Era, states: PackStates, what: tuple[Sequence[Snapshot], Prices, float]
) -> FullRestore | None:
    """What a restore of the newest snapshots of sources would take that are of one era."""
    newest, prices, now = what
    partition, catalog = era
    named = [(each, b"" if len(newest) == 1 else b"%d" % number) for number, each in enumerate(newest)]
    chosen = [(each, prefix) for each, prefix in named if era.has(each.number)]
    if not chosen:
        return None
    catalog.snapshots()
    request = RestoreRequest(
        snapshots=chosen,
        destination=None,
        selection=Selection([], [], []),
        thaw=ThawOptions(),
        prices=prices,
        now=lambda: now,
        plan_only=True,
    )
    thaw = ThawRequests(states, session.vault.staging, "")
    plan = Restore(request, partition, catalog, thaw, session.show).run().estimate
    if plan is None:
        return None
    there = [line for line in plan.packs if line.state != "missing"]
    return FullRestore(
        files=plan.files,
        size=plan.size,
        packs=len(there),
        whole=sum(line.size for line in there),
        needed=plan.read_bytes,
        thaw=plan.thaw_bytes,
        hours=plan.hours,
        total=plan.total,
        lost_files=plan.lost.files,
    )


def _together(parts: Sequence[FullRestore]) -> FullRestore | None:
    """What the restores of several eras take, at the same time."""
    if len(parts) < 2:
        return parts[0] if parts else None
    names = ("files", "size", "packs", "whole", "needed", "thaw", "lost_files")
    sums = {name: sum(getattr(each, name) for each in parts) for name in names}
    hours = {priority: max(each.hours[priority] for each in parts) for priority in parts[0].hours}
    total = {priority: sum(each.total[priority] for each in parts) for priority in parts[0].total}
    return FullRestore(**sums, hours=hours, total=total)


def _growth(catalog: Catalog, snapshots: Sequence[Snapshot], now: float) -> list[PathGrowth]:
    """The paths of the newest snapshot of each source, beside the one of a month ago, or its first."""
    numbers = {source: number for number, source in enumerate(ordered_sources(snapshots))}
    found: list[PathGrowth] = []
    for newest in latest_of_each_source(snapshots):
        source = source_of(newest)
        older = [each for each in snapshots if source_of(each) == source and each is not newest]
        back = [each for each in older if each.finished_ns / 1e9 <= now - _BACK_SECONDS]
        before = back[-1] if back else older[0] if older else None
        found += growth_of(
            numbers[source],
            PathSizes(catalog.entries(newest)),
            None if before is None else PathSizes(catalog.entries(before)),
            0.0 if before is None else before.finished_ns / 1e9,
        )
    return found


def _staging(every: Sequence[PackStates]) -> Staging:
    for states in every:
        if not states.used_staging:
            states.list_staging()
    copies = [copy for states in every for copy in states.staged.values()]
    waiting = sum(len(states.marked) for states in every)
    return Staging(len(copies), sum(copy.size for copy in copies), sum(map(is_coming, copies)), waiting)


def _checks(records: RecordStore) -> list[Check]:
    newest = newest_results(records)
    return [_check(kind, result) for kind, result in zip(("records", "contents"), newest, strict=True) if result]


def _check(kind: str, result: Verified) -> Check:
    return Check(kind, result.finished_ns / 1e9, result.damages, result.known, result_text(result))
