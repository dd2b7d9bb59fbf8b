"""A source that has lost its files: a disk that is not mounted, a wrong path, somebody's rm. Pure.

A snapshot of that would be the latest one, and its restore a success with nothing in it. So there is none, unless the
user says that it is meant.
"""

from __future__ import annotations

import os

from azbackup.errors import Emptied
from azbackup.format.model import Snapshot, Totals

_NEARLY_ALL = 0.9
_FEW = 10  # files whose going is everyday
_HINT = "is its disk mounted, and the path right? If it is meant to be so: --allow-empty"


def check_not_emptied(parent: Snapshot, totals: Totals, *, elsewhere: bool) -> None:
    """Raises Emptied for an empty source, and for hardly anything left in another directory or on another device.

    `elsewhere`: the source's directory is not the one that the parent was made of.
    """
    before = parent.totals.files
    shown = os.fsdecode(parent.source)
    had = f"snapshot {parent.number} had {before:,} files: no snapshot was made"
    if before and not totals.files:
        why = "everything in it is left out" if totals.left_out else "it is empty"
        raise Emptied(f"{shown}: {why}, and {had}", _HINT)
    gone = totals.removed >= before * _NEARLY_ALL and totals.files <= before * (1 - _NEARLY_ALL)
    if elsewhere and gone and before > _FEW:
        raise Emptied(f"{shown} is another directory than last time and holds {totals.files:,} files; {had}", _HINT)
