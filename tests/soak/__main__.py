"""`make soak`: histories with fresh seeds until the time is over or one fails. `python -m tests.soak --help`."""

from __future__ import annotations

import argparse
import compileall
import random
import sys
import time

from emulator.archive import archive_simulator
from emulator.azurite import running_azurite
from tests.conftest import REPOSITORY
from tests.soak.driver import Driver, Failure
from tests.soak.history import draw, from_text, to_text


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _tell(failure: Failure) -> None:
    _say("\n".join(failure.log))
    _say(failure.message)
    _say(f"play it again: .venv/bin/python -m tests.soak --replay '{to_text(failure.steps)}'")


def _report(driver: Driver, failure: Failure, shrink_seconds: float) -> None:
    _say(f"FAILED after {len(failure.steps)} steps: {failure.message}")
    _tell(driver.shrink(failure, shrink_seconds, _say))


def main(arguments: list[str] | None = None) -> int:
    """Plays. Returns 1 if a history failed."""
    options = _parser().parse_args(arguments)
    compileall.compile_dir(REPOSITORY / "azbackup", quiet=1)
    end = time.monotonic() + options.minutes * 60
    seed, failed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32), 0
    while True:  # a new Azurite now and then: it keeps everything in memory
        with running_azurite() as azurite, archive_simulator(azurite) as archive:
            driver = Driver(azurite, archive)
            if options.replay:
                failure = driver.play(from_text(options.replay))
                if failure is not None:
                    _tell(failure)
                return int(failure is not None)
            for _ in range(20):
                started, ran, played = time.monotonic(), driver.ran, driver.played
                failure = driver.play(draw(seed, options.steps))
                seconds = time.monotonic() - started
                _say(f"seed {seed}: {driver.played - played} steps, {driver.ran - ran} processes, {seconds:.0f} s")
                if failure is not None:
                    failed += 1
                    _report(driver, failure, options.shrink_seconds)
                    if not options.go_on:
                        return 1
                seed += 1
                if time.monotonic() > end:
                    return int(failed > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="The life of a vault, played at random.")
    add = parser.add_argument
    add("--minutes", type=float, default=45, help="how long (45)")
    add("--seed", type=int, help="of the first history, the next ones count up (default: another one each time)")
    add("--steps", type=int, default=60, help="of each history (60)")
    add("--shrink-seconds", type=float, default=600, help="spent on making a failing history smaller (600)")
    add("--replay", help="a history that was printed")
    add("--go-on", action="store_true", help="after a failure too")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
