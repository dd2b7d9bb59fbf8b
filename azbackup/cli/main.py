"""The command line of the three scripts: what comes before a run, and the exit status of every outcome.

Only the modules of this room print, prompt, and read the environment and the clock. A script loads what it needs when
it needs it: start-up is much of a run that finds nothing new, and a peak is what was loaded when the key was derived.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from azbackup.cli.command_line import arguments
from azbackup.cli.interrupts import Interrupts
from azbackup.cli.output.again import GO_ON
from azbackup.cli.output.levels import Level, is_journal
from azbackup.cli.output.problems import Problems
from azbackup.cli.output.terminal import JsonProgress, LineProgress
from azbackup.cli.output.watching import watch
from azbackup.cli.status import print_error, print_traceback, show_bug, show_damages
from azbackup.cli.told import Told
from azbackup.errors import AzbackupError, Status
from azbackup.memory import collect_seldom, keep_freed_memory

_DESCRIPTORS = 10240  # OPEN_MAX of macOS
_GO_ON = f"what was done is kept; {GO_ON}"


def run_script(script: str, run: Callable[[argparse.Namespace, LineProgress], Status]) -> NoReturn:
    """Runs a script and exits. An expected error is one line and a hint; all else is a bug and keeps its traceback."""
    interrupts = Interrupts()
    sys.excepthook = show_bug
    _open_standard_streams()
    keep_freed_memory()
    collect_seldom()
    _raise_descriptor_limit()
    args = arguments(script, sys.argv[1:], os.environ)
    show = _show(f"{script}.py", args)
    told = Told(script, args, show)
    try:
        interrupts.watch(lambda: _say_interrupted(show))
        status = _status_of(run, args, show, told)
        interrupts.disarm()
    except KeyboardInterrupt:
        show.close()
        interrupts.say()
        status = Status.INTERRUPTED
    _tell(told, status, interrupts)
    # Taking the SDK's and the run's objects apart one by one would take a tenth of a short run. All that was said has
    # been written, and what is open is of no use to anybody: a killed process must leave it right as well.
    os._exit(status)


def _tell(told: Told, status: Status, interrupts: Interrupts) -> None:
    """Tells whoever is to be told how the run ended. Nothing that happens there changes its status."""

    def leave() -> None:
        told.stop()
        os._exit(status)

    interrupts.over(leave)
    try:
        told.end(status)
    except Exception as bug:  # noqa: BLE001  the run has ended, and its status holds
        print_traceback(bug)


def _say_interrupted(show: LineProgress) -> None:
    show.close()
    print_error(show, Status.INTERRUPTED, "interrupted", _GO_ON)


def _status_of(
    run: Callable[[argparse.Namespace, LineProgress], Status],
    args: argparse.Namespace,
    show: LineProgress,
    told: Told,
) -> Status:
    """The status of a run, whose error is shown. One that nobody expected keeps its traceback."""
    try:
        told.begin()
        if name := getattr(args, "problems", None):
            from azbackup.cli.output.problem_file import open_problem_file

            complain = show.note if show.json else show.line
            show.problems.file = open_problem_file(name, show.program, time.time(), complain)
        return run(args, show)
    except AzbackupError as error:
        show.close()
        if args.verbose >= 2:
            print_traceback(error, show.mark(Level.ERROR))
        show_damages(show)
        print_error(show, error.status, error.message, error.hint)
        return error.status
    except ModuleNotFoundError as missing:  # of a library that only some runs need
        from azbackup.cli.installed import words

        show.close()
        print_error(show, Status.FAILED, *words(show.program, missing))
        return Status.FAILED
    except Exception as bug:  # noqa: BLE001  not swallowed: shown whole
        show.close()
        print_traceback(bug, show.mark(Level.ERROR))
        if show.heard is not None:
            show.heard.error(f"a bug: {bug!r}", "report the traceback")
        return Status.FAILED


def _open_standard_streams() -> None:
    """Descriptors 0, 1 and 2 lead somewhere: else a file or a connection would get the number of a closed one."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _raise_descriptor_limit() -> None:
    """As many open directories as the system allows: a scan holds one for every level of depth."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (most, _DESCRIPTORS):  # where there is no limit, more than the system has may not be asked for (macOS)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
        except (ValueError, OSError):
            continue
        return


def _show(program: str, args: argparse.Namespace) -> LineProgress:
    kind, out = (JsonProgress, sys.stdout) if args.json else (LineProgress, sys.stderr)
    show = kind(program, out, quiet=args.quiet)
    show.problems = Problems(each=args.verbose > 0)
    show.journal = is_journal(2, os.environ)
    watch(show, args, os.environ)
    return show
