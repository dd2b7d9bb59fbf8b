"""A vault that ages: many small backups of one tree, and what a backup, a restore and a search cost by then.

    1,000 files; before each backup 3 to 12 of them are rewritten, one is new, and one is gone now and then

Each backup adds a small pack and a few rows; none is merged with the earlier ones. What has to stay flat is the backup;
what grows, and how fast, is what the goals below say.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks import crowd

FILES = 1_000
BACKUPS = 120
_CHANGED_REQUESTS = 11  # of a backup, however old the partition is
_GROWN_MB = 10  # of peak memory, over a young partition
_FIND_MORE = 1  # request of a search more than in a young one: its layers fit into 4 MiB, one page
_RESTORE_TIMES = 2  # as many requests as of a young partition


class Measured(Protocol):
    """What a run took."""

    @property
    def operation(self) -> str: ...
    @property
    def requests(self) -> int: ...
    @property
    def peak(self) -> int: ...


def change(root: Path, number: int) -> None:
    """The changes before backup `number`: the same every time."""
    rng = random.Random(number)
    for each in rng.sample(range(FILES), rng.randrange(3, 13)):
        path = crowd.folder_of(root, each) / crowd.name_of(each)
        path.write_bytes(rng.randbytes(rng.choice([200, 2_000, 20_000])))
    (crowd.folder_of(root, 0) / f"new-{number}.txt").write_bytes(rng.randbytes(500))
    if number % 5 == 0:
        (crowd.folder_of(root, 0) / f"new-{number - 1}.txt").unlink()


def young(what: str) -> str:
    """The name of a run in the young vault."""
    return f"{what}, young vault"


def aged(what: str, backups: int) -> str:
    """The name of a run in the vault that has aged."""
    return f"{what}, after {backups:,} backups"


def verdicts(lines: Sequence[Measured]) -> Iterator[tuple[str, str, bool]]:
    """(what is asked for, what was reached, whether that is enough) for the runs that were measured."""
    by_name = {line.operation: line for line in lines}
    for name, now in by_name.items():
        what, _, after = name.partition(", after ")
        then = by_name.get(young(what))
        if not after or then is None:
            continue
        limit = {
            "changed": _CHANGED_REQUESTS,
            "find": then.requests + _FIND_MORE,
            "restore": _RESTORE_TIMES * then.requests,
        }
        if what in limit:
            yield f"{name}: requests", f"{now.requests} of {limit[what]}", now.requests <= limit[what]
        grown = max(now.peak - then.peak, 0) / 1e6
        yield f"{name}: peak MB over the young one", f"{grown:.0f} of {_GROWN_MB}", grown <= _GROWN_MB
