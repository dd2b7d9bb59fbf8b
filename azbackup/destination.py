"""The directory that is restored into, before anything is written: whether it may be used, and what it holds."""

from __future__ import annotations

import os
from collections.abc import Iterator

from azbackup.errors import AzbackupError
from azbackup.writer import Destination, is_temporary


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
    for found in _walk(path, b""):
        if found not in own and not is_temporary(found.rpartition(b"/")[2]):
            return found
    return None


def _walk(directory: bytes, prefix: bytes) -> Iterator[bytes]:
    try:
        with os.scandir(directory) as items:
            named = list(items)
    except OSError:  # what cannot be listed is judged by its own name alone
        return
    for item in named:
        path = prefix + item.name
        yield path
        if item.is_dir(follow_symlinks=False):
            yield from _walk(item.path, path + b"/")
