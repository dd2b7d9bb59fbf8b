"""How a run ends: an error in two lines, and the exit status of an outcome."""

from __future__ import annotations

import sys
from types import TracebackType

from azbackup.cli.asking import leave_question
from azbackup.cli.output.again import pinned
from azbackup.cli.output.levels import Level
from azbackup.cli.output.terminal import LineProgress
from azbackup.cli.output.text import clean, clean_lines, write
from azbackup.errors import Status

DAMAGE_HINT = "keep the storage as it is; see docs/operations.md, damaged storage"
_NAMED_DAMAGE = 20
# What to do about an error that does not say so itself.
_HINTS = {
    Status.DAMAGED: DAMAGE_HINT,
    Status.UNAVAILABLE: "run the same command again later; if that does not help, check the rights of the credentials",
}


def print_error(show: LineProgress, status: Status, message: str, hint: str) -> None:
    """An error and its hint (or the hint of its status), on stderr always, and as an event with --json."""
    leave_question()
    show.tell_rest()
    hint = pinned(hint or _HINTS.get(status, "see --help"), show.again, show.thawing)
    if show.heard is not None:
        show.heard.error(message, hint)
    write(sys.stderr, f"{show.mark(Level.ERROR)}{show.program}: {clean(message)}\n")
    write(sys.stderr, f"{show.mark(Level.NOTICE)}hint: {clean(hint)}\n")
    if show.json:
        show.event(
            "error", status=int(status), message=message, hint=hint, again=show.again or None, pending=show.pending
        )


def print_traceback(error: BaseException, mark: str = "") -> None:
    """An error's traceback on stderr, with `mark` before each line. Names in it cannot drive a terminal."""
    import traceback

    lines = clean_lines("".join(traceback.format_exception(error))).splitlines()
    write(sys.stderr, "".join(f"{mark}{line}\n" for line in lines))


def show_bug(_kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The interpreter's excepthook: an error that nobody expected keeps its traceback."""
    print_traceback(error.with_traceback(trace))


def show_damages(show: LineProgress) -> None:
    """Names the damage that a run met, whichever way it ends."""
    for line in show.damaged[:_NAMED_DAMAGE]:
        show.show_damage(line)


def outcome_status(show: LineProgress, problems: int, pending: str = "") -> Status:
    """Returns the status of a run that came to its end. Damage takes precedence over files that could not be read.

    `pending` says whether something still thaws: 13 takes the place of 75, which would have said it.
    """
    damage = show.damaged
    if not damage:
        return Status.INCOMPLETE if problems else Status.DONE
    show_damages(show)
    more = f" and {show.damages - _NAMED_DAMAGE:,} more" if show.damages > _NAMED_DAMAGE else ""
    message = f"stored data is damaged or was tampered with: {damage[0]}{more}"
    print_error(show, Status.DAMAGED, message, f"{DAMAGE_HINT}; {pending}" if pending else "")
    return Status.DAMAGED
