"""Signals: one interrupt, at a moment that Python does not swallow, and none once the run is over."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

PROGRAM = """
import os, signal, sys
from azbackup.cli.interrupts import _WAKE, Interrupts, as_usual, held

interrupts = Interrupts()
class Freed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        while interrupts._armed:
            pass

def run():
    {}

try:
    interrupts.watch(lambda: print("told", flush=True))
    run()
    interrupts.disarm()
except KeyboardInterrupt:
    interrupts.say()
    os._exit(130)
print("done", flush=True)
os._exit(0)
"""


def ended(*lines: str) -> tuple[int, str, str]:
    """Return (status, stdout, stderr) of a program whose run has these lines."""
    program = PROGRAM.format("\n    ".join(lines))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_an_interrupt_while_something_is_freed() -> None:
    """Python drops what is raised in a finalizer and prints a traceback: here it is raised again, without a word."""
    assert ended("Freed()", "signal.pause()", "signal.pause()") == (130, "told\n", "")


def test_a_signal_before_the_run() -> None:
    """It is held back, not lost: the run ends as soon as it has begun."""
    early = PROGRAM.replace("interrupts.watch", "os.kill(os.getpid(), signal.SIGHUP); interrupts.watch")
    done = subprocess.run(
        [sys.executable, "-c", early.format("signal.pause()")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "told\n", "")


def test_a_run_that_does_not_end_is_ended() -> None:
    """Whoever swallows the interrupt, or hangs, is ended some seconds later, with the words and the status."""
    swallow = ("try:", "    os.kill(os.getpid(), signal.SIGTERM)", "    signal.pause()", "except BaseException:")
    assert ended(*swallow, "    signal.pause()") == (130, "told\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_is_started_takes_signals(number: signal.Signals) -> None:
    """A password command is ended by the signals that end every program: it inherits nothing of what is held back."""
    line = f"with as_usual(): print(__import__('subprocess').run(['sh', '-c', 'kill -{number} $$']).returncode)"
    assert ended(line) == (0, f"-{number:d}\ndone\n", "")


def test_an_interrupt_is_held_until_what_was_begun_is_known() -> None:
    """It comes at the end of the block, so that what the block started can be ended; other ends leave nothing held."""
    begun = "with held(): signal.raise_signal(_WAKE); print('begun')"
    assert ended(begun, "print('never')") == (130, "begun\ntold\n", "")
    assert ended("with held(): pass", "os.kill(os.getpid(), signal.SIGTERM); signal.pause()") == (130, "told\n", "")


def test_a_signal_while_others_are_told() -> None:
    """It ends the process with the run's own status, also where it comes while a command is started."""
    over = "interrupts.over(lambda: os.write(1, b'left\\n') and os._exit(3))"
    kill = "os.kill(os.getpid(), signal.SIGTERM)"
    assert ended(over, kill, "signal.pause()") == (3, "left\n", "")
    assert ended(over, f"with held(), as_usual(): {kill}", "signal.pause()") == (3, "left\n", "")
