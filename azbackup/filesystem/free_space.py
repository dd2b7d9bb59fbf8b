"""How much room a file system says that it has, for whoever runs this.

Promises nothing where it does not say: some count no inodes, some nothing at all.
"""

from __future__ import annotations

import os
from typing import NamedTuple

_BLOCK = 4096  # network file systems name as their block what they send at once


class FreeSpace(NamedTuple):
    """Bytes and inodes that are free; None: without a limit. A file takes whole blocks of `block` bytes."""

    size: int
    inodes: int | None
    block: int


def free_space(status: os.statvfs_result, *, privileged: bool) -> FreeSpace | None:
    """What is free, None where the file system does not say. `privileged`: what is kept back for root counts, too."""
    if not status.f_blocks:
        return None
    blocks, inodes = (status.f_bfree, status.f_ffree) if privileged else (status.f_bavail, status.f_favail)
    if not status.f_files:  # inodes are made as they are needed, and small files may lie in them
        return FreeSpace(blocks * status.f_frsize, None, 1)
    return FreeSpace(blocks * status.f_frsize, inodes, min(status.f_frsize, _BLOCK) or 1)
