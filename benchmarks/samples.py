"""What was measured: one sample for each run of a tool, kept as CSV, and medians of them."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

OPERATIONS = ("first", "unchanged", "changed", "restore")
DIRECT, DISTANT = "direct", "20 ms"
WIDE, FAR = "wide", "far"  # more than one connection carries
# (seconds added to every request, bytes a second that one connection carries; 0: no limit)
LINKS = {DIRECT: (0.0, 0.0), DISTANT: (0.02, 0.0), WIDE: (0.04, 15e6), FAR: (0.1, 5e6)}
CLASSES = ("write", "list", "read", "other", "table", "delete")


@dataclass(frozen=True)
class Sample:
    """One run. Seconds and bytes; the numbers of requests are 0 where they were not counted."""

    link: str
    tree: str
    round: int
    tool: str
    operation: str
    wall: float
    cpu: float
    peak: int
    objects: int
    stored: int
    write: int = 0
    list: int = 0
    read: int = 0
    other: int = 0
    table: int = 0
    delete: int = 0

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(int(getattr(self, name)) for name in CLASSES)


class Medians:
    """The medians of each tool's runs."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._groups: dict[tuple[str, str, str, str], list[Sample]] = {}
        for each in samples:
            self._groups.setdefault((each.link, each.tree, each.tool, each.operation), []).append(each)

    def of(self, measure: str, link: str, tree: str, tool: str, operation: str) -> float | None:
        """The median of a field, or of `requests`; None where there is no run."""
        found = self._groups.get((link, tree, tool, operation))
        return statistics.median(getattr(each, measure) for each in found) if found else None

    def rounds(self, tree: str, tool: str) -> int:
        """How many runs there are of each kind."""
        return max((len(found) for key, found in self._groups.items() if key[1:3] == (tree, tool)), default=0)

    def trees(self) -> list[str]:
        """The trees, in the order in which they were measured."""
        return list(dict.fromkeys(key[1] for key in self._groups))

    def tools(self) -> list[str]:
        """The tools, azbackup first."""
        names = dict.fromkeys(key[2] for key in self._groups)
        return sorted(names, key=("azbackup", "restic", "rclone", "borg", "SDK").index)


def write(samples: Iterable[Sample], path: Path) -> None:
    """All samples, a line each."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Sample)], lineterminator="\n")
        writer.writeheader()
        for each in samples:
            writer.writerow({**asdict(each), "wall": round(each.wall, 3), "cpu": round(each.cpu, 3)})


def read(path: Path) -> list[Sample]:
    """What write() wrote."""
    kinds = {"str": str, "int": int, "float": float}
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    return [Sample(**{each.name: kinds[str(each.type)](line[each.name]) for each in fields(Sample)}) for line in lines]
