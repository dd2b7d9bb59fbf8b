"""The page of all partitions of a container: from names, sizes and times alone, as they need no password. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from azbackup.cli.output.partition_table import age_text
from azbackup.cli.output.report.charts import named_bars
from azbackup.cli.output.report.markup import behind, card, moment_text, table, text, tile
from azbackup.cli.output.report.page import page
from azbackup.cli.output.text import count_text, money_text, size_text
from azbackup.commands.browse.fleet import Fleet, Member

_BARS = 30


def fleet_page(fleet: Fleet) -> str:
    """The page."""
    members = fleet.partitions
    old = sum(member.too_old for member in members)
    tiles = [
        tile("partitions", f"{len(members):,}"),
        tile("too old", f"{old:,}", f"older than {age_text(fleet.expected)}", bad=old > 0),
        tile("stored", size_text(sum(member.size for member in members))),
        tile("a month", money_text(sum(member.month_cost for member in members), fleet.currency)),
    ]
    return page(
        f"{fleet.place}: all partitions",
        under=moment_text(fleet.made),
        state=f"{count_text(old, 'partition')} too old" if old else "all is well",
        bad=old > 0,
        tiles=tiles,
        cards=[_table(fleet), *_sizes(members)],
        foot=f"From names, sizes and times alone, without any password. Prices: {fleet.prices}, an estimate.",
    )


def _table(fleet: Fleet) -> str:
    rows = [
        [
            text(member.partition),
            text("never" if member.age is None else age_text(member.age)) + (" — too old" if member.too_old else ""),
            "-" if member.newest_backup is None else text(moment_text(member.newest_backup)),
            f"{member.snapshots:,}",
            f"{member.packs:,}",
            size_text(member.size),
            text(money_text(member.month_cost, fleet.currency)),
            text(", ".join(f"{tier} {size_text(size)}" for tier, size in member.tiers.items())),
        ]
        for member in fleet.partitions
    ]
    heads = ("partition", "age", "newest backup", "snapshots", "packs", "size", "a month", "by tier")
    return card("Partitions", table(heads, rows, marks=[member.too_old for member in fleet.partitions]), wide=True)


def _sizes(members: list[Member]) -> Iterator[str]:
    largest = sorted(members, key=lambda member: (-member.size, member.partition))[:_BARS]
    if largest:
        rows = [(member.partition, float(member.size), size_text(member.size)) for member in largest]
        figures = table(("partition", "size"), [[text(name), text(size)] for name, _, size in rows])
        yield card("Largest partitions", named_bars("bytes stored by partition", rows) + behind("the figures", figures))
