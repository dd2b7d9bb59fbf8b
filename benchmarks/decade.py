"""Ten years of backups, with and without rules and rewriting: what is stored, what a month and a restore cost.

`python -m benchmarks.decade`, also part of `make scale`: a simulation, of which all that decides is the project's own
code (simulated). Writes decade.csv, DECADE.md and decade.svg. Takes a quarter of an hour, and no disk.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from azbackup.commands.backup.rewriting import Rewrite
from azbackup.commands.maintenance.keeping import Rules
from azbackup.storage.prices import STAGING_DAYS, Packed, Prices, backup_cost, load_prices
from benchmarks import chart
from benchmarks.simulated import Life, State, Vault

_HERE = Path(__file__).resolve().parent
_FILES, _BYTES = 400, 2 << 30
_YEARS = 10.0
_CHANGED = 0.01  # of the bytes, a day
_SAMPLE_DAYS = 30
_YEAR_DAYS = 365
_TERABYTE = 1e12
_KEPT_GOAL, _THAWED_GOAL = 1.6, 2.5
_RUN_REQUESTS = {"write": 2, "list": 1, "table": 6}  # of a run that changes something, but for its packs: tests/guard
_ROWS = 4  # of a snapshot: itself, two heads, a file record
_CHUNK_BYTES, _SNAPSHOT_BYTES = 37, 1_500  # in records
_DAY = 86_400.0

LAST = Rules(last=14)
PERSON = Rules(within=30 * _DAY, periods={"weekly": 12, "monthly": 36, "yearly": 10})
SERVER = Rules(periods={"hourly": 48, "daily": 30, "weekly": 12, "monthly": 24})
LAW = Rules(periods={"daily": 30, "monthly": 12, "yearly": 11})


class Case(NamedTuple):
    """What is played, for how many years."""

    name: str
    rules: Rules
    below: float
    tier: str = "archive"
    runs_a_day: int = 1
    years: float = _YEARS
    busy: float = 1.0


CASES = (
    Case("no rules", Rules(), 0),
    Case("no rules, rewriting below 50", Rules(), 50, years=4),
    Case("last 14", LAST, 0),
    Case("last 14, below 25", LAST, 25),
    Case("last 14, below 50", LAST, 50),
    Case("last 14, in Hot", LAST, 0, "hot"),
    Case("last 14, in Hot, below 50", LAST, 50, "hot"),
    Case("last 14, a tenth changes, below 50", LAST, 50, busy=0.1),
    Case("person", PERSON, 0),
    Case("person, below 50", PERSON, 50),
    Case("law", LAW, 0),
    Case("law, below 50", LAW, 50),
    Case("server, hourly", SERVER, 0, runs_a_day=24, years=3),
    Case("server, hourly, below 50", SERVER, 50, runs_a_day=24, years=3),
)


@dataclass(frozen=True)
class Line:
    """A month of a case. Bytes and counts; `bill` of the month and `restore` of the newest snapshot are for 1 TB."""

    case: str
    year: float
    snapshots: int
    packs: int
    rows: int
    requests: int
    stored: int
    needed: int
    waiting: int
    uploaded: int
    rewritten: int
    thawed: int
    restored: int
    bill: float
    restore: float

    @property
    def kept(self) -> float:
        """Stored bytes, of what kept snapshots need."""
        return self.stored / self.needed

    @property
    def paid(self) -> float:
        """The same without what only waits for the day on which it costs nothing to delete it."""
        return (self.stored - self.waiting) / self.needed

    @property
    def thaws(self) -> float:
        """Bytes that a restore of the newest snapshot thaws, of what it needs."""
        return self.thawed / self.restored


def play(case: Case, prices: Prices, files: int, size: int) -> Iterator[Line]:
    """The months of a case."""
    rewrite = Rewrite(case.below, 1.0, prices.early_deletion_days) if case.below else None
    life = Life(files, size, _CHANGED, case.rules, rewrite, case.tier, case.runs_a_day, case.busy)
    vault, before = Vault(life, prices), 0
    for run in range(int(case.years * _YEAR_DAYS * case.runs_a_day)):
        vault.run()
        if run and run % (_SAMPLE_DAYS * case.runs_a_day) == 0:
            yield _line(case, vault.state(), vault.made - before, prices)
            before = vault.made


def _line(case: Case, state: State, made: int, prices: Prices) -> Line:
    """A month, in which so many packs were made."""
    scale, runs = _TERABYTE / state.tree, _SAMPLE_DAYS * case.runs_a_day
    requests = {each: count * runs for each, count in _RUN_REQUESTS.items()}
    requests["write"] += made
    once, _ = backup_cost(prices, requests, Packed(made, 0, case.tier))
    records = state.chunks * _CHUNK_BYTES + state.snapshots * _SNAPSHOT_BYTES
    month = prices.storing(state.stored, case.tier, _SAMPLE_DAYS, state.packs) + prices.recording(records)
    return Line(
        case=case.name,
        year=state.day / _YEAR_DAYS,
        snapshots=state.snapshots,
        packs=state.packs,
        rows=state.packs + _ROWS * state.snapshots,
        requests=sum(requests.values()),
        stored=state.stored,
        needed=state.needed,
        waiting=state.waiting,
        uploaded=state.uploaded,
        rewritten=state.rewritten,
        thawed=state.thawed,
        restored=state.restored,
        bill=(month + once) * scale,
        restore=_restoring(case.tier, state, prices) * scale,
    )


def _restoring(tier: str, state: State, prices: Prices) -> float:
    """The newest snapshot, at standard priority, without what leaves Azure, which is the same for all cases."""
    cost = prices.reading(state.thawed_packs, state.thawed if tier == "archive" else state.restored, tier)
    if tier == "archive":
        cost += prices.writing(state.thawed_packs, "hot") + prices.storing(state.thawed, "hot", STAGING_DAYS)
        cost += prices.reading(state.thawed_packs, 0, "hot")
    return cost


# --- what comes of it


def _later(lines: Sequence[Line]) -> Sequence[Line]:
    """The second half: by then it goes up and down around what it is."""
    return lines[len(lines) // 2 :]


def _mean(values: Iterator[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def table(cases: dict[str, list[Line]]) -> list[str]:
    """A row for each case: means over the second half, counts at the end."""
    heads = ["years", "snapshots", "packs", "rows", "stored / needed", "without what waits", "thawed / needed"]
    heads += ["uploaded / tree", "of these rewritten", "$ a month", "$ a restore"]
    text = [f"| case | {' | '.join(heads)} |", f"| --- |{' ---: |' * len(heads)}"]
    for name, lines in cases.items():
        last, later = lines[-1], _later(lines)
        text.append(
            f"| {name} | {last.year:.0f} | {last.snapshots:,} | {last.packs:,} | {last.rows:,} "
            f"| {_mean(each.kept for each in later):.2f} | {_mean(each.paid for each in later):.2f} "
            f"| {_mean(each.thaws for each in later):.2f} "
            f"| {last.uploaded / last.restored:.0f} | {last.rewritten / last.restored:.1f} "
            f"| {_mean(each.bill for each in later):.2f} | {_mean(each.restore for each in later):.0f} |"
        )
    return text


def verdicts(cases: dict[str, list[Line]]) -> Iterator[tuple[str, str, bool]]:
    """(what is asked for, what was reached, whether that is enough), of the cases with rules and rewriting."""
    for name, lines in cases.items():
        if "below" in name and "no rules" not in name:
            paid, thaws = (_mean(getattr(each, what) for each in _later(lines)) for what in ("paid", "thaws"))
            yield f"{name}: stored without what waits, of what is needed", f"{paid:.2f}", paid <= _KEPT_GOAL
            yield f"{name}: thawed, of what is needed", f"{thaws:.2f}", thaws <= _THAWED_GOAL


def page(cases: dict[str, list[Line]]) -> str:
    """The Markdown page."""
    goals = ["| goal | reached | |", "| --- | --- | --- |"]
    goals += [f"| {what} | {reached} | {'met' if met else '**not met**'} |" for what, reached, met in verdicts(cases)]
    date = time.strftime("%Y-%m-%d", time.gmtime())
    return "\n".join(
        [_INTRODUCTION, f"{date}, prices of {load_prices(None).as_of}, East US.", "", *table(cases), "", *goals, ""]
    )


_INTRODUCTION = f"""# Ten years

