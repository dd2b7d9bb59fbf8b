"""The archive simulator: Azurite's endpoints, with a slow archive tier and faults on demand.

Promises: whatever `tiers` lists happens as Azure is documented to do it, each fault happens to the
requests that its rule names and to no others, and every request is in the log before its client is
answered. It refuses to guess: what real Azure does and this does not play is answered 501. A bug in
the simulator itself ends the `with` block with an exception; it is never just a lost connection.

In a test:

    with running_azurite() as azurite, archive_simulator(azurite) as archive:
        ...                                     # clients use archive.connection_string
        archive.release()                       # or release("*/packs/2026*"), or advance(15 * 3600)
        archive.add_fault("throttle", method="PUT", times=2)

By hand: python -m emulator.archive --thaw-seconds 20
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient

from emulator.azurite import AzuriteError, Endpoints, running_azurite
from emulator.faults import Fault, Kind
from emulator.proxy import Proxy, Stage
from emulator.thaws import Thaws, ThawTimes
from emulator.tiers import Tiers
from emulator.traffic import Billing, Entry, Sum


@dataclass(frozen=True, kw_only=True)
class ArchiveSimulator(Endpoints):
    """A running simulator. All of it may be used from any thread."""

    stage: Stage
    thaws: Thaws

    def set_thaw_seconds(self, standard: float | None, high: float | None) -> None:
        """Say how long thaws take that begin, or are raised to High, from now on."""
        self.thaws.times = ThawTimes(standard, high)

    def release(self, pattern: str = "*") -> int:
        """End pending thaws at once; return how many.

        The shell pattern is for the blob's name, without its container; `*` also matches `/`.
        """
        return self.thaws.release(pattern)

    def fail(self, pattern: str = "*") -> int:
        """Let pending copies fail as Azure lets them: listed so, and never there; return how many."""
        return self.thaws.fail(pattern)

    def advance(self, seconds: float) -> None:
        """Let time pass at once, for the thaws."""
        self.thaws.advance(seconds)

    def add_fault(self, kind: Kind, **rule: Any) -> Fault:
        """Put a rule in force; the keywords are the fields of `faults.Fault`.

        The rule is returned: its `seen` and `hits` tell what became of it.
        """
        fault = Fault(kind, **rule)
        self.stage.faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Let everything go right again."""
        self.stage.faults.clear()

    @property
    def requests(self) -> list[Entry]:
        """Every request since the start or the last clear_requests(), in the order of arrival."""
        return self.stage.traffic.entries

    def clear_requests(self) -> None:
        """Start counting anew."""
        self.stage.traffic.clear()

    def sums(self) -> dict[Billing, Sum]:
        """Return how many requests and bytes there were in each billing class."""
        return self.stage.traffic.sums()


@contextlib.contextmanager
def archive_simulator(
    azurite: Endpoints,
    *,
    thaw_seconds: float | None = None,
    high_thaw_seconds: float | None = None,
    round_trip_seconds: float = 0.0,
    bytes_per_second: float = 0.0,
    blob_port: int = 0,
    table_port: int = 0,
) -> Iterator[ArchiveSimulator]:
    """Put a simulator in front of Azurite until the end of the block.

    A thaw takes so many seconds by its priority; None, the default: until it is released. Each
    request takes `round_trip_seconds` longer; requests do not wait for each other. Each connection
    carries at most `bytes_per_second` each way; 0 is no limit.

    Raises RuntimeError at the end of the block when the simulator itself had a bug.
    """
    thaws = Thaws(ThawTimes(thaw_seconds, high_thaw_seconds))
    with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        stage = Stage(Tiers(thaws, client), round_trip_seconds=round_trip_seconds, bytes_per_second=bytes_per_second)
        blob = Proxy("blob", azurite.blob_port, stage, blob_port)
        table = Proxy("table", azurite.table_port, stage, table_port)
        blob.start()
        table.start()
        try:
            yield ArchiveSimulator(blob_port=blob.port, table_port=table.port, stage=stage, thaws=thaws)
        finally:
            stage.stopping.set()
            stage.faults.release()
            blob.stop()
            table.stop()
    if stage.bugs:
        raise RuntimeError("a bug in the archive simulator") from stage.bugs[0]


def main(arguments: list[str] | None = None) -> int:
    """Run Azurite and the simulator until interrupted; print how to use them."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with (
            running_azurite(options.location) as azurite,
            archive_simulator(
                azurite,
                thaw_seconds=options.thaw_seconds,
                high_thaw_seconds=options.high_thaw_seconds,
                round_trip_seconds=options.round_trip_ms / 1000,
                blob_port=options.blob_port,
                table_port=options.table_port,
            ) as archive,
        ):
            print(f"export AZURE_STORAGE_CONNECTION_STRING='{archive.connection_string}'")
            print("Ctrl-C stops it.", file=sys.stderr, flush=True)
            sys.stdout.flush()
            stop.wait()
    except AzuriteError as error:
        print(f"emulator.archive: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emulator.archive",
        description="Azurite with a slow archive tier. Prints the connection string to use.",
    )
    add = parser.add_argument
    add("--thaw-seconds", type=float, default=20, help="a thaw at Standard priority (20)")
    add("--high-thaw-seconds", type=float, default=5, help="a thaw at High priority (5)")
    add("--round-trip-ms", type=float, default=0, help="added to every request (0)")
    add("--location", type=Path, help="keep the data in this directory (default: in memory)")
    add("--blob-port", type=int, default=0, help="default: any free port")
    add("--table-port", type=int, default=0, help="default: any free port")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
