"""The way to the storage: a proxy in a process of its own, which adds a round trip and counts requests.

A process of its own, so that its work does not slow down whoever drives the benchmark. It is spoken to in lines: at
the start it prints its ports; for every line that it gets it prints the requests since the last one, by billing class;
it ends with its input.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.archive import archive_simulator
from emulator.azurite import Endpoints

_REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Link:
    """A running proxy."""

    process: subprocess.Popen[str]
    endpoints: Endpoints

    def take(self) -> dict[str, int]:
        """The requests since the last call, by billing class."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return dict(self._read())

    def _read(self) -> dict[str, int]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the proxy of the benchmark has ended")
        return dict(json.loads(line))

    def start(self) -> Endpoints:
        """The ports, once it listens."""
        ports = self._read()
        return Endpoints(blob_port=ports["blob"], table_port=ports["table"])


@contextlib.contextmanager
def running_link(azurite: Endpoints, round_trip_seconds: float, bytes_per_second: float) -> Iterator[Link]:
    """A proxy in front of Azurite until the end of the block."""
    numbers = [str(azurite.blob_port), str(azurite.table_port), str(round_trip_seconds), str(bytes_per_second)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.link", *numbers],
        cwd=_REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Link(process, Link(process, azurite).start())
    finally:
        process.communicate(timeout=30)


def _main(azurite: Endpoints, round_trip_seconds: float, bytes_per_second: float) -> None:
    link = archive_simulator(azurite, round_trip_seconds=round_trip_seconds, bytes_per_second=bytes_per_second)
    with link as proxy:
        print(json.dumps({"blob": proxy.blob_port, "table": proxy.table_port}), flush=True)
        for _ in sys.stdin:
            sums = proxy.sums()
            proxy.clear_requests()
            print(json.dumps({billing: each.requests for billing, each in sums.items()}), flush=True)


if __name__ == "__main__":
    blob, table, seconds, rate = sys.argv[1:]
    _main(Endpoints(blob_port=int(blob), table_port=int(table)), float(seconds), float(rate))
