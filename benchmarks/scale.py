"""`make scale`: what a run takes when the tree has 10,000, 100,000 and a million files, and when a terabyte is stored.

    for each size: a new Azurite, a new tree
        first, unchanged, 1 % changed, restore of one folder on a new machine, list of everything, find of one file
    a small tree, and 700,000 chunks in the index: what loading them costs
    a small tree after ten years of hourly backups, and as one of 500 sources
    snapshots of a million small files, and of one file of a terabyte: what planning their restore takes
    a small tree, backed up 120 times: what a backup, a restore and a search cost then (--backups 1100 for years)
    ten years of backups, simulated (decade)

Writes scale.csv, SCALE.md and scale.svg, and what decade writes. Needs 5 GB of disk for the largest tree, and removes
it again.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import aging, crowd, curve, decade, report
from benchmarks.meter import ToolFailed, measure
from benchmarks.stand import Stand
from benchmarks.tools import Azbackup
from emulator.azurite import AzuriteError, running_azurite

_HERE = Path(__file__).resolve().parent
_SIZES = (10_000, 100_000, 1_000_000)
_CHUNKS = 700_000
_BYTES_A_FILE = 5_000  # of disk: a block, and its part of folders and inodes
_FEW = 1_000  # files of the tree that the index is loaded for
_STRAIGHT = 1.25  # a file of the largest tree may cost this much more than one of the tree before
_UNCHANGED_SECONDS, _UNCHANGED_MB, _INDEX_MB = 25, 300, 250
_PAST = ((87_600, 1), (17_500, 500))  # snapshots, sources
_PAST_REQUESTS, _PAST_CHANGED_REQUESTS, _PAST_MB = 7, 11, 10
_STRAIGHT_FORMS = ((1_000_000, 1), (1, 700_000))  # files, chunks of each
_PLAN_MB = {"plan, 1,000,000 files": 250, "plan, 700,000 chunks": 200}
_OPERATIONS = ("first", "unchanged", "changed", "restore one folder", "list", "find")
_INTRODUCTION = """# How azbackup grows

Made by `make scale`; the figures are in [scale.csv](scale.csv). Trees of mostly tiny files, 250 in a folder, no two
alike; Azurite in memory on this machine, one run of each kind. What limits the next steps is in
[docs/scale.md](../docs/scale.md).

