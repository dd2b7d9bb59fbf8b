"""The command line of restore.py --verify --read-data: a drill, from its price to its bill. 75 while packs thaw.

What a drill has chosen and opened so far is kept in sealed records: the same command goes on, from any host.
"""

from __future__ import annotations

import hmac
import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from azbackup.cli.output.again import again_text
from azbackup.cli.output.plan_report import pending_text
from azbackup.cli.output.text import clean, count_text, money_text, size_text, time_text
from azbackup.cli.restore import waiter
from azbackup.cli.session import Session
from azbackup.commands.maintenance.drill import Clocks, Drill, Drilled
from azbackup.commands.maintenance.findings import Findings, What
from azbackup.commands.maintenance.sampling import Bill, Candidate, Wish, chosen, price_of
from azbackup.commands.maintenance.unreadable import tell_touched
from azbackup.commands.maintenance.verify import Verification
from azbackup.crypto.secret import Secret
from azbackup.errors import UsageError
from azbackup.format.labels import stamp
from azbackup.format.verdicts import PROVEN, Verified
from azbackup.packs.layout import PackLayout
from azbackup.packs.reader import PackReader
from azbackup.packs.thaw.policy import HIGH_HOURS, STANDARD_HOURS, ThawOptions
from azbackup.packs.thaw.requests import ThawRequests
from azbackup.packs.thaw.states import PackStates
from azbackup.records.catalog import Catalog
from azbackup.records.partition import Partition
from azbackup.records.settlements import subject_of
from azbackup.records.verified import keep_result, open_drill
from azbackup.storage.prices import Prices, load_prices

_STALE_NS = 7 * 86400 * 10**9  # after which the mark of what waits is forgotten, and with it the drill


@dataclass
class Drilling:
    """A drill of this command: what it began as, what it did, how it ended."""

    result: Verified
    pending: str = ""  # what is on its way, '' where the drill came to its end
    planned: bool = False  # nothing was done: --plan


def drill(session: Session, partition: Partition, catalog: Catalog, found: Verification) -> Drilling:
    """Goes on with the drill that was begun with the same options, or begins one; its findings are added."""
    args, show = session.args, session.show
    wish = Wish(args.sample, args.budget, args.max_cost)
    prices = load_prices(args.prices, args.region)
    parts = open_drill(partition.records, str(wish), time.time_ns() - _STALE_NS)
    name = parts[0].drill if parts else stamp(time.time(), os.urandom(8))
    states = PackStates(session.vault.blobs, session.vault.staging, session.vault.partition)
    packs, candidates = _chosen(catalog, states, wish, partition.keys.record_key, (name, prices, args.priority))
    opened = {pack_id for part in parts for pack_id in part.proven}
    todo = [pack for pack in packs if pack.pack_id not in opened]
    price = parts[0].cost if parts else price_of(candidates, _bill(prices, args.priority))
    first = Verified(
        started_ns=parts[0].started_ns if parts else time.time_ns(),
        finished_ns=time.time_ns(),
        host=socket.gethostname(),
        snapshots=len(found.snapshots),
        packs=found.packs,
        size=found.size,
        read=True,
        sample_packs=len(packs),
        cost=price,
        currency=prices.currency,
        drill=name,
        wish=str(wish),
        pending=True,
    )
    show.note(_start_text(first, candidates, found, args.priority, opened=len(opened)))
    if args.plan:
        return Drilling(first, planned=True)
    if not parts and any(each.archived for each in candidates):
        keep_result(partition.records, stamp(time.time(), os.urandom(8)), first)  # before anything is paid for
    show.again = again_text(sys.orig_argv, None)
    thaw = ThawRequests(states, session.vault.staging, _mark(partition, name))
    wait = waiter(args.poll_interval, show) if args.wait else None
    drilled = Drill(thaw, PackReader(partition.keys), found.findings, show, Clocks(time.time, wait)).run(
        todo, ThawOptions(args.priority, int(args.high_budget * 1024**3))
    )
    if drilled.faulty:
        tell_touched(catalog, found.snapshots, packs, drilled.faulty, (states, found.findings, show))
    return _ended(partition, parts, first, drilled, found.findings)


def _chosen(
    catalog: Catalog, states: PackStates, wish: Wish, key: Secret, how: tuple[str, Prices, str]
) -> tuple[list[PackLayout], list[Candidate]]:
    """The packs of the drill, in their order, among those that were stored before it began."""
    name, prices, priority = how
    states.list_packs()
    candidates = []
    for pack_id, record in catalog.packs():
        info = states.listed.get(states.name_of_id(pack_id))
        if info is not None and states.agrees(pack_id, record) and pack_id[:16] <= name[:16]:
            archived = info.tier == "archive" or info.pending
            candidates.append(Candidate(pack_id, record.size, info.tier, archived))
    drawn = chosen(candidates, wish, key, name, _bill(prices, priority))
    _check(candidates, drawn, wish)
    wanted = {each.pack_id for each in drawn}
    records = ((pack_id, record) for pack_id, record in catalog.packs() if pack_id in wanted)
    layouts: dict[str, PackLayout] = {pack_id: PackLayout(pack_id, record) for pack_id, record in records}
    packs = [layouts[each.pack_id] for each in drawn if each.pack_id in layouts]
    states.look(packs)
    return packs, drawn


