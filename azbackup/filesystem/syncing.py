"""What was written is on the disk: one call for a whole file system, so that a batch of files costs one wait.

Promises that a file system of which a run holds a descriptor tells it of all failures from then on.
"""

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


class FileSystems:
    """Those that a run writes to: a descriptor on each, open all the time."""

    def __init__(self, root: int) -> None:
        self._descriptors = {os.fstat(root).st_dev: os.dup(root)}

    def __contains__(self, device: int) -> bool:
        return device in self._descriptors

    def add(self, device: int, descriptor: int) -> None:
        """This descriptor is on a device that was not written to before."""
        self._descriptors[device] = os.dup(descriptor)

    def sync(self) -> None:
        """Brings to the disk everything that was written so far. Raises OSError."""
        for descriptor in list(self._descriptors.values()):
            sync_file_system(descriptor)

    def close(self) -> None:
        """Lets go of them."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
