"""What a plan may not do unasked: replace what differs, overfill a disk, cost too much, wait for ever.

Everything here is looked at before anything is thawed, paid for or written.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from azbackup.commands.restore.estimate import Estimate, Room
from azbackup.commands.restore.outcome import Recorder, RestoreRequest
from azbackup.errors import AzbackupError, UsageError
from azbackup.packs.thaw.policy import State

_MIB = 1024**2


class Differing(NamedTuple):
    """A path where something stands that differs from the snapshot; `newer`: than what is stored."""

    path: bytes
    newer: bool


def check_differing(differing: list[Differing], recorder: Recorder) -> None:
    """Names what differs. Raises AzbackupError if anything does: it may be work that is nowhere else."""
    if not differing:
        return
    for path, newer in differing:
        recorder.progress.problem(path, f"differs from the snapshot, and is {'newer' if newer else 'older'} than it")
    more = f" and {len(differing) - 1:,} more" if len(differing) > 1 else ""
    verb = "differ" if more else "differs"
    raise AzbackupError(
        f"{os.fsdecode(differing[0].path)}{more} {verb} from the snapshot; nothing was restored",
        "give another directory, or say with --overwrite: if-newer replaces only older files, if-changed all that "
        "differ, never none",
    )


def check_room(room: Room | None) -> None:
    """Raises AzbackupError if what is to be written does not fit."""
    if room is None or not room.is_lacking:
        return
    if room.size > room.free:
        what = f"{room.size / _MIB:,.1f} MiB are to be written, {room.free / _MIB:,.1f} MiB are free"
    else:
        files = "1 file is" if room.inodes == 1 else f"{room.inodes:,} files are"
        what = f"{files} to be made, and the file system takes {room.free_inodes:,} more"
    raise AzbackupError(
        f"there is not enough room in {room.where}: {what}",
        "nothing was thawed or paid; free some space, give another destination, or restore a part (paths, --include); "
        "--force tries it all the same",
    )


def check_estimate(plan: Estimate, request: RestoreRequest) -> None:
    """Stops what costs too much, could never end, or is not agreed to. Raises AzbackupError, UsageError."""
    limit, thaw = request.max_cost, request.thaw
    if limit is not None and plan.price > limit:
        raise AzbackupError(
            f"this restore would cost about {plan.price:.4f} {plan.currency}, more than --max-cost {limit:g}",
            "nothing was spent; --plan shows why, --include restores a part, --priority standard is cheapest",
        )
    largest = max((line.size for line in plan.packs if line.state == State.ARCHIVED.value), default=0)
    if thaw.priority == "high" and largest > thaw.budget:
        raise UsageError(
            f"--high-budget is smaller than the largest pack ({largest:,} bytes), so that pack could never be thawed",
            f"give at least {largest / 1024**3:.4f}, or --priority mixed",
        )
    if request.agree is not None:
        request.agree(plan)
