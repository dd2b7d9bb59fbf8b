"""What was written is on the disk: one call for a whole file system, so that a batch of files costs one wait."""

from __future__ import annotations

import os


def sync_file_system(descriptor: int) -> None:
    """Returns when all that was written to a descriptor's file system is on its disk. Raises OSError if it is not."""
    import ctypes  # a restore alone needs it

    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:  # not Linux
        os.sync()
    elif call(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
