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

_HEADINGS = {
    "thaw": "thawing",
    "thawed_storage": "two days of the thawed bytes in Hot",
    "early_deletion": "early-deletion fee",
    "reading": "reading",
    "egress": "data sent out of Azure",
    "other": "listings, records and marks",
}

_LARGEST = 2
_WORTH_A_WORD = 0.01


# --- the plan


def plan_values(plan: Estimate) -> dict[str, Any]:
    """The plan as JSON values."""
    values: dict[str, Any] = msgspec.to_builtins(plan)
    return {**values, "price": plan.price}


def plan_lines(plan: Estimate, *, whole: bool) -> list[str]:
    """The plan for people: how long, how much, and what most of it is for; `whole`: every figure, and each pack."""
    already = f" ({plan.already:,} more are there already)" if plan.already else ""
    lines = [("to restore", f"{count_text(plan.files, 'file')}, {size_text(plan.size)}{already}")]
    for (state, tier), (count, size) in sorted(plan.by_state().items()):
        shown = state if state in ("archived", "missing") else f"{state} ({tier})"
        lines.append(("packs", f"{count:,} {shown}, {size_text(size)}"))
    lines += [("lost", text) for text in lost_lines(plan)]
    if whole:
        lines += _figures(plan)
    for priority, total in plan.total.items():
        asked = "  (as asked for)" if priority == plan.priority else ""
        lines.append((priority, f"{hours_text(plan.hours[priority])}, {money_text(total, plan.currency)}{asked}"))
    if plan.priority == "mixed":
        lines.append(("mixed", f"{hours_text(plan.longest)}, {money_text(plan.price, plan.currency)} at most"))
    lines += _items(plan, whole=whole)
    if plan.room is not None:
        lines.append(("room", room_text(plan.room)))
    lines.append(("prices", f"{plan.prices} (--region, --prices)"))
    return [f"{heading + ':' if heading else '':12} {text}" for heading, text in lines] + _directories(plan)


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


def _items(plan: Estimate, *, whole: bool) -> list[tuple[str, str]]:
    """What the money is for: all of it, or the two largest items where they come to something."""
    if whole:
        items = plan.cost.items()
        return [("", f"{money_text(amount, plan.currency):>16}  {_HEADINGS[name]}") for name, amount in items]
    largest = sorted(plan.cost, key=lambda name: -plan.cost[name])[:_LARGEST]
    worth = [name for name in largest if plan.cost[name] >= _WORTH_A_WORD]
    texts = [f"{money_text(plan.cost[name], plan.currency)} {_HEADINGS[name]}" for name in worth]
    return [("mostly", ", ".join(texts))] if texts else []


def room_text(room: Room) -> str:
    """What is to be written, and what is free there."""
    needed = f"{size_text(room.size)} to be written, {size_text(room.free)} free in {room.where}"
    if room.free_inodes is not None and room.inodes > room.free_inodes:
        needed += f"; {room.inodes:,} files to be made, {room.free_inodes:,} more fit there"
    return f"NOT ENOUGH: {needed}" if room.is_lacking else needed


def start_text(plan: Estimate) -> str:
    """The plan in one line, '' where it costs and takes nothing worth a line."""
    if not plan.thaw_bytes and plan.price < _WORTH_A_WORD:
        return ""
    asks = sum(line.state == "archived" for line in plan.packs)
    thaw = f"; to thaw: {count_text(asks, 'pack')} ({size_text(plan.thaw_bytes)}), {hours_text(plan.longest)}"
    return (
        f"to restore: {count_text(plan.files, 'file')}, {size_text(plan.size)}{thaw if asks else ''}; "
        f"{money_text(plan.price, plan.currency)} in all (--plan shows how)"
    )


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


def staged_text(outcome: RestoreResult) -> str:
    """Describes the copies in the staging container and says how they go; '' if there is none."""
    copies, size = outcome.staged
    if not copies:
        return ""
    wait = "waits" if outcome.others == 1 else "wait"
    others = f", {count_text(outcome.others, 'other restore')} still {wait} for them" if outcome.others else ""
    return (
        f"{count_text(copies, 'copy')} ({size_text(size)}) in the staging container{others}; "
        "the last restore removes them, or --discard-thawed"
    )


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
    parts += [f"{outcome.pending_files:,} not yet"] if outcome.pending_files else []
    parts += [f"{outcome.problems:,} could not be restored"] if outcome.problems else []
    return ", ".join(parts)
