"""The directory that is restored into, before anything is written: whether it may be used, and what it holds."""

from __future__ import annotations

import os

from azbackup.errors import AzbackupError
from azbackup.filesystem.destination import Destination, is_temporary
from azbackup.filesystem.scanner import scan


def open_destination(path: bytes | None) -> Destination:
    """The directory, made when it is not there. AzbackupError when it cannot be made or written to."""
    assert path is not None, "only a plan has no destination"
    shown = os.fsdecode(path)
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        raise AzbackupError(f"the destination is not a directory: {shown}", "give a directory") from None
    except OSError as error:
        raise AzbackupError(
            f"cannot make the destination {shown}: {error.strerror}", "give another directory"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK | os.R_OK):
        raise AzbackupError(f"the destination is not writable: {shown}", "check its permissions, or give another one")
    return Destination(path, owner=os.geteuid() == 0)


def already_holds(path: bytes, own: set[bytes]) -> bytes | None:
    """The first path below the destination that is not in `own`; None when there is none but the writer's leftovers."""
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for found in scan(root):
            name = found.path.rpartition(b"/")[2]
            if found.path and found.path not in own and not found.gone and not is_temporary(name):
                return found.path
    finally:
        os.close(root)
    return None