![curves](scale.svg)
"""


@dataclass(frozen=True)
class Line:
    """One run. Seconds, and bytes of the largest process at its peak."""

    files: int
    operation: str
    wall: float
    cpu: float
    peak: int
    requests: int
    stored: int


@dataclass
class Scale:
    """What is measured with, and what was measured."""

    scratch: Path
    lines: list[Line] = field(default_factory=list)

    def tree(self, count: int) -> None:
        """The runs with a tree of so many files."""
        root = self.scratch / "tree"
        started = time.monotonic()
        crowd.make(root, count)
        print(f"{count:>9,} files made in {time.monotonic() - started:.0f} s", flush=True)
        with running_azurite() as azurite:
            tool = self._tool(Stand(azurite, azurite, None), root)
            self._run(tool, count, "first", tool.backup())
            self._run(tool, count, "unchanged", tool.backup())
            crowd.change(root, count)
            self._run(tool, count, "changed", tool.backup())
            tool.renew_home()
            folder = crowd.folder_of(root, count // 2)
            destination = self.scratch / "restored"
            command = [*tool.restore(destination), str(folder.relative_to(root))]
            self._run(tool, count, "restore one folder", command)
            _check_restored(folder, destination / folder.relative_to(root))
            self._run(tool, count, "list", tool.look("--list", "-R"))
            self._run(tool, count, "find", tool.look("--find", crowd.name_of(count // 2)))
        for used in (root, destination, tool.folder):
            shutil.rmtree(used)

    def index(self, chunks: int) -> None:
        """A small change in a partition where so many chunks are stored, and where hardly any are."""
        root = self.scratch / "tree"
        crowd.make(root, _FEW)
        with running_azurite() as azurite:
            tool = self._tool(Stand(azurite, azurite, None), root)
            measure(tool.backup(), tool.environment, self.scratch, self.scratch)
            self._edit(root, "one")
            self._run(tool, _FEW, "changed, empty index", tool.backup())
            started = time.monotonic()
            names = {"SCALE_NAME": tool.container, "SCALE_PARTITION": "bench"}
            command = [sys.executable, "-m", "benchmarks.index", str(chunks)]
            subprocess.run(command, env={**tool.environment, **names}, cwd=_HERE.parent, check=True)
            print(f"{chunks:>9,} chunks put into the index in {time.monotonic() - started:.0f} s", flush=True)
            self._edit(root, "two")
            self._run(tool, _FEW, f"changed, {chunks:,} chunks", tool.backup())
        shutil.rmtree(root)
        shutil.rmtree(tool.folder)

    def past(self, snapshots: int, sources: int) -> None:
        """Backups of a small tree among so many snapshots, in turn of so many sources, and among hardly any."""
        root = self.scratch / "tree"
        crowd.make(root, _FEW)
        what = f"{snapshots:,} snapshots" + (f" of {sources} sources" if sources > 1 else "")
        with running_azurite() as azurite:
            tool = self._tool(Stand(azurite, azurite, None), root)
            measure(tool.backup(), tool.environment, self.scratch, self.scratch)
            self._run(tool, _FEW, f"unchanged, before {what}", tool.backup())
            started = time.monotonic()
            names = {"SCALE_NAME": tool.container, "SCALE_PARTITION": "bench"}
            command = [sys.executable, "-m", "benchmarks.past", str(snapshots), str(sources)]
            subprocess.run(command, env={**tool.environment, **names}, cwd=_HERE.parent, check=True)
            print(f"{what} made in {time.monotonic() - started:.0f} s", flush=True)
            tool.renew_home()
            self._run(tool, _FEW, f"unchanged, new machine, {what}", tool.backup())
            self._run(tool, _FEW, f"unchanged, {what}", tool.backup())
            self._edit(root, "one")
            self._run(tool, _FEW, f"changed, {what}", tool.backup())
        shutil.rmtree(root)
        shutil.rmtree(tool.folder)

    def straight(self, files: int, chunks: int) -> None:
        """What planning the restore of a snapshot takes that was never backed up, on a new machine."""
        root = self.scratch / "tree"
        crowd.make(root, _FEW)
        with running_azurite() as azurite:
            tool = self._tool(Stand(azurite, azurite, None), root)
            measure(tool.backup(), tool.environment, self.scratch, self.scratch)
            started = time.monotonic()
            names = {"SCALE_NAME": tool.container, "SCALE_PARTITION": "bench"}
            command = [sys.executable, "-m", "benchmarks.straight", str(files), str(chunks)]
            subprocess.run(command, env={**tool.environment, **names}, cwd=_HERE.parent, check=True)
            what = f"{files:,} files" if chunks == 1 else f"{files * chunks:,} chunks"
            print(f"{what} put there in {time.monotonic() - started:.0f} s", flush=True)
            tool.renew_home()
            self._run(tool, files, f"plan, {what}", tool.look("--plan", "--snapshot", "2"))
        shutil.rmtree(root)
        shutil.rmtree(tool.folder)

    def age(self, backups: int) -> None:
        """What a vault costs that is young, and after so many backups with few changes each."""
        root = self.scratch / "tree"
        crowd.make(root, aging.FILES)
        with running_azurite() as azurite:
            tool = self._tool(Stand(azurite, azurite, None), root)
            measure(tool.backup(), tool.environment, self.scratch, self.scratch)
            self._aging_runs(tool, root, 1, aging.young)
            for number in range(2, backups - 1):
                aging.change(root, number)
                measure(tool.backup(), tool.environment, self.scratch, self.scratch)
            self._aging_runs(tool, root, backups - 1, lambda what: aging.aged(what, backups))
        shutil.rmtree(root)
        shutil.rmtree(tool.folder)

    def _aging_runs(self, tool: Azbackup, root: Path, number: int, name: Callable[[str], str]) -> None:
        """A changed and an unchanged backup; then, on a new machine, a search and a restore of the newest snapshot."""
        aging.change(root, number)
        self._run(tool, aging.FILES, name("changed"), tool.backup())
        self._run(tool, aging.FILES, name("unchanged"), tool.backup())
        home, tool.home = tool.home, tool.folder / "another home"
        tool.renew_home()
        self._run(tool, aging.FILES, name("find"), tool.look("--find", crowd.name_of(1)))
        tool.renew_home()
        destination = self.scratch / "restored"
        self._run(tool, aging.FILES, name("restore"), tool.restore(destination))
        for folder in (path for path in root.rglob("*") if path.is_dir() and not any(map(Path.is_dir, path.iterdir()))):
            _check_restored(folder, destination / folder.relative_to(root))
        shutil.rmtree(destination)
        tool.home = home

    def _tool(self, stand: Stand, root: Path) -> Azbackup:
        tool = Azbackup(self.scratch / "azbackup", stand, root)
        tool.prepare()
        return tool

    def _edit(self, root: Path, text: str) -> None:
        (crowd.folder_of(root, 0) / "edited.txt").write_text(text)

    def _run(self, tool: Azbackup, count: int, operation: str, command: list[str]) -> None:
        cost = measure([*command, "--json"], tool.environment, self.scratch, self.scratch)
        with (self.scratch / "said.txt").open() as said:
            [summary] = [json.loads(line) for line in said if line.startswith('{"event": "summary"')]
        line = Line(count, operation, cost.wall, cost.cpu, cost.peak, summary["requests"], tool.stored().size)
        self.lines.append(line)
        print(f"{count:>9,} {operation:24}{line.wall:8.2f} s {line.peak / 1e6:7.0f} MB", flush=True)


def _check_restored(ours: Path, theirs: Path) -> None:
    """Raise ToolFailed unless a folder's files are all there with their contents."""
    for path in ours.iterdir():
        if not (theirs / path.name).exists() or (theirs / path.name).read_bytes() != path.read_bytes():
            raise ToolFailed(f"{path.name} was not restored")


