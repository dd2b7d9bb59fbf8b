"""What a restore says, in words and as JSON values: its plan, what is pending, how to go on. Pure.

The JSON values are an interface: docs/restore.md describes them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from azbackup.cli.output.losses import lost_lines
from azbackup.cli.output.text import clean, clock_text, count_text, hours_text, money_text, size_text
from azbackup.commands.restore.estimate import Estimate, Room
from azbackup.commands.restore.outcome import RestoreResult
from azbackup.packs.thaw.states import Pending

_COLUMNS = {
    "thaw": "thaw",
    "thawed_storage": "staging",
    "early_deletion": "fee",
    "reading": "reading",
    "egress": "egress",
    "other": "other",
}

_WORTH_A_WORD = 0.01
_MUCH = 1.25  # times what is needed is thawed


# --- the plan


def plan_values(plan: Estimate) -> dict[str, Any]:
    """The plan as JSON values."""
    values: dict[str, Any] = msgspec.to_builtins(plan)
    return {**values, "price": plan.price}


def plan_lines(plan: Estimate, *, whole: bool) -> list[str]:
    """The plan for people: how long, how much, and what it is for; `whole`: every figure, and each pack."""
    already = f" ({plan.already:,} more are there already)" if plan.already else ""
    lines = [("to restore", f"{count_text(plan.files, 'file')}, {size_text(plan.size)}{already}")]
    for (state, tier), (count, size) in sorted(plan.by_state().items()):
        shown = state if state in ("archived", "missing") else f"{state} ({tier})"
        lines.append(("packs", f"{count:,} {shown}, {size_text(size)}"))
    lines += _fragments(plan)
    lines += [("lost", text) for text in lost_lines(plan)]
    if whole:
        lines += _figures(plan)
    lines += _table(plan)
    if plan.priority != "standard":
        lines.append(("asked for", plan.priority))
    if plan.room is not None:
        lines.append(("room", room_text(plan.room)))
    lines.append(("prices", f"{plan.prices} (--region, --prices)"))
    return [f"{heading + ':' if heading else '':12} {text}" for heading, text in lines] + _directories(plan)


def _fragments(plan: Estimate) -> list[tuple[str, str]]:
    """How much more is thawed than is needed, and what a rewriting backup would save; no line where that is little."""
    found, lines = plan.fragments, []
    if found.needed and plan.thaw_bytes > _MUCH * found.needed:
        times = plan.thaw_bytes / found.needed
        lines.append(("needed", f"{size_text(found.needed)} of what thaws, which is {times:,.1f} times that"))
    if found.packs:
        saves = found.saves["standard" if plan.priority == "standard" else "high"]
        less = f"{size_text(found.size - found.full_size)} and {money_text(saves, plan.currency)} less"
        lines.append(("fragments", f"{count_text(found.packs, 'pack')}; rewritten {found.full_packs:,}: {less}"))
    return lines


def _directories(plan: Estimate) -> list[str]:
    """A table of what each top directory takes, the dearest first; no line where it was not asked for."""
    if not plan.directories:
        return []
    lines = ["", f"{'if alone':>16}  {'files':>9}  {'size':>10}  {'packs':>6}  {'shared':>6}  directory"]
    for share in plan.directories:
        price = money_text(share.price, plan.currency)
        sizes = f"{share.files:9,}  {size_text(share.size):>10}  {share.packs:6,}  {share.shared:6,}"
        lines.append(f"{price:>16}  {sizes}  {clean(share.directory) or '.'}")
    return lines


def _figures(plan: Estimate) -> list[tuple[str, str]]:
    lines = [("", f"{line.pack}  {line.state}  {size_text(line.size)}") for line in plan.packs]
    lines.append(("to thaw", size_text(plan.thaw_bytes)))
    lines.append(("to read", size_text(plan.read_bytes)))
    return [*lines, ("requests", ", ".join(f"{count:,} {kind}" for kind, count in plan.requests.items() if count))]


def _table(plan: Estimate) -> list[tuple[str, str]]:
    """Hours and money at each priority; what is shown of the items adds up to what is shown in all."""
    decimals = 2 if max(plan.total.values()) >= 1 else 4
    items = [name for name in _COLUMNS if any(cost.get(name) for cost in plan.costs.values())]
    lines = [("", f"{'at most':>7}{''.join(f'{_COLUMNS[name]:>9}' for name in items)}{'in all':>9}")]
    for priority, cost in plan.costs.items():
        amounts = [round(cost.get(name, 0.0), decimals) for name in items]
        shown = "".join(f"{amount:9.{decimals}f}" for amount in [*amounts, sum(amounts)])
        lines.append((priority, f"{f'{plan.hours[priority]:.0f} h':>7}{shown} {plan.currency}"))
    if plan.priority == "mixed":
        lines.append(("mixed", f"{f'{plan.longest:.0f} h':>7}  at most the price of high"))
    return lines


def room_text(room: Room) -> str:
    """What is to be written, and what is free there."""
    needed = f"{size_text(room.size)} to be written, {size_text(room.free)} free in {room.where}"
    if room.free_inodes is not None and room.inodes > room.free_inodes:
        needed += f"; {room.inodes:,} files to be made, {room.free_inodes:,} more fit there"
    return f"NOT ENOUGH: {needed}" if room.is_lacking else needed


def start_rows(plan: Estimate) -> list[tuple[str, str]]:
    """The plan in a few rows, none where it costs and takes nothing worth a line."""
    if not plan.thaw_bytes and plan.price < _WORTH_A_WORD:
        return []
    asks = sum(line.state == "archived" for line in plan.packs)
    free = f", {size_text(plan.room.free)} free there" if plan.room is not None else ""
    rows = [("to restore", f"{count_text(plan.files, 'file')}, {size_text(plan.size)}{free}")]
    if asks:
        size = size_text(plan.thaw_bytes)
        rows.append(("to thaw", f"{count_text(asks, 'pack')}, {size}: {hours_text(plan.longest)}"))
    more = "; see --plan"
    if asks and plan.priority == "standard":
        high = money_text(plan.total["high"], plan.currency)
        more = f"; high: {high}, {hours_text(plan.hours['high'])}"
    rows.append(("price", f"{money_text(plan.price, plan.currency)} in all{more}"))
    return rows


def question_text(plan: Estimate) -> str:
    """What a restore takes at each priority, for whoever is asked whether it may cost that."""
    rows = [
        (name, hours_text(plan.hours[name]), money_text(total, plan.currency)) for name, total in plan.total.items()
    ]
    if plan.priority == "mixed":
        rows.append(("mixed", hours_text(plan.longest), f"{money_text(plan.price, plan.currency)} at most"))
    lines = [f"It takes, at the prices of {plan.prices}:"]
    for name, hours, price in rows:
        lines.append(f"  {name:<9} {hours:>12} {price:>14}{'   as asked for' if name == plan.priority else ''}")
    return "\n".join(lines) + "\n"


# --- what is pending


def pending_text(pending: Pending | None, later_packs: int, now: float) -> str:
    """What is on its way since when, and what waits for the budget."""
    parts = []
    if pending is not None:
        since = f" since {clock_text(pending.since)}" if pending.since else ""
        until = f", all there by {clock_text(pending.until)} at the latest" if pending.until > now else ""
        parts.append(f"{count_text(pending.packs, 'pack')} ({size_text(pending.size)}) thawing{since}{until}")
    if later_packs:
        parts.append(f"{count_text(later_packs, 'pack')} waiting for the next hour's budget at high priority")
    return "; ".join(parts) or "no pack is on its way"


def waiting_text(outcome: RestoreResult) -> str:
    """Whether files still wait for packs, for a run whose status does not say so."""
    if not outcome.pending_files:
        return "no file waits for a pack that thaws"
    count = count_text(outcome.pending_files, "file")
    return (
        f"{count} still {'waits' if outcome.pending_files == 1 else 'wait'} for packs to thaw: run it again, as with 75"
    )


# --- the end


def outcome_values(outcome: RestoreResult, again: str) -> dict[str, Any]:
    """Returns the outcome as JSON values."""
    copies, size = outcome.staged
    return {
        **{name: value for name, value in vars(outcome).items() if isinstance(value, int)},
        "pending": msgspec.to_builtins(outcome.pending) if outcome.pending else None,
        "staged_copies": copies,
        "staged_size": size,
        "again": (again or None) if outcome.pending_files or outcome.problems else None,
    }


def outcome_rows(outcome: RestoreResult, yet: str, now: float) -> list[tuple[str, str]]:
    """What still waits, since when and until when; what lies in the staging container; what could not be restored.

    `yet` says what the files that wait lack.
    """
    rows = []
    if outcome.pending_files:
        rows.append(("waiting", f"{count_text(outcome.pending_files, 'file')} {yet}"))
        rows += _thaw_rows(outcome.pending, outcome.later_packs, now)
    if text := staged_text(outcome):
        rows.append(("staging", text))
    if outcome.problems:
        rows.append(("problems", f"{outcome.problems:,} could not be restored"))
    return rows


def _thaw_rows(pending: Pending | None, later_packs: int, now: float) -> list[tuple[str, str]]:
    if pending is None and not later_packs:
        return [("thawing", "no pack is on its way")]
    rows = []
    if pending is not None:
        since = f", since {clock_text(pending.since)}" if pending.since else ""
        rows.append(("thawing", f"{count_text(pending.packs, 'pack')}, {size_text(pending.size)}{since}"))
        if pending.until > now:
            rows.append(("", f"all there by {clock_text(pending.until)} at the latest"))
    if later_packs:
        rows.append(("later", f"{count_text(later_packs, 'pack')}, for the next hour's budget at high priority"))
    return rows


def staged_text(outcome: RestoreResult) -> str:
    """Describes the copies in the staging container and says how they go; '' if there is none."""
    copies, size = outcome.staged
    if not copies:
        return ""
    found = f"{count_text(copies, 'copy')}, {size_text(size)}"
    if not outcome.others:
        return f"{found}; the last restore removes them, or --discard-thawed"
    wait = "waits" if outcome.others == 1 else "wait"
    return f"{found}, {count_text(outcome.others, 'other restore')} still {wait} for them"


def thawed_text(outcome: RestoreResult) -> str:
    """How far a run is that only thaws."""
    plan = outcome.estimate
    files, size = (plan.files, plan.size) if plan is not None else (0, 0)
    if outcome.pending_files:
        return f"{files - outcome.pending_files:,} of {count_text(files, 'file')} can be read"
    return f"all packs can be read: {count_text(files, 'file')}, {size_text(size)}; restore within seven days"


def done_text(outcome: RestoreResult) -> str:
    """Counts the files that were restored, and those that were not."""
    parts = [f"restored {count_text(outcome.files, 'file')}, {size_text(outcome.size)}"]
    parts += (
        [f"{outcome.already:,} {'was' if outcome.already == 1 else 'were'} there already"] if outcome.already else []
    )
    parts += [f"{outcome.kept:,} kept as found"] if outcome.kept else []
    parts += [f"{outcome.set_aside:,} kept as .before-restore"] if outcome.set_aside else []
    return ", ".join(parts)
