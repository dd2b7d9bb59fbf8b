"""`make bench`: azbackup beside restic, rclone crypt and borg, each on an Azurite of its own, in one run.

    for each link, tree, round, tool (in an order that turns; borg, to the local disk, is the last): a new Azurite
        first, unchanged, changed
        restore, and what came back is compared with the source

Writes results.csv, RESULTS.md and results.svg; needs 20 GB for temporary files. A tool that is not installed is left
out, with a line that says how to install it; one that fails ends the benchmark.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import picture, report, samples
from benchmarks.goals import results
from benchmarks.meter import Cost, ToolFailed, measure
from benchmarks.samples import DIRECT, DISTANT, LINKS, OPERATIONS, Medians, Sample
from benchmarks.stand import Stand, Stored, running_stand
from benchmarks.tools import TOOLS, Azbackup, Tool
from benchmarks.trees import Large, Real, Small, Tree, files_of, let_go
from emulator.azurite import AzuriteError

_HERE = Path(__file__).resolve().parent
_MAKERS: dict[str, Callable[[Path, bool], Tree]] = {
    "S": lambda root, quick: Small(root, 1_000 if quick else 10_000),
    "L": lambda root, quick: Large(root, 32 if quick else 512),
    "M": lambda root, quick: Real(root, 1_000 if quick else 26_000),
}


@dataclass
class Bench:
    """One benchmark: what it measures with, and what it has measured so far."""

    scratch: Path
    tools: list[type[Tool]]
    rounds: int
    taken: list[Sample] = field(default_factory=list)
    _restored: int = 0

    def tree(self, tree: Tree, link: str) -> None:
        """All rounds with one tree over one link."""
        for number in range(self.rounds):
            for kind in self._order(number):
                with running_stand(*LINKS[link]) as stand:
                    sizes = self._runs(self._tool(kind, stand, tree), tree, link, number)
                if sizes:
                    with running_stand(*LINKS[link]) as stand:
                        self.taken.append(self._bare(stand, link, number, sizes))

    def _order(self, number: int) -> list[type[Tool]]:
        """The tools of a round: turning, but borg last: what it writes to the disk slows whoever comes after it."""
        peers = [kind for kind in self.tools if not kind.local and (number == 0 or not kind.once)]
        turn = number % max(len(peers), 1)
        return peers[turn:] + peers[:turn] + [kind for kind in self.tools if kind.local]

    def _runs(self, tool: Tool, tree: Tree, link: str, number: int) -> list[int]:
        """All runs of one tool; the sizes of its blobs after the first one, if the SDK alone is to put as many."""
        sizes = []
        for operation in OPERATIONS:
            if operation == "changed":
                tree.change()
            sample = self._run(tool, operation, tree, link, number)
            self.taken.append(sample)
            print(f"{link:7}{tree.name:3}{number + 1:2} {operation:10}{tool.name:9}{sample.wall:8.2f} s", flush=True)
            if tree.name == "L" and operation == "first" and isinstance(tool, Azbackup):
                sizes = tool.stand.blob_sizes(tool.name)
        tree.undo()
        shutil.rmtree(tool.folder)
        return sizes

    def _tool(self, kind: type[Tool], stand: Stand, tree: Tree) -> Tool:
        tool = kind(self.scratch / kind.name, stand, tree.root)
        tool.prepare()
        return tool

    def _run(self, tool: Tool, operation: str, tree: Tree, link: str, number: int) -> Sample:
        destination = self._destination()
        if operation == "restore":
            destination.mkdir(parents=True)
            tool.renew_home()
            command, folder = tool.restore(destination), destination
        else:
            command, folder = tool.backup(), self.scratch
            tree.read()
        tool.stand.take_requests()
        cost = measure(command, tool.environment, folder, self.scratch)
        requests = {} if tool.local else tool.stand.take_requests()
        if operation == "restore":
            self._restored += 1
            _compare(tree.root, tool.restored(destination), tool.name)
            if tree.name == "L":
                shutil.rmtree(destination)
            else:
                let_go(destination)
        return _sample(link, tree.name, number, tool.name, operation, cost, tool.stored(), requests)

    def _destination(self) -> Path:
        """A new one for every restore, and kept: ext4 creates files slowly for minutes after as many were deleted."""
        return self.scratch / "restored" / str(self._restored)

    def _bare(self, stand: Stand, link: str, number: int, sizes: list[int]) -> Sample:
        """The SDK alone, putting blobs of the sizes that azbackup put."""
        stand.make("bare")
        environment = {"AZURE_STORAGE_CONNECTION_STRING": stand.endpoints.connection_string}
        command = [sys.executable, "-m", "benchmarks.bare", "bare", *map(str, sizes)]
        stand.take_requests()
        cost = measure(command, environment, _HERE.parent, self.scratch)
        seconds = float((self.scratch / "said.txt").read_text())
        print(f"{link:7}L  {number + 1:2} first     SDK      {seconds:8.2f} s", flush=True)
        cost = Cost(seconds, cost.cpu, cost.peak)
        return _sample(link, "L", number, "SDK", "first", cost, stand.stored("bare"), stand.take_requests())


def _sample(
    link: str, tree: str, number: int, tool: str, operation: str, cost: Cost, stored: Stored, requests: dict[str, int]
) -> Sample:
    return Sample(
        link, tree, number + 1, tool, operation, cost.wall, cost.cpu, cost.peak, stored.objects, stored.size, **requests
    )


def _compare(source: Path, restored: Path, name: str) -> None:
    """Raise ToolFailed unless both have the same files with the same contents."""
    ours = {path.relative_to(source) for path in files_of(source)}
    theirs = {path.relative_to(restored) for path in files_of(restored)}
    if ours != theirs:
        raise ToolFailed(f"{name} restored {len(theirs)} files of {len(ours)}")
    for path in ours:
        if not filecmp.cmp(source / path, restored / path, shallow=False):
            raise ToolFailed(f"{name} restored {path} wrongly")


def main(arguments: list[str] | None = None) -> int:
    """Run it. 0 when everything was measured, whatever came out."""
    options = _parser().parse_args(arguments)
    if options.out is None and not options.quick:
        options.out = _HERE
    if options.report:
        taken = samples.read(options.out / "results.csv")
        _write(taken, _said(options.out / "RESULTS.md"), options.out)
        return 0
    Azbackup.checkout = options.code.resolve()
    kinds, facts = _installed(options.tools)
    page = _Page(options.out, more=options.more)
    with tempfile.TemporaryDirectory(prefix="azbackup-bench-") as name:
        bench = Bench(Path(name), kinds, options.rounds or (1 if options.quick else 3))
        try:
            for fact in _all(bench, options, lambda: page.write(bench.taken, facts)):
                facts.append(fact)
        except (AzuriteError, ToolFailed) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    if options.quick:
        print("\n".join(["", *facts, "", *report.table(Medians(bench.taken)), ""]))
        print("\n".join(report.goal_table(results(Medians(bench.taken)))))
        print("\nQuick: small trees, one round. The goals are meant for the full benchmark.")
    page.write(bench.taken, facts)
    return 0


class _Page:
    """The page of a run: written after each part, so that one that is stopped leaves what it has measured."""

    def __init__(self, folder: Path | None, *, more: bool) -> None:
        """With `more` what is there stays, but for what is measured again."""
        self._folder = folder
        there = folder is not None and more and (folder / "results.csv").exists()
        self._samples = samples.read(folder / "results.csv") if folder is not None and there else []
        self._said = _said(folder / "RESULTS.md") if folder is not None and there else []

    def write(self, taken: list[Sample], facts: list[str]) -> None:
        """Writes what was measured so far, and earlier."""
        if self._folder is not None:
            again = {(each.link, each.tree) for each in taken}
            kept = [each for each in self._samples if (each.link, each.tree) not in again]
            _write([*kept, *taken], list(dict.fromkeys([*self._said, *facts])), self._folder)


def _all(bench: Bench, options: argparse.Namespace, keep: Callable[[], None]) -> Iterator[str]:
    """Measure everything; yields what is to be said of each tree."""
    for name in options.trees:
        tree = _MAKERS[name](bench.scratch / name, options.quick)
        tree.make()
        yield f"{name}: {tree.describe()}"
        for link in options.links:
            bench.tree(tree, link)
            keep()
    slow = [kind.name for kind in bench.tools if kind.once]
    yield f"rounds: {bench.rounds}" + (f" (1 of {', '.join(slow)}, which is slow)" if slow and bench.rounds > 1 else "")


def _installed(wanted: list[str]) -> tuple[list[type[Tool]], list[str]]:
    """(the tools that there are, what is to be said of all of them)."""
    kinds, facts = [], []
    for kind in TOOLS:
        if kind.name not in wanted:
            continue
        version = kind.version()
        if version is None:
            facts.append(f"{kind.name} is left out: it is not installed ({kind.install})")
        else:
            kinds.append(kind)
            facts.append(f"{version}" if version.startswith(kind.name) else f"{kind.name} {version}")
    return kinds, facts


def _said(page: Path) -> list[str]:
    """What an earlier page says about versions and trees; its first such line is about the machine."""
    lines = page.read_text().splitlines() if page.exists() else []
    return [line.removeprefix("- ") for line in lines if line.startswith("- ")][1:]


def _write(taken: list[Sample], facts: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    medians = Medians(taken)
    samples.write(taken, folder / "results.csv")
    (folder / "RESULTS.md").write_text(report.page(medians, results(medians), facts))
    (folder / "results.svg").write_text(picture.draw(medians))
    print(f"written: {folder / 'RESULTS.md'}, results.csv, results.svg")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench", description="azbackup beside other tools, measured."
    )
    add = parser.add_argument
    names = [kind.name for kind in TOOLS]
    add("--quick", action="store_true", help="small trees, one round, about a minute; nothing is written without --out")
    add("--rounds", type=int, help="how often everything is measured (3)")
    add("--trees", nargs="+", choices=list(_MAKERS), default=list(_MAKERS), help="default: all")
    add("--links", nargs="+", choices=list(LINKS), default=[DIRECT, DISTANT], help="default: direct, 20 ms")
    add("--tools", nargs="+", choices=names, default=names, help="default: all that are installed")
    add("--code", type=Path, default=_HERE.parent, help="the checkout of azbackup to measure (default: this one)")
    add("--more", action="store_true", help="keep what results.csv has of other links and trees: a benchmark in parts")
    add("--report", action="store_true", help="only write page and picture anew, from results.csv")
    add("--out", type=Path, help="where the results go (benchmarks/, with --quick nowhere)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
