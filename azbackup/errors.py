"""Everything that can go wrong and is expected to: one tree, one exit status a branch.

    AzbackupError                1   failed: the message says what, the hint what to do
    ├── UsageError               2   an option, a name or a key that cannot be right
    ├── OutOfTime               75   --max-duration is over: no snapshot was made, the next run goes on
    ├── Emptied                  3   the source is empty where there were files: no snapshot was made
    ├── Overtaken                1   retention removed what a long backup counted on: run again
    ├── NothingStored           10   the partition holds no backup
    ├── AlreadyRunning          11   another backup of this source runs on this host
    ├── WrongPassword           12   the key record is sound, the password does not open it
    ├── Damaged                 13   stored data is missing, cut, swapped or altered
    └── Unavailable             14   Azure cannot be reached or refuses
        ├── Exists                   a name was taken: the adapters' answer to a create that lost
        ├── Missing                  a name is not there: absent is neither damaged nor unreachable
        ├── Changed                  a row is no longer the one that was read (ETag)
        └── Archived                 a blob is in the archive tier: the state of that one, not of the account

Exists, Missing, Changed and Archived are answers that the runs handle; one that escapes is still a failure that says
what it is. Anything outside this tree is a bug and keeps its traceback. Statuses 0, 3, 15, 75 and 130 are outcomes,
not errors: they stand in `Status`.
"""

from __future__ import annotations

import enum

# Azure's codes for what another time may not meet; '' where nobody answered.
PASSING = frozenset(
    {
        *("", "ServerBusy", "InternalError", "OperationTimedOut", "TooManyRequests"),
        *("EgressIsOverAccountLimit", "IngressIsOverAccountLimit", "OperationsPerSecondIsOverAccountLimit"),
        *("ContainerBeingDeleted", "TableBeingDeleted", "AccountBeingCreated"),
        "Md5Mismatch",  # what was sent went bad on its way
    }
)


class Status(enum.IntEnum):
    """Exit statuses of the scripts, a promise to everybody's cron jobs."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    NOTHING_STORED = 10
    ALREADY_RUNNING = 11
    WRONG_PASSWORD = 12
    DAMAGED = 13
    UNAVAILABLE = 14
    TOO_OLD = 15
    THAWING = 75
    UNFINISHED = 75  # the same to whoever runs it: run it again
    INTERRUPTED = 130


class AzbackupError(Exception):
    """An expected failure: `message` names the object, `hint` the next step. No secret ever stands in either."""

    status = Status.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AzbackupError):
    """An option, a name or a key that cannot be right, found before anything is done."""

    status = Status.USAGE


class OutOfTime(AzbackupError):
    """The time that a backup may take is over: no snapshot was made, and the next run goes on."""

    status = Status.UNFINISHED


class Emptied(AzbackupError):
    """The source is empty, or another file system with hardly anything in it, where there were files."""

    status = Status.INCOMPLETE


class Overtaken(AzbackupError):
    """Retention removed what a backup counted on while it ran; another run knows, and needs little."""


class NothingStored(AzbackupError):
    """The partition holds no backup, or not the one that was asked for."""

    status = Status.NOTHING_STORED


class AlreadyRunning(AzbackupError):
    """Another backup of the same source runs on this host."""

    status = Status.ALREADY_RUNNING


class WrongPassword(AzbackupError):
    """The key record is sound; this password does not open it."""

    status = Status.WRONG_PASSWORD

    def __init__(self, message: str, hint: str = "", changed: int | None = None) -> None:
        """`changed`: the Unix time at which the password was changed, as the key record says; None: not known."""
        super().__init__(message, hint)
        self.changed = changed


class Damaged(AzbackupError):
    """Stored data is missing, cut, swapped or altered; never raised for an absent partition or a wrong password."""

    status = Status.DAMAGED


class Unavailable(AzbackupError):
    """Azure cannot be reached or refuses: network, permission, throttled past all retries."""

    status = Status.UNAVAILABLE

    def __init__(self, message: str, hint: str = "", code: str = "", *, passing: bool | None = None) -> None:
        """`passing`: whether another time may fare better; None: as the code says."""
        super().__init__(message, hint)
        self.code = code  # Azure's own error code, where it gave one
        self.passing = code in PASSING if passing is None else passing


class Exists(Unavailable):
    """The name is taken; nothing was overwritten."""


class Missing(Unavailable):
    """The name is not there (or the table or container that would hold it)."""


class Changed(Unavailable):
    """The row is no longer the one that was read: its ETag differs."""


class Archived(Unavailable):
    """The blob is in the archive tier, or on its way out of it: it is there, and cannot be read or written now."""
