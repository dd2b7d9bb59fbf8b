"""Which numbers the snapshots of one data key have: those behind the era before it, and before the fence that ended it.

    era 1: 1 ... last of era 1 (its fence) | era 2: last + 1 ...

A fence takes the number at which an era ends, as a snapshot would: by creating its copy. So a run that holds the old
key meets it when it commits. Behind the fence nothing of that era counts: whoever got hold of its key may have put it
there.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from azbackup.errors import WrongPassword
from azbackup.format.labels import snapshot_name


def _always() -> bool:
    return True


class Bounds(msgspec.Struct, frozen=True):
    """The numbers of an era are above `after`, and below `fence` where it has ended, 0 where it goes on.

    `is_current` asks whether its data key is still the partition's.
    """

    after: int = 0
    fence: int = 0
    is_current: Callable[[], bool] = _always

    @property
    def last(self) -> int:
        """The highest number that a snapshot of an era has which ended, 0 of one that goes on."""
        return max(0, self.fence - 1)

    def has(self, number: int) -> bool:
        """Whether a snapshot of this era may have the number."""
        return self.after < number and (not self.fence or number < self.fence)

    def check(self) -> None:
        """Raises WrongPassword if another data key took this one's place: nothing is stored under it any more."""
        if not self.is_current():
            raise WrongPassword(
                "the data key was renewed while this backup ran: no snapshot was made",
                "run it again, with a password that is in force now",
            )


def planted_text(number: int) -> str:
    """What is said of a snapshot beyond the bounds."""
    return (
        f"{snapshot_name(number)}: was stored under an earlier data key after that was given up; somebody who has that "
        "key put it there, and it is not used"
    )