def _check(candidates: list[Candidate], drawn: list[Candidate], wish: Wish) -> None:
    """Raises UsageError where nothing would be opened: that is no success."""
    if candidates and not drawn:
        if wish.thaws:
            raise UsageError("no pack is within --budget or --max-cost", "a pack has up to 64 MiB: give more")
        raise UsageError(
            "no pack is online", "--sample 5%, --budget 10GiB or --max-cost 2 thaws a random choice of them"
        )


def _bill(prices: Prices, priority: str) -> Bill:
    return Bill(prices, high=priority != "standard")


def _mark(partition: Partition, name: str) -> str:
    """The name of the drill's mark in the staging container."""
    return hmac.digest(partition.keys.record_key.reveal(), b"drill mark\0" + name.encode(), "sha256")[:8].hex()


def _start_text(first: Verified, packs: list[Candidate], found: Verification, priority: str, *, opened: int) -> str:
    """What the drill is going to do."""
    size = sum(each.size for each in packs)
    archived = [each for each in packs if each.archived]
    hours = HIGH_HOURS if priority == "high" else STANDARD_HOURS
    thaw = f", {count_text(len(archived), 'archived pack')} among them: at most {hours:.0f} h" if archived else ""
    before = f"; {opened:,} were opened before" if opened else ""
    what = f"{len(packs):,} of {count_text(found.packs, 'pack')}, {size_text(size)}"
    return f"drill: {what}{thaw}; estimated bill {money_text(first.cost, first.currency)}{before}"


def _ended(
    partition: Partition, parts: list[Verified], first: Verified, drilled: Drilled, findings: Findings
) -> Drilling:
    """Keeps what was done: as a part while something thaws, else as the result of all parts together."""
    for text in (text for part in parts for text in part.first):
        findings.add(What.PACK_UNREADABLE, subject_of(text), text)
    group = findings.groups.get(What.PACK_UNREADABLE)
    texts = [each.text for each in group.first] if group is not None else []
    part = msgspec.structs.replace(
        first,
        finished_ns=time.time_ns(),
        read_packs=len(drilled.proven) + len(drilled.faulty),
        read_bytes=drilled.size,
        read_seconds=drilled.read_seconds,
        thaw_seconds=max(0.0, drilled.thawed_at - first.started_ns / 1e9) if drilled.thawed_at else 0.0,
    )
    if drilled.waits:
        opened = [*drilled.proven, *drilled.faulty]
        for at in range(0, max(1, len(opened)), PROVEN):
            its = msgspec.structs.replace(part, proven=opened[at : at + PROVEN], first=texts[:20])
            if at:
                its = msgspec.structs.replace(its, read_packs=0, read_bytes=0, read_seconds=0.0)
            keep_result(partition.records, stamp(time.time(), os.urandom(8)), its)
        return Drilling(part, pending=pending_text(drilled.pending, 0, time.time()) or "packs are thawing")
    result = msgspec.structs.replace(
        part,
        pending=False,
        read_packs=part.read_packs + sum(each.read_packs for each in parts),
        read_bytes=part.read_bytes + sum(each.read_bytes for each in parts),
        read_seconds=part.read_seconds + sum(each.read_seconds for each in parts),
        damages=len(texts),
        first=[clean(text)[:1000] for text in texts[:20]],
    )
    keep_result(partition.records, stamp(time.time(), os.urandom(8)), result)
    return Drilling(result)


def end_text(drilling: Drilling) -> str:
    """What the drill has proven, how long it took, and its bill."""
    result = drilling.result
    thaw = (
        f"; all had thawed {time_text(result.thaw_seconds)} after the first was asked for"
        if result.thaw_seconds
        else ""
    )
    speed = result.read_bytes / result.read_seconds if result.read_seconds else 0.0
    whole = f", the whole partition takes {time_text(result.size / speed)} at that speed" if speed else ""
    return (
        f"drill: {count_text(result.read_packs, 'pack')}, {size_text(result.read_bytes)} opened in "
        f"{time_text(result.read_seconds)}{whole}{thaw}; estimated bill {money_text(result.cost, result.currency)}"
    )


def drill_values(drilling: Drilling) -> dict[str, Any]:
    """The drill as JSON values."""
    names = ("sample_packs", "read_packs", "read_bytes", "read_seconds", "thaw_seconds", "cost", "currency")
    values = {name: getattr(drilling.result, name) for name in names}
    return {"drill": {**values, "pending": drilling.pending, "planned": drilling.planned}}
