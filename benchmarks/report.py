"""The Markdown page: where and when, one table of all medians, and the goals."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable

from benchmarks.goals import Result
from benchmarks.samples import CLASSES, DIRECT, DISTANT, OPERATIONS, Medians

_PEERS = ("restic", "rclone")  # on the same storage; borg has a local disk
_INTRODUCTION = """# azbackup beside restic, rclone crypt and borg

Made by `make bench`; the samples are in [results.csv](results.csv). All tools in turn, each on a new Azurite (in
memory, on this machine) in every round; medians. **S**: many small files of text, one in five a duplicate. **L**: three
large files of noise, one a copy of another. **M**: a real tree (the standard library, Python and Node.js packages).
*Changed*: 1 % of the files of S and M got a line more; in L five MiB were overwritten in one file and 64 bytes inserted
into another. *Restore*: into an empty directory with an empty home; what came back was compared with the source.

Wall times directly and with 20 ms added to every request. CPU (direct) is that of the whole process tree, the peak that
of the largest process. Requests are write / list / read / other / table, counted by the proxy. Objects and bytes are
what is stored after the run: blobs and rows. `x` is azbackup's wall time divided by the best peer's on the same storage
(restic's or rclone's): below 1 is faster. rclone keeps a copy of every file and no snapshots: where nothing changed it
only compares a listing, without a password to derive a key from, and does less than the others. borg writes to a local
disk, without any network, and is no peer in this sense. Packs go to the hot tier here. restic's `init` is not counted.
A restore of azbackup ends when everything is on the disk; the others leave that to the kernel.

![wall times](results.svg)
"""


def machine() -> str:
    """What this was run on, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def page(medians: Medians, goals: list[Result], facts: Iterable[str]) -> str:
    """All of it. `facts` are lines about versions, trees and what was left out."""
    date = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [_INTRODUCTION, f"- {date}: {machine()}", *(f"- {fact}" for fact in facts), "", *table(medians), ""]
    lines += ["## Goals", "", *goal_table(goals), ""]
    return "\n".join(lines)


def table(medians: Medians) -> list[str]:
    """One line for each tree, operation and tool."""
    lines = [
        "| data | run | tool | direct s | x | 20 ms s | x | CPU s | peak MB | requests | w/l/r/o/t | objects | MB |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    for tree in medians.trees():
        for operation in OPERATIONS:
            for tool in medians.tools():
                cells = _cells(medians, tree, operation, tool)
                if cells:
                    lines.append("| " + " | ".join([tree, operation, tool, *cells]) + " |")
    return lines


def _cells(medians: Medians, tree: str, operation: str, tool: str) -> list[str]:
    def number(measure: str, link: str, form: str, unit: float = 1) -> str:
        value = medians.of(measure, link, tree, tool, operation)
        return "" if value is None else format(value / unit, form)

    cells = []
    for link in (DIRECT, DISTANT):
        cells += [number("wall", link, ".2f"), _ratio(medians, link, tree, operation) if tool == "azbackup" else ""]
    if not any(cells):
        return []
    known = DIRECT if medians.of("wall", DIRECT, tree, tool, operation) is not None else DISTANT
    cells += [number("cpu", known, ".2f"), number("peak", known, ".0f", 1e6)]
    counted = medians.of("requests", DISTANT, tree, tool, operation)
    classes = "/".join(number(name, DISTANT, ".0f") for name in CLASSES[:5])
    cells += [f"{counted:,.0f}", classes] if counted else ["", ""]
    return [*cells, number("objects", known, ",.0f"), number("stored", known, ".1f", 1e6)]


def _ratio(medians: Medians, link: str, tree: str, operation: str) -> str:
    ours = medians.of("wall", link, tree, "azbackup", operation)
    peers = [medians.of("wall", link, tree, peer, operation) for peer in _PEERS]
    theirs = [wall for wall in peers if wall]
    return f"{ours / min(theirs):.2f}" if ours and theirs else ""


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 2 and float(value).is_integer() else f"{value:.3f}"


def goal_table(goals: list[Result]) -> list[str]:
    """Each goal, what was reached, and whether it is met."""
    lines = ["| data | run | what | goal | reached | |", "| --- | --- | --- | ---: | --- | --- |"]
    for each in goals:
        sign = "at least" if each.at_least else "at most"
        reached = ", ".join(f"{link}: {_short(value)}" for link, value in each.reached.items())
        verdict = "met" if each.met else "**not met**"
        lines.append(
            f"| {each.tree} | {each.operation} | {each.what} | {sign} {each.limit:g} | {reached} | {verdict} |"
        )
    met = sum(each.met for each in goals)
    return [f"{met} of {len(goals)} are met.", "", *lines]
