"""A destination that was forgotten: the first path that was meant stands in its place, and names no directory here.

Restoring everything into a new directory of that name would thaw, and cost, all of it.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

from azbackup.commands.restore.tree import Chosen
from azbackup.errors import UsageError
from azbackup.records.selection import Selection


class Slip(NamedTuple):
    """The destination as it was typed, and the command that may have been meant."""

    typed: bytes
    meant: str

    def paths(self, chosen: Chosen, selection: Selection) -> set[bytes]:
        """The paths of the destination that it may stand for.

        An absolute one counts when everything would be restored: a part may well go back to where it was.
        """
        if self.typed.startswith(b"/") and not selection.everything:
            return set()
        inside = [(prefix, selection.inside(self.typed, snapshot.source)) for snapshot, prefix in chosen]
        return {prefix + b"/" + path if prefix else path for prefix, path in inside if path}

    def check(self, there: Collection[bytes]) -> None:
        """Raises UsageError if the snapshot has such a path."""
        if there:
            raise UsageError(
                f"no directory to restore into is given: {os.fsdecode(self.typed)} is a path of the snapshot",
                f"meant was perhaps: {self.meant} (if a new directory of that name is meant, make it first)",
            )