Made by `make scale` (`python -m benchmarks.decade`); the figures by month are in [decade.csv](decade.csv). Simulated: a
tree of {_BYTES / 1e9:.1f} GB in {_FILES} files, a few of which have most of the bytes, of which 1 % changes a day,
anywhere (a tenth: in a tenth of the files). Of large files a tenth changes at once. What rules keep, what is rewritten,
which packs go and which are read is decided by the code that decides it in a backup; no bytes are stored. Ratios and
money are means over the second half of the years.

**Stored / needed**: bytes of all packs, of the chunks that kept snapshots need. **Without what waits**: less what
nobody needs of packs that have to be paid for still (180 days in the archive) or are in their grace period: deleting
it sooner would save nothing. **Thawed / needed**: bytes of the packs that a restore of the newest snapshot reads, of
those that it needs. Money is for a tree of 1 TB: a month of storage, records and requests, and one restore at
standard priority, without what leaves Azure.

![ten years](decade.svg)
"""


def picture(cases: dict[str, list[Line]]) -> str:
    """Three charts over the years."""

    def lines(what: str) -> dict[str, list[tuple[float, float]]]:
        return {name: [(each.year, getattr(each, what)) for each in its] for name, its in cases.items()}

    return chart.draw(
        [
            chart.Chart("stored / needed, without what waits", lines("paid"), _KEPT_GOAL),
            chart.Chart("thawed / needed", lines("thaws"), _THAWED_GOAL),
            chart.Chart("$ a month, for 1 TB", lines("bill")),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Plays the cases. 0 when they were played, whatever came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decade", description="Ten years, simulated.")
    parser.add_argument("--only", help="only the cases whose name has this in it; nothing is written")
    parser.add_argument("--years", type=float, help="at most so many years")
    parser.add_argument("--files", type=int, default=_FILES)
    parser.add_argument("--size", type=int, default=_BYTES, help="bytes of the tree")
    options = parser.parse_args(arguments)
    prices, cases = load_prices(None), dict[str, list[Line]]()
    for case in CASES:
        if options.only and options.only not in case.name:
            continue
        years = min(case.years, options.years or case.years)
        started = time.monotonic()
        cases[case.name] = list(play(case._replace(years=years), prices, options.files, options.size))
        print(f"{table({case.name: cases[case.name]})[-1]} {time.monotonic() - started:.0f} s", flush=True)
        if not options.only:
            _write(cases)
    return 0


def _write(cases: dict[str, list[Line]]) -> None:
    with (_HERE / "decade.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(next(iter(cases.values()))[0])), lineterminator="\n")
        writer.writeheader()
        for lines in cases.values():
            for line in lines:
                writer.writerow(
                    {
                        **asdict(line),
                        "year": round(line.year, 2),
                        "bill": round(line.bill, 3),
                        "restore": round(line.restore, 2),
                    }
                )
    (_HERE / "DECADE.md").write_text(page(cases))
    (_HERE / "decade.svg").write_text(picture(cases))


if __name__ == "__main__":
    sys.exit(main())
