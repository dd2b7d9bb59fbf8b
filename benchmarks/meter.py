"""One command, measured: `python -I -S meter.py RESULT COMMAND...` writes wall, CPU and peak memory to a file.

A program of its own because a child's peak memory begins with that of whoever started it (Linux carries it over an
exec): a bare interpreter adds at most its own 10 MB, the benchmark itself would add far more. Imports little for the
same reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_KIB_OR_BYTES = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss: getrusage(2)


class ToolFailed(Exception):
    """A tool did not do what it was asked to do; the message ends with what it said."""


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds, and the resident bytes of its largest process at its peak."""

    wall: float
    cpu: float
    peak: int


def measure(command: list[str], environment: dict[str, str], folder: Path, scratch: Path) -> Cost:
    """Run a command in `folder` to its end; what it says goes to a file in `scratch`. Raises ToolFailed."""
    result, log = scratch / "cost.json", scratch / "said.txt"
    meter = [sys.executable, "-I", "-S", __file__, str(result)]
    os.sync()  # what was written before is not this command's to wait for
    with log.open("wb") as said:
        done = subprocess.run(
            [*meter, *command],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            check=False,
        )
    if done.returncode != 0:
        tail = log.read_text(errors="replace")[-2000:]
        raise ToolFailed(f"{' '.join(command[:3])} ... ended with {done.returncode}: {tail}")
    return Cost(**json.loads(result.read_text()))


def _main(result: str, command: list[str]) -> int:
    started = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    cost = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * _KIB_OR_BYTES}
    with open(result, "w") as file:
        json.dump(cost, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], sys.argv[2:]))