# --- what comes of it


def verdicts(lines: list[Line]) -> Iterator[tuple[str, str, bool]]:
    """(what is asked for, what was reached, whether that is enough)."""
    for operation in _OPERATIONS:
        runs = sorted((line for line in lines if line.operation == operation), key=lambda line: line.files)
        for measure_name, unit, form in (("wall", 1e6, "us"), ("peak", 1, "bytes")):
            if len(runs) > 1:
                yield _straight(operation, runs, measure_name, unit, form)
    for line in lines:
        if line.operation == "unchanged" and line.files == _SIZES[-1]:
            yield (
                "unchanged, a million files, seconds",
                f"{line.wall:.1f} of {_UNCHANGED_SECONDS}",
                (line.wall <= _UNCHANGED_SECONDS),
            )
            yield (
                "unchanged, a million files, peak MB",
                f"{line.peak / 1e6:.0f} of {_UNCHANGED_MB}",
                (line.peak <= _UNCHANGED_MB * 1e6),
            )
        if line.operation == f"changed, {_CHUNKS:,} chunks":
            yield (
                f"{_CHUNKS:,} chunks in the index, peak MB",
                f"{line.peak / 1e6:.0f} of {_INDEX_MB}",
                (line.peak <= _INDEX_MB * 1e6),
            )
        if line.operation in _PLAN_MB:
            most = _PLAN_MB[line.operation]
            yield f"{line.operation}, peak MB", f"{line.peak / 1e6:.0f} of {most}", line.peak <= most * 1e6
    yield from _past_verdicts(lines)
    yield from aging.verdicts(lines)


def _past_verdicts(lines: list[Line]) -> Iterator[tuple[str, str, bool]]:
    """Whether backups take what they took before there was a past."""
    young = {line.operation.partition(", before ")[2]: line for line in lines if ", before " in line.operation}
    for what, before in young.items():
        for operation, requests in (("unchanged", _PAST_REQUESTS), ("changed", _PAST_CHANGED_REQUESTS)):
            for line in lines:
                if line.operation == f"{operation}, {what}":
                    yield f"{line.operation}: requests", f"{line.requests} of {requests}", line.requests <= requests
                    more = (line.peak - before.peak) / 1e6
                    yield f"{line.operation}: peak MB over none", f"{more:.0f} of {_PAST_MB}", more <= _PAST_MB


def _straight(operation: str, runs: list[Line], name: str, unit: float, form: str) -> tuple[str, str, bool]:
    """Whether a file of the largest tree costs hardly more than one of the tree before."""
    before, after = (unit * getattr(line, name) / line.files for line in runs[-2:])
    return f"{operation}: {name} a file, {form}", f"{before:.0f}, then {after:.0f}", after <= before * _STRAIGHT


def page(lines: list[Line]) -> str:
    """The Markdown page."""
    date = time.strftime("%Y-%m-%d", time.gmtime())
    return "\n".join([_INTRODUCTION, f"{date}: {report.machine()}; {Azbackup.version()}", "", *table(lines), ""])


def table(lines: list[Line]) -> list[str]:
    """All runs, and what they show."""
    text = [
        "| files | run | wall s | us a file | CPU s | peak MB | requests | stored MB |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    text += [
        f"| {line.files:,} | {line.operation} | {line.wall:.2f} | {line.wall * 1e6 / line.files:.0f} "
        f"| {line.cpu:.2f} | {line.peak / 1e6:.0f} | {line.requests} | {line.stored / 1e6:.1f} |"
        for line in lines
    ]
    text += [
        "",
        "A straight line: a file of the largest tree costs at most a quarter more than one of the tree before.",
        "",
    ]
    text += ["| what | reached | |", "| --- | --- | --- |"]
    for what, reached, enough in verdicts(lines):
        text.append(f"| {what} | {reached} | {'met' if enough else '**not met**'} |")
    return text


def picture(lines: list[Line]) -> str:
    """The curves of the runs."""
    runs = {name: [line for line in lines if line.operation == name] for name in _OPERATIONS}
    runs = {name: found for name, found in runs.items() if found}
    return curve.draw(
        {
            "Wall time, seconds": {name: [(line.files, line.wall) for line in found] for name, found in runs.items()},
            "Peak memory, MB": {
                name: [(line.files, line.peak / 1e6) for line in found] for name, found in runs.items()
            },
        }
    )


def main(arguments: list[str] | None = None) -> int:
    """Run it. 0 when everything was measured, whatever came out."""
    options = _parser().parse_args(arguments)
    Azbackup.checkout = options.code.resolve()
    only = bool(options.only_age or options.only_past or options.only_straight)
    if only:
        options.sizes = []
    wholly = (options.sizes, options.chunks, options.backups) == (list(_SIZES), _CHUNKS, aging.BACKUPS)
    if options.out is None and wholly:
        options.out = _HERE
    with tempfile.TemporaryDirectory(prefix="azbackup-scale-") as name:
        needed = max(options.sizes, default=0) * _BYTES_A_FILE
        if shutil.disk_usage(name).free < 2 * needed:
            print(f"scale: {name} has not the {2 * needed / 1e9:.0f} GB that this takes", file=sys.stderr)
            return 1
        scale = Scale(Path(name))
        try:
            _measure(scale, options, only=only)
        except (AzuriteError, ToolFailed) as error:
            print(f"scale: {error}", file=sys.stderr)
            return 1
    print("\n".join(table(scale.lines)))
    if options.out is not None:
        _write(scale.lines, options.out)
    return decade.main([]) if wholly and not only else 0


def _measure(scale: Scale, options: argparse.Namespace, *, only: bool) -> None:
    """Everything, or `only` what is asked for."""
    for count in options.sizes:
        scale.tree(count)
    if not only:
        scale.index(options.chunks)
    for snapshots, sources in [options.only_past] if options.only_past else [] if only else _PAST:
        scale.past(snapshots, sources)
    for files, chunks in [options.only_straight] if options.only_straight else [] if only else _STRAIGHT_FORMS:
        scale.straight(files, chunks)
    if options.only_age or not only:
        scale.age(options.backups)


def _write(lines: list[Line], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scale.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(lines[0])), lineterminator="\n")
        writer.writeheader()
        for line in lines:
            writer.writerow({**asdict(line), "wall": round(line.wall, 3), "cpu": round(line.cpu, 3)})
    (folder / "SCALE.md").write_text(page(lines))
    (folder / "scale.svg").write_text(picture(lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="azbackup by size, measured.")
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=list(_SIZES), help="numbers of files")
    add("--chunks", type=int, default=_CHUNKS, help="chunks in the simulated index (700,000: about 1 TB)")
    add("--backups", type=int, default=aging.BACKUPS, help="of a vault that ages (120; 1100 takes half an hour)")
    add("--only-past", type=int, nargs=2, metavar=("SNAPSHOTS", "SOURCES"), help="measure such a past alone")
    add("--only-straight", type=int, nargs=2, metavar=("FILES", "CHUNKS"), help="measure planning such a restore alone")
    add("--only-age", action="store_true", help="measure the vault that ages alone, and write nothing")
    add("--code", type=Path, default=_HERE.parent, help="the checkout of azbackup to measure (default: this one)")
    add("--out", type=Path, help="where the results go (benchmarks/, when the sizes are the default)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
